"""How the default strategy divides a budget: which rungs, how large a population."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec

from archwright.problem import Fidelity, Problem, Trial

EXPLORE = 250
"""Rungs are added until so many new architectures can be tried."""
CANDIDATES = 12
"""The highest rung is one that lets so many new architectures be tried ..."""
FINALISTS = 1
"""... and so many of them reach it; the end of the budget adds to them."""


class Speed(msgspec.Struct, frozen=True):
    """Seconds a trial takes on one worker: some to start, and some for each epoch over all the training data."""

    start: float = 0.0
    epoch: float = 0.0


class Timing(msgspec.Struct, frozen=True):
    """How long a trial took that started from scratch.

    Attributes:
        seconds: All of it.
        epochs: Epochs over all the training data.
        epoch: Seconds of an epoch alone; ``None`` where it measured once only, and did not tell the seconds of its ``training``.
    """

    seconds: float
    epochs: float
    epoch: float | None

    @classmethod
    def of(cls, trial: Trial, fidelity: Fidelity) -> Timing:
        """The timing of a finished trial."""
        first, last = trial.measurements[0], trial.measurements[-1]
        epoch = None
        if last.epoch > first.epoch and last.seconds > first.seconds:
            epoch = float(last.seconds - first.seconds) / (last.epoch - first.epoch) / fidelity.share
        elif "training" in last.notes:
            epoch = float(last.notes["training"]) / fidelity.share
        return cls(float(trial.seconds or last.seconds), fidelity.cost, epoch)


def typical(timings: Sequence[Timing]) -> Speed:
    """The speed that timings show: mean seconds of an epoch, and median of what they took beyond.

    The median, as the first trial of a worker also waits for all that is done once. Where no trial measured more than once, all its time
    counts as that of its epochs.
    """
    known = [timing.epoch for timing in timings if timing.epoch is not None]
    if not known:
        return Speed(0.0, statistics.median_low(timing.seconds / timing.epochs for timing in timings))
    epoch = statistics.fmean(known)
    starts = [timing.seconds - (epoch if timing.epoch is None else timing.epoch) * timing.epochs for timing in timings]
    return Speed(max(0.0, statistics.median_low(starts)), epoch)


class Amount(msgspec.Struct, frozen=True):
    """What is limited or spent; infinite where there is no limit.

    Attributes:
        seconds: Seconds of work, summed over the workers.
        trials: Trials that train something.
        epochs: Epochs over all the training data.
    """

    seconds: float = 0.0
    trials: float = 0.0
    epochs: float = 0.0

    def plus(self, other: Amount, times: float = 1.0) -> Amount:
        """The sum with another amount, taken several times."""
        return Amount(
            self.seconds + times * other.seconds, self.trials + times * other.trials, self.epochs + times * other.epochs
        )

    def within(self, limit: Amount) -> float:
        """How many times this amount fits into the limit."""
        pairs = ((self.seconds, limit.seconds), (self.trials, limit.trials), (self.epochs, limit.epochs))
        return min((most / used for used, most in pairs if used > 0), default=math.inf)


class Plan(msgspec.Struct, frozen=True):
    """How a budget is used.

    Attributes:
        entry: Rung where new architectures start.
        top: Highest rung.
        candidates: How many new architectures the budget is expected to try.
        finalists: How many of them are expected to reach the top.
        population: Size of evolution's population.
        sample: Size of its tournaments.
        speed: The speed it rests on.
    """

    entry: int
    top: int
    candidates: float
    finalists: float
    population: int
    sample: int
    speed: Speed = Speed()


def limits(problem: Problem) -> Amount:
    """What the strategy may spend: the budget, less the time for the end and the share of the random baseline.

    ``problem.settings`` may say both: ``search_seconds``, the wall seconds for searching (else all of the budget), and
    ``baseline``, a share of the training in [0, 1) that others ask for (else none).
    """
    budget, own = problem.budget, 1.0 - float(problem.settings.get("baseline", 0.0))
    seconds = problem.settings.get("search_seconds", budget.seconds)
    return Amount(
        math.inf if seconds is None else own * max(0.0, float(seconds)) * problem.workers,
        math.inf if budget.trials is None else own * budget.trials,
        math.inf if budget.epochs is None else own * budget.epochs,
    )


def cost(epochs: float, speed: Speed) -> Amount:
    """What a trial costs that trains for so many epochs over all the data."""
    return Amount(speed.start + epochs * speed.epoch, 1.0, epochs)


def make_plan(levels: tuple[Fidelity, ...], eta: int, limit: Amount, speed: Speed) -> Plan:
    """Divides a budget.

    The highest rung is the full fidelity, or the highest that still lets 12 architectures be tried and one reach it. Below
    it stand as many rungs as it takes to try 250 architectures, at least one, and no more than leave a finalist; none
    where they would not let more architectures be tried, as when the number of trials is what is limited.
    """
    enough = min(CANDIDATES, math.floor(limit.trials)) if math.isfinite(limit.trials) else CANDIDATES
    for top in range(len(levels) - 1, -1, -1):
        tried = {entry: _candidates(levels[entry : top + 1], eta, limit, speed) for entry in range(top + 1)}
        allowed = [
            entry
            for entry, count in tried.items()
            if count >= enough and (count / eta ** (top - entry) >= FINALISTS or entry == top)
        ]
        if allowed or top == 0:
            entry = _entry(top, allowed or [0], tried)
            return _plan(entry, top, tried[entry], eta, speed)
    raise AssertionError("a ladder has at least one rung")


def _entry(top: int, allowed: list[int], tried: dict[int, float]) -> int:
    """The highest rung, but one, that lets enough architectures be tried; else the one that lets most."""
    if top in allowed and tried[top] >= max(tried.values()):
        return top
    deep = [entry for entry in allowed if entry < top] or allowed
    enough = [entry for entry in deep if tried[entry] >= EXPLORE]
    return max(enough) if enough else max(deep, key=lambda entry: tried[entry])


def _candidates(rungs: tuple[Fidelity, ...], eta: int, limit: Amount, speed: Speed) -> float:
    """How many new architectures a budget can try, the best 1/eta of each rung being trained further."""
    one, before = Amount(), 0.0
    for index, fidelity in enumerate(rungs):
        one = one.plus(cost(fidelity.cost - before, speed), times=eta**-index)
        before = fidelity.cost
    return one.within(limit)


def _plan(entry: int, top: int, candidates: float, eta: int, speed: Speed) -> Plan:
    candidates = min(candidates, 1e6)
    population = max(4, min(50, round(1.5 * math.sqrt(candidates))))
    sample = max(2, population // 2)
    return Plan(entry, top, candidates, candidates / eta ** (top - entry), population, sample, speed)
