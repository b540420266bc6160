"""Local search: climbs from neighbour to neighbour, and starts again where no neighbour is better."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.strategies.common import at_least, edit, sample_feasible, score_of
from archwright.strategies.evolution import Member

IMPROVEMENTS = ("first", "best")


class LocalState(msgspec.Struct, frozen=True):
    """What local search knows.

    Attributes:
        centre: Where it stands; ``None`` before the first climb.
        better: The best result of the climb that is better than the centre.
        starts: Random draws to climb from, in the order of completion.
        pending: Trials that are running, each with whether it is a step of the climb (or a random draw).
        known: All architectures heard of.
        heard: Highest trial number heard of.
    """

    centre: Member | None = None
    better: Member | None = None
    starts: tuple[Member, ...] = ()
    pending: tuple[tuple[int, bool], ...] = ()
    known: frozenset[Architecture] = frozenset()
    heard: int = -1


@dataclasses.dataclass(frozen=True)
class Local:
    """Local search with restarts, by first or best improvement. White et al. 2021, arXiv 2005.02960.

    A climb begins at the best of a few random draws. It tries the neighbours of where it stands in random order and moves to the first that is
    better (``first``), or tries all and moves to the best if that is better (``best``); equal is not better. Where none is, it starts again. No
    step goes to an architecture that is known: what an earlier climb has seen is passed over.

    Several workers try several neighbours at once. One that finds none left draws the next climb's starts, and waits when there are enough. A
    result that comes late is a step all the same, if it is better than where the climb stands by then.

    Attributes:
        improvement: ``first`` or ``best``.
        starts: Random draws before each climb.
    """

    improvement: str = "first"
    starts: int = 10
    name = "local"

    def __post_init__(self) -> None:
        at_least(self.name, "starts", self.starts, 1)
        if self.improvement not in IMPROVEMENTS:
            raise StrategyError(
                f"Got improvement={self.improvement!r} for the strategy 'local'; expected one of: {', '.join(IMPROVEMENTS)}."
            )

    def init(self, problem: Problem) -> LocalState:
        """Nothing is known."""
        return LocalState()

    def tell(self, state: LocalState, problem: Problem, trial: Trial) -> LocalState:
        """Notes a running trial, whose parent is where the search stands; files the result of one that is done."""
        if trial.id > state.heard:
            state = _started(state, trial)
        if not trial.done:
            return state
        score = score_of(problem, trial)
        member = None if score is None else Member(trial.id, trial.proposal.architecture, score)
        step = next((step for number, step in state.pending if number == trial.id), None)
        pending = tuple(item for item in state.pending if item[0] != trial.id)
        centre, better, starts = state.centre, state.better, state.starts
        if member is not None and step is None:
            centre, better = _corrected(centre, member), _corrected(better, member)
            starts = tuple(member if known.trial == member.trial else known for known in starts)
            if centre is not None and better is not None and better.score <= centre.score:
                better = None
        elif member is not None and step:
            reference = better or centre
            better = member if reference is None or member.score > reference.score else better
        elif member is not None:
            starts = (*starts, member)
        return LocalState(centre, better, starts, pending, state.known, state.heard)

    def ask(self, state: LocalState, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """An untried neighbour of where the search stands or moves to, else a random draw to start from.

        ``None`` where there are enough of those and steps of the climb are still running.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        for centre in self._centres(state):
            step = self._step(state, problem, centre, rng)
            if step is not None:
                return step
            if any(step for _, step in state.pending):
                break
        running = sum(not step for _, step in state.pending)
        if state.pending and len(state.starts) + running >= max(self.starts, problem.workers):
            return None
        return Proposal(sample_feasible(problem, rng, avoid=state.known), why={"by": "random"})

    def _centres(self, state: LocalState) -> Iterator[Member]:
        """Where the search may stand, in order of preference."""
        if self.improvement == "first" and state.better is not None:
            yield state.better
        elif state.centre is not None:
            yield state.centre
            if state.better is not None:
                yield state.better
        if len(state.starts) >= self.starts:
            yield from sorted(state.starts, key=lambda member: member.score, reverse=True)

    def _step(self, state: LocalState, problem: Problem, centre: Member, rng: np.random.Generator) -> Proposal | None:
        """A random neighbour that is unknown and feasible; ``None`` where there is none."""
        neighbours = [near for near in problem.space.neighbours(centre.architecture) if near not in state.known]
        for index in rng.permutation(len(neighbours)).tolist():
            if problem.feasible(neighbours[index]):
                why: dict[str, Any] = {"by": "mutation", "edit": edit(problem, centre.architecture, neighbours[index])}
                why |= {"parent_score": centre.score, "neighbours_left": len(neighbours)}
                return Proposal(neighbours[index], parent=centre.trial, why=why)
        return None


def _started(state: LocalState, trial: Trial) -> LocalState:
    """The state when a trial starts: its parent, where it has one, is the centre from now on."""
    architecture, parent = trial.proposal.architecture, trial.proposal.parent
    centre, better, starts = state.centre, state.better, state.starts
    start = next((member for member in starts if member.trial == parent), None)
    if better is not None and parent == better.trial:
        centre, better = better, None
    elif start is not None:
        centre, better, starts = start, None, ()
    pending = state.pending if architecture in state.known else (*state.pending, (trial.id, parent is not None))
    return LocalState(centre, better, starts, pending, state.known | {architecture}, trial.id)


def _corrected(known: Member | None, member: Member) -> Member | None:
    return member if known is not None and known.trial == member.trial else known
