"""The default strategy: guided evolution under halving, scaled to the budget, to the measured speed and to the evidence."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import msgspec
import numpy as np

from archwright.problem import Fidelity, Problem, Proposal, Trial
from archwright.strategies import race
from archwright.strategies.common import score_of
from archwright.strategies.evidence import kendall
from archwright.strategies.extrapolation import with_expected_score
from archwright.strategies.guided import Guided
from archwright.strategies.plan import Amount, Plan, Speed, Timing, cost, limits, make_plan, typical
from archwright.strategies.race import RaceState
from archwright.strategies.rungs import Rungs, RungsState, ladder, promoted_from
from archwright.strategies.terms import Terms

ETA = 3
RUNGS = 4
PROBE_EPOCHS = 2
"""The first trials have so many epochs at least, so that the cost of starting can be told from that of an epoch; one where they tell it themselves."""
PROBE_SHARE = 0.15
"""Share of the time after which there is a plan from however few trials have ended, refined by those to come."""
FINISH = 0.1
"""Share of the budget that, at the end, goes to bringing the best to the top and to nothing else."""
INITIAL = 10
"""Random draws before a model is fitted; fewer where few architectures can be tried."""
PAIRS = 60
"""Promotions, the latest, by which fidelities are compared ..."""
ENOUGH = 8
"""... and how many it takes."""


class Pair(msgspec.Struct, frozen=True):
    """A network's scores at two fidelities.

    Attributes:
        source: The lower rung.
        target: The higher rung.
        before: Score at the lower.
        after: Score at the higher.
    """

    source: int
    target: int
    before: float
    after: float


class AutoState(msgspec.Struct, frozen=True):
    """What the default strategy knows.

    Attributes:
        rungs: State of halving.
        plan: How the budget is used; ``None`` until the speed is known.
        timings: How long the first trials took.
        spent: What its trials have cost: seconds of those done, number and epochs of those started.
        pairs: What promoted networks scored before and after.
    """

    rungs: RungsState
    plan: Plan | None
    timings: tuple[Timing, ...] = ()
    spent: Amount = Amount()
    pairs: tuple[Pair, ...] = ()


@dataclasses.dataclass(frozen=True)
class Auto:
    """Guided evolution under halving, scaled to budget, speed and evidence. arXiv 1802.01548, 1810.05934, 1910.11858.

    It goes through phases, and each proposal says which it belongs to and on what numbers it rests.

    - ``probe``, only where time is limited: a few random architectures are trained for a few epochs, and their speed
      decides the plan: where in the ladder of fidelities new architectures start, where it ends, and how large the
      population is (:func:`~archwright.strategies.plan.make_plan`). Under limits in trials or epochs nothing depends on
      time, and the search is the same on any machine.
    - ``explore`` and ``promote``: :class:`~archwright.strategies.Halving` over
      :class:`~archwright.strategies.guided.Guided`: random draws, then the candidates of which a Gaussian process expects
      most, in so far as its predictions of known results agree with them; else aging evolution.
    - ``finish``: in about the last tenth of the budget the best that wait below are trained to the top, so that the answer
      is chosen among many fully trained networks; what starts at the bottom now would not get there. The less the
      fidelities agree on who is better (Kendall's tau of what was promoted), the sooner this begins.

    Where time is limited, networks are compared by what is to be expected of them after the final training, in which a slow
    one has fewer epochs (:func:`~archwright.strategies.extrapolation.with_expected_score`).

    Under a limit in trials alone a short trial costs as much as a long one, so that all are long and there is no halving.

    If there is time for a few trainings only, all of this gives way to a race (:mod:`archwright.strategies.race`): the
    space's references and mutants of the best are compared by short whole trainings, for as
    long as that is expected to gain more than the same time adds to the answer.

    Attributes:
        races: Whether it can do with time for one long training.
    """

    name = "auto"
    races: ClassVar[bool] = True

    def init(self, problem: Problem) -> AutoState | RaceState:
        """Empty rungs, and a plan where it depends on no speed."""
        if Terms.of(problem) is not None:
            return RaceState()
        limit, levels = limits(problem), _levels(problem)
        plan = None if math.isfinite(limit.seconds) else make_plan(levels, ETA, limit, Speed())
        return AutoState(_engine(problem, plan).init(problem), plan)

    def tell(self, state: AutoState | RaceState, problem: Problem, trial: Trial) -> AutoState | RaceState:
        """Files the trial, counts what it cost, and makes the plan once the speed is known."""
        if isinstance(state, RaceState):
            return race.tell(state, problem, trial)
        levels, trial = _levels(problem), with_expected_score(problem, trial)
        rungs = _engine(problem, state.plan).tell(state.rungs, problem, trial)
        starts = trial.id > state.rungs.heard
        ends = trial.done and (starts or any(item.trial == trial.id for item in state.rungs.running))
        spent = _spend(state.spent, trial, _epochs(levels, trial.proposal), starts, ends)
        plan, timings, limit = state.plan, state.timings, limits(problem)
        timed = ends and trial.status == "finished" and trial.measurements and trial.proposal.resume is None
        if timed and math.isfinite(limit.seconds) and len(timings) < (wanted := max(4, 2 * problem.workers)):
            timings = (*timings, Timing.of(trial, trial.proposal.fidelity or problem.fidelity))
            if len(timings) == wanted or spent.seconds > PROBE_SHARE * limit.seconds:
                before = _engine(problem, plan).entry
                plan = make_plan(levels, ETA, limit, typical(timings))
                if plan.entry != before:
                    rungs = msgspec.structs.replace(rungs, proposer=_engine(problem, plan).proposer.init(problem))
        return AutoState(
            rungs, plan, timings, spent, _paired(state.pairs, problem, levels, trial) if ends else state.pairs
        )

    def ask(self, state: AutoState | RaceState, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """A promotion that is due, else a new architecture; near the end a promotion to the top.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        if isinstance(state, RaceState):
            terms = Terms.of(problem)
            assert terms is not None
            return race.ask(state, problem, terms, rng)
        levels = _levels(problem)
        engine = _engine(problem, state.plan)
        due = engine.promotion(state.rungs)
        if due is not None:
            return _because(due, "promote", levels, state)
        source = _to_finish(state, levels, limits(problem), problem.workers)
        if source is not None:
            return _because(engine.promote(state.rungs, source, engine.top), "finish", levels, state)
        new = engine.propose(state.rungs, problem, rng)
        return None if new is None else _because(new, "probe" if state.plan is None else "explore", levels, state)

    def highest(self, state: AutoState | RaceState, problem: Problem) -> Fidelity | None:
        """What the best are trained with; ``None`` before there is a plan. In a race: what all are trained with."""
        if isinstance(state, RaceState):
            terms = Terms.of(problem)
            assert terms is not None
            return terms.levels[0]
        return None if state.plan is None else _levels(problem)[state.plan.top]

    def answer(self, state: AutoState | RaceState, problem: Problem) -> int | None:
        """The trial that leads a race; ``None`` if there is none."""
        terms = Terms.of(problem)
        return race.leader(state, terms, problem.workers) if isinstance(state, RaceState) and terms else None


def _levels(problem: Problem) -> tuple[Fidelity, ...]:
    return ladder(problem.fidelity, ETA, RUNGS)


def _probe(levels: tuple[Fidelity, ...], told: bool) -> int:
    """The lowest rung with enough epochs to measure the speed, else the highest; the lowest where trials tell their seconds of training."""
    least = 1 if told else PROBE_EPOCHS
    return next((level for level, fidelity in enumerate(levels) if fidelity.epochs >= least), len(levels) - 1)


def _engine(problem: Problem, plan: Plan | None) -> Rungs:
    """Halving as planned; before there is a plan, random draws at a low rung."""
    levels = _levels(problem)
    if plan is None:
        probe = _probe(levels, told="final" in problem.settings)
        return Rungs(Guided(initial=100), ETA, levels, probe, probe)
    proposer = Guided(plan.population, plan.sample, min(INITIAL, plan.population))
    return Rungs(proposer, ETA, levels, plan.entry, plan.top)


def _epochs(levels: tuple[Fidelity, ...], proposal: Proposal) -> float:
    """Epochs over all the data that a proposal adds to what it continues from."""
    source = promoted_from(proposal) if proposal.resume is not None else None
    total = (proposal.fidelity or levels[-1]).cost
    return total if source is None else total - levels[source].cost


def _spend(spent: Amount, trial: Trial, epochs: float, starts: bool, ends: bool) -> Amount:
    """What is spent after hearing of a trial: number and epochs when it starts, seconds when it ends."""
    once = Amount(0.0, 1.0, epochs)
    if starts:
        spent = spent.plus(once)
    if ends and trial.status == "duplicate":
        return spent.plus(once, times=-1.0)
    return spent.plus(Amount(trial.seconds)) if ends else spent


def _to_finish(state: AutoState, levels: tuple[Fidelity, ...], limit: Amount, workers: int) -> int | None:
    """The rung whose best is to be trained to the top, where the end is near; the highest that has any."""
    plan = state.plan
    if plan is None:
        return None
    waiting = [level for level in range(plan.entry, plan.top) if state.rungs.rungs[level].waiting]
    if not waiting:
        return None
    source = waiting[-1]
    last = cost(levels[plan.top].cost - levels[source].cost, plan.speed)
    return source if state.spent.plus(last, times=workers).within(limit) <= 1.0 / (1.0 - _finish(state)) else None


def _paired(pairs: tuple[Pair, ...], problem: Problem, levels: tuple[Fidelity, ...], trial: Trial) -> tuple[Pair, ...]:
    """With what a promoted trial that ended scored before and after."""
    source, why, after = promoted_from(trial.proposal), trial.proposal.why, score_of(problem, trial)
    before, target = why.get("score"), why.get("rung")
    if source is None or after is None or trial.status != "finished":
        return pairs
    if not isinstance(before, int | float) or not isinstance(target, int):
        return pairs
    return (*pairs, Pair(source, target, float(before), after))[-PAIRS:]


def agreement(pairs: tuple[Pair, ...]) -> float | None:
    """How far fidelities agree on who is better: Kendall's tau of promoted networks, the mean over the steps of the ladder.

    Those promoted are the best of a rung, so that it is lower than it would be over all. ``None`` where too few are known.
    """
    steps: dict[tuple[int, int], list[Pair]] = {}
    for pair in pairs:
        steps.setdefault((pair.source, pair.target), []).append(pair)
    found = [
        (len(step), kendall([pair.before for pair in step], [pair.after for pair in step]))
        for step in steps.values()
        if len(step) > 2
    ]
    count = sum(size for size, _ in found)
    return sum(size * tau for size, tau in found) / count if count >= ENOUGH else None


def _finish(state: AutoState) -> float:
    """The share of the budget kept for the end: half as much again where the fidelities do not agree, half where they do."""
    tau = agreement(state.pairs)
    return FINISH if tau is None else FINISH * (1.5 - min(1.0, max(0.0, tau)))


def _because(proposal: Proposal, phase: str, levels: tuple[Fidelity, ...], state: AutoState) -> Proposal:
    """The proposal with its phase and the numbers of the plan."""
    why: dict[str, Any] = {**proposal.why, "phase": phase}
    if state.plan is not None:
        why["plan"] = {
            "epochs": [fidelity.epochs for fidelity in levels[state.plan.entry : state.plan.top + 1]],
            "candidates": round(state.plan.candidates),
            "finalists": round(state.plan.finalists),
            "population": state.plan.population,
            "sample": state.plan.sample,
        }
        if state.plan.speed.epoch > 0:
            why["plan"]["start_seconds"] = round(state.plan.speed.start, 4)
            why["plan"]["epoch_seconds"] = round(state.plan.speed.epoch, 4)
    tau = agreement(state.pairs)
    if tau is not None:
        why["fidelities_agree"] = round(tau, 3)
    return msgspec.structs.replace(proposal, why=why)
