"""Early stopping of hopeless trials by learning-curve extrapolation, around any strategy."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Cost, Measurement, Problem, Proposal, Strategy, Trial
from archwright.strategies.common import at_least
from archwright.strategies.curves import Curve, Forecast, forecast
from archwright.strategies.evolution import Evolution

STATIC = frozenset(Cost.__struct_fields__)
"""Metrics that are known before training."""


class Running(msgspec.Struct, frozen=True):
    """A trial that is being trained.

    Attributes:
        curve: What it has measured.
        known: Scores of the objectives that are known before training, more being better.
    """

    curve: Curve
    known: tuple[float, ...]


class Finalist(msgspec.Struct, frozen=True):
    """A finished trial that no other beats in every objective.

    Attributes:
        trial: The trial.
        known: Its scores in the objectives that are known before training, more being better.
        learned: Its scores in the others.
    """

    trial: int
    known: tuple[float, ...]
    learned: tuple[float, ...]


class EarlyStopState(msgspec.Struct, frozen=True):
    """What early stopping knows.

    Attributes:
        proposer: State of the strategy that proposes.
        finished: Learning curves of full trainings, in the order of completion.
        running: Full trainings that are running.
        front: The finished trials that a running one must join.
    """

    proposer: Any
    finished: tuple[Curve, ...] = ()
    running: tuple[Running, ...] = ()
    front: tuple[Finalist, ...] = ()


@dataclasses.dataclass(frozen=True)
class EarlyStop:
    """Ends hopeless trials by extrapolated learning curves, under any strategy. Baker et al. 2017, arXiv 1705.10823.

    From the trials that were trained at full fidelity it learns what a learning curve comes to (see
    :mod:`archwright.strategies.curves`). After each epoch it stops a trial that will be no better than the best so far with
    a probability above ``1 - probability``. With several objectives the trial must be worse than one and the same member of
    the Pareto front in each: in those known before training (params, flops, activation_bytes) for certain, and in the
    learned ones with that joint probability.

    Nothing is stopped before ``curves`` trials have finished, nor below the full fidelity: there a strategy that works with
    several, such as ``halving``, itself decides what is trained further. The proposer hears of a stopped trial as finished
    with the scores that were forecast, as Domhan et al. 2015 (IJCAI) do; the record keeps what was measured.

    Attributes:
        proposer: The strategy that proposes.
        probability: Chance of joining the front below which a trial is stopped.
        curves: Finished learning curves before the first stop.
    """

    proposer: Strategy = dataclasses.field(default_factory=Evolution)
    probability: float = 0.05
    curves: int = 10
    name = "early-stop"
    multi_fidelity = True

    def __post_init__(self) -> None:
        at_least(self.name, "curves", self.curves, 5)
        if not 0 < self.probability < 1:
            raise StrategyError(f"Got probability={self.probability} for 'early-stop'; expected a number in (0, 1).")
        if not callable(getattr(self.proposer, "ask", None)):
            raise StrategyError(
                f"Got proposer={self.proposer!r} for 'early-stop'; expected a strategy, such as Evolution()."
            )

    def init(self, problem: Problem) -> EarlyStopState:
        """No curves."""
        return EarlyStopState(self.proposer.init(problem))

    def tell(self, state: EarlyStopState, problem: Problem, trial: Trial) -> EarlyStopState:
        """Notes what a trial measured, and tells the proposer of it."""
        finished, front, fidelity = state.finished, state.front, trial.proposal.fidelity or problem.fidelity
        running = tuple(item for item in state.running if item.curve.trial != trial.id)
        curve, heard = curve_of(problem, trial), trial
        if fidelity == problem.fidelity and curve.steps:
            known = _known(problem, trial)
            if trial.status == "running":
                running = (*running, Running(curve, known))
            elif trial.status == "stopped":
                heard = _as_forecast(problem, trial, forecast(curve, finished, self.curves))
            elif trial.status != "failed" and not any(item.trial == curve.trial for item in finished):
                finished = (*finished, curve)
                if problem.violation(trial) == 0:
                    front = _joined(front, Finalist(curve.trial, known, tuple(series[-1] for series in curve.values)))
        return EarlyStopState(self.proposer.tell(state.proposer, problem, heard), finished, running, front)

    def ask(self, state: EarlyStopState, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """What the proposer proposes."""
        return self.proposer.ask(state.proposer, problem, rng)

    def stop(self, state: EarlyStopState, problem: Problem) -> tuple[tuple[int, str], ...]:
        """The running trials that are hopeless, each with the reason."""
        judged = ((item.curve.trial, self._hopeless(state, problem, item)) for item in state.running)
        return tuple((trial, reason) for trial, reason in judged if reason is not None)

    def _hopeless(self, state: EarlyStopState, problem: Problem, item: Running) -> str | None:
        """Why a running trial cannot join the front; ``None`` where it can."""
        rivals = [rival for rival in state.front if all(a >= b for a, b in zip(rival.known, item.known, strict=True))]
        if not rivals or not item.curve.values:
            return None
        expected = forecast(item.curve, state.finished, self.curves)
        if expected is None:
            return None
        worse = [
            math.prod(one.below(score) for one, score in zip(expected, rival.learned, strict=True)) for rival in rivals
        ]
        surest = max(range(len(rivals)), key=worse.__getitem__)
        if worse[surest] <= 1.0 - self.probability:
            return None
        return _reason(problem, item.curve, expected, rivals[surest], 1.0 - worse[surest])


def curve_of(problem: Problem, trial: Trial) -> Curve:
    """The learning curve of a trial: the measurements that have a finite value of every learned objective.

    A reused result counts as the curve of the trial that it is of. Measurements without an epoch are counted.
    """
    learned = [objective for objective in problem.objectives if objective.metric not in STATIC]
    steps: list[int] = []
    rows: list[list[float]] = []
    for number, measurement in enumerate(trial.measurements, 1):
        values = [measurement.values.get(objective.metric, math.nan) for objective in learned]
        if all(map(math.isfinite, values)):
            steps.append(measurement.epoch or number)
            rows.append([objective.score(value) for objective, value in zip(learned, values, strict=True)])
    costs = trial.measurements[-1].values if trial.measurements else {}
    logs = tuple(math.log1p(max(0.0, costs.get(metric, 0.0))) for metric in ("params", "flops"))
    number = trial.id if trial.duplicate_of is None else trial.duplicate_of
    return Curve(number, logs, tuple(steps), tuple(zip(*rows, strict=True)))


def _known(problem: Problem, trial: Trial) -> tuple[float, ...]:
    """The scores of the objectives that are known before training."""
    objectives = [objective for objective in problem.objectives if objective.metric in STATIC]
    if not objectives:
        return ()
    costs = problem.costs(trial.proposal.architecture)
    return tuple(objective.score(costs[objective.metric]) for objective in objectives)


def _joined(front: tuple[Finalist, ...], new: Finalist) -> tuple[Finalist, ...]:
    """The front with one more trial, where none is as good in every objective, and without those that it beats."""
    if any(_covers(one, new) for one in front):
        return front
    return (*(one for one in front if not _covers(new, one)), new)


def _covers(one: Finalist, other: Finalist) -> bool:
    """Whether one is at least as good as the other in every objective."""
    return all(a >= b for a, b in zip(one.known + one.learned, other.known + other.learned, strict=True))


def _as_forecast(problem: Problem, trial: Trial, expected: tuple[Forecast, ...] | None) -> Trial:
    """A stopped trial as the proposer hears of it: finished, with the scores to be expected."""
    if expected is None:
        return trial
    learned = [objective for objective in problem.objectives if objective.metric not in STATIC]
    last = trial.measurements[-1]
    finals = {objective.metric: objective.score(one.mean) for objective, one in zip(learned, expected, strict=True)}
    final = Measurement({**last.values, **finals}, last.epoch, last.seconds, last.artifacts, last.notes)
    return msgspec.structs.replace(trial, status="finished", measurements=(*trial.measurements[:-1], final))


def _reason(problem: Problem, curve: Curve, expected: tuple[Forecast, ...], rival: Finalist, chance: float) -> str:
    """Why a trial is stopped, in words."""
    learned = [objective for objective in problem.objectives if objective.metric not in STATIC]
    parts = [
        f"{objective.metric} {objective.score(series[-1]):.4g}, {objective.score(one.mean):.4g} +- {one.deviation:.2g} expected, "
        f"{objective.score(score):.4g} to beat"
        for objective, series, one, score in zip(learned, curve.values, expected, rival.learned, strict=True)
    ]
    return f"hopeless after epoch {curve.steps[-1]}: {'; '.join(parts)} (trial {rival.trial}); chance {chance:.1%}"
