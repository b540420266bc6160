"""The engine of asynchronous successive halving: rungs of results, promotions, and what the proposer hears.

Scores of different rungs cannot be compared: a network trained longer scores higher whatever it is. The proposer
therefore hears all scores on the scale of one rung, the entry, where new architectures start. A result on a higher rung
updates the individual that the proposer knows by the number of the entry trial: the r-th best result of that rung counts
as the r-th best of what the trials of that rung counted as before. So promotion reorders the promoted among themselves,
neither lifts nor lowers them as a group, and assumes nothing about the metric's scale. The score told is the one at that
moment; it is not told again when later results shift the ranks.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left, insort
from typing import Any, TypeVar

import msgspec
import numpy as np

from archwright.problem import Architecture, Fidelity, Problem, Proposal, Strategy, Trial
from archwright.strategies.common import score_of
from archwright.strategies.extrapolation import scored

Key = tuple[float, float, int]
"""Order of a rung, best first: ``(-score, parameters, trial)``: ties go to the smaller, then to the earlier."""

T = TypeVar("T", float, Key)


class Entry(msgspec.Struct, frozen=True):
    """A result on a rung.

    Attributes:
        key: Its place in the order of the rung.
        root: The trial by which the proposer knows the architecture.
        architecture: Its choices.
        counts: The score last told to the proposer, on the scale of the entry rung; ``None`` where it was told none.
        checkpoint: Content hash of the weights to continue from.
    """

    key: Key
    root: int
    architecture: Architecture
    counts: float | None
    checkpoint: str | None

    @property
    def trial(self) -> int:
        """The trial that gave the result."""
        return self.key[2]

    @property
    def score(self) -> float:
        """The first objective, more being better."""
        return -self.key[0]


class Rung(msgspec.Struct, frozen=True):
    """The results at one fidelity.

    Attributes:
        waiting: Those not promoted, best first.
        promoted: The keys of those promoted, best first.
        scores: The scores of those that the proposer knows from lower rungs, ascending.
        counts: What the same trials counted as before, ascending.
    """

    waiting: tuple[Entry, ...] = ()
    promoted: tuple[Key, ...] = ()
    scores: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()

    @property
    def results(self) -> int:
        """How many trials have a result here."""
        return len(self.waiting) + len(self.promoted)


class Running(msgspec.Struct, frozen=True):
    """A trial that is running: its rung, the trial the proposer knows it by, and what that one counted as before."""

    trial: int
    level: int
    root: int
    counts: float | None


class RungsState(msgspec.Struct, frozen=True):
    """All that halving knows.

    Attributes:
        proposer: State of the strategy that proposes new architectures.
        rungs: One for each fidelity, the lowest first.
        running: Trials that are running.
        heard: Highest trial number heard of.
    """

    proposer: Any
    rungs: tuple[Rung, ...]
    running: tuple[Running, ...] = ()
    heard: int = -1


def ladder(full: Fidelity, eta: int, rungs: int) -> tuple[Fidelity, ...]:
    """The fidelities of the rungs, lowest first: the full one divided by powers of eta.

    Args:
        full: Fidelity of the highest rung.
        eta: Factor between two rungs.
        rungs: How many rungs; fewer where the lowest would have less than an epoch.

    >>> [fidelity.epochs for fidelity in ladder(Fidelity(20), 3, 4)]
    [1, 2, 7, 20]
    """
    epochs = {max(1, round(full.epochs / eta**power)) for power in range(rungs)}
    return tuple(Fidelity(count, full.share) for count in sorted(epochs))


@dataclasses.dataclass(frozen=True)
class Rungs:
    """Asynchronous successive halving between an entry rung and a top rung of a ladder.

    Attributes:
        proposer: Proposes new architectures.
        eta: The best 1/eta of a rung are promoted.
        levels: Fidelity of each rung, lowest first.
        entry: Rung where new architectures start; what lies below is promoted into it, but not heard by the proposer.
        top: Highest rung that is promoted into.
    """

    proposer: Strategy
    eta: int
    levels: tuple[Fidelity, ...]
    entry: int
    top: int

    def init(self, problem: Problem) -> RungsState:
        """Empty rungs."""
        return RungsState(self.proposer.init(problem), (Rung(),) * len(self.levels))

    def tell(self, state: RungsState, problem: Problem, trial: Trial) -> RungsState:
        """Notes a running trial, or files the result of one that is done."""
        if trial.id > state.heard:
            state = self._start(state, problem, trial)
        if not trial.done:
            return state
        known = next((item for item in state.running if item.trial == trial.id), None)
        if known is None:
            return state
        running = tuple(item for item in state.running if item is not known)
        score = score_of(problem, trial)
        if known.level == self.entry:
            proposer = self.proposer.tell(state.proposer, problem, trial)
            return RungsState(proposer, _file(state.rungs, known, trial, score, score), running, state.heard)
        proposer, rungs, counts = state.proposer, state.rungs, None
        if score is not None and known.counts is not None:
            rungs, counts = _match(rungs, known.level, score, known.counts)
            proposer = self.proposer.tell(proposer, problem, _as_counted(problem, trial, known.root, counts))
        return RungsState(proposer, _file(rungs, known, trial, score, counts), running, state.heard)

    def _start(self, state: RungsState, problem: Problem, trial: Trial) -> RungsState:
        """Notes a trial that starts; a promoted one leaves the waiting entries of its rung."""
        level, proposer, rungs = self.level(trial.proposal), state.proposer, state.rungs
        if level is None:
            return RungsState(proposer, rungs, state.running, trial.id)
        root, counts = trial.id, None
        if (source := promoted_from(trial.proposal)) is not None and source < level:
            entry = next((item for item in rungs[source].waiting if item.trial == trial.proposal.parent), None)
            if entry is not None:
                rungs = _promoted(rungs, source, entry)
                if level > self.entry:
                    root, counts = entry.root, entry.counts
        if level == self.entry:
            proposer = self.proposer.tell(proposer, problem, msgspec.structs.replace(trial, status="running"))
        return RungsState(proposer, rungs, (*state.running, Running(trial.id, level, root, counts)), trial.id)

    def level(self, proposal: Proposal) -> int | None:
        """The highest rung whose fidelity the proposal reaches; ``None`` below the lowest."""
        if proposal.fidelity is None:
            return len(self.levels) - 1
        reached = [level for level, fidelity in enumerate(self.levels) if fidelity.cost <= proposal.fidelity.cost]
        return reached[-1] if reached else None

    def promotion(self, state: RungsState) -> Proposal | None:
        """The promotion that is due, highest rung first: the best waiting entry, while less than 1/eta are promoted."""
        for level in range(self.top - 1, -1, -1):
            if self.due(state, level):
                return self.promote(state, level, level + 1)
        return None

    def due(self, state: RungsState, level: int) -> bool:
        """Whether a rung has an entry to promote: one waits, and less than 1/eta of its results are promoted."""
        rung = state.rungs[level]
        return bool(rung.waiting) and len(rung.promoted) < rung.results // self.eta

    def promote(self, state: RungsState, source: int, target: int) -> Proposal:
        """The proposal that trains the best waiting entry of a rung up to the fidelity of a higher one."""
        rung = state.rungs[source]
        entry = rung.waiting[0]
        why = {"by": "promotion", "rung": target, "from_rung": source, "score": entry.score}
        why |= {"rank": self._rank(rung), "of": rung.results}
        return Proposal(entry.architecture, self.levels[target], entry.trial, why, entry.checkpoint)

    def propose(self, state: RungsState, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """A new architecture from the proposer, at the entry rung."""
        proposal = self.proposer.ask(state.proposer, problem, rng)
        if proposal is None:
            return None
        why = {**proposal.why, "rung": self.entry}
        return msgspec.structs.replace(proposal, fidelity=self.levels[self.entry], why=why)

    @staticmethod
    def _rank(rung: Rung) -> int:
        """Rank of the best waiting entry among all results of the rung, counting from 1."""
        return bisect_left(rung.promoted, rung.waiting[0].key) + 1


def promoted_from(proposal: Proposal) -> int | None:
    """The rung a promotion comes from; ``None`` for any other proposal."""
    source = proposal.why.get("from_rung")
    return source if isinstance(source, int) else None


def _file(
    rungs: tuple[Rung, ...], known: Running, trial: Trial, score: float | None, counts: float | None
) -> tuple[Rung, ...]:
    """The rungs with one more result; the same where there is none, or where it is that of an earlier trial."""
    if score is None or trial.status == "duplicate":
        return rungs
    final = trial.measurements[-1]
    key = (-score, final.values.get("params", 0.0), trial.id)
    entry = Entry(key, known.root, trial.proposal.architecture, counts, final.artifacts.get("checkpoint"))
    rung = rungs[known.level]
    place = bisect_left(rung.waiting, key, key=lambda item: item.key)
    waiting = (*rung.waiting[:place], entry, *rung.waiting[place:])
    return _replaced(rungs, known.level, Rung(waiting, rung.promoted, rung.scores, rung.counts))


def _match(rungs: tuple[Rung, ...], level: int, score: float, before: float) -> tuple[tuple[Rung, ...], float]:
    """Adds a result to the rung's two scales, and says what it counts as: the old score of equal rank."""
    rung = rungs[level]
    scores, counts = _inserted(rung.scores, score), _inserted(rung.counts, before)
    rungs = _replaced(rungs, level, Rung(rung.waiting, rung.promoted, scores, counts))
    return rungs, counts[bisect_left(scores, score)]


def _promoted(rungs: tuple[Rung, ...], source: int, entry: Entry) -> tuple[Rung, ...]:
    """The rungs with an entry no longer waiting."""
    rung = rungs[source]
    waiting = tuple(item for item in rung.waiting if item is not entry)
    return _replaced(rungs, source, Rung(waiting, _inserted(rung.promoted, entry.key), rung.scores, rung.counts))


def _as_counted(problem: Problem, trial: Trial, root: int, counts: float) -> Trial:
    """The trial as the proposer hears of it: under the number it knows, scored on the scale of the entry rung."""
    return msgspec.structs.replace(scored(problem, trial, problem.objectives[0].score(counts)), id=root)


def _inserted(items: tuple[T, ...], item: T) -> tuple[T, ...]:
    """A sorted tuple with one more item."""
    longer = list(items)
    insort(longer, item)
    return tuple(longer)


def _replaced(rungs: tuple[Rung, ...], level: int, rung: Rung) -> tuple[Rung, ...]:
    """The rungs with one of them exchanged."""
    return (*rungs[:level], rung, *rungs[level + 1 :])
