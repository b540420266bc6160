"""Aging evolution: tournaments choose parents, mutations make children, and the oldest leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.strategies.common import at_least, edit, mutate_feasible, sample_feasible, score_of


class Member(msgspec.Struct, frozen=True):
    """An individual of the population.

    Attributes:
        trial: The trial that evaluated it.
        architecture: Its choices.
        score: The first objective, more being better.
    """

    trial: int
    architecture: Architecture
    score: float


class EvolutionState(msgspec.Struct, frozen=True):
    """What evolution knows.

    Attributes:
        members: The population, oldest first, in the order of completion.
        pending: Trials that are running, with their architectures.
        heard: Highest trial number heard of.
    """

    members: tuple[Member, ...] = ()
    pending: tuple[tuple[int, Architecture], ...] = ()
    heard: int = -1


@dataclasses.dataclass(frozen=True)
class Evolution:
    """Aging (regularised) evolution. Real et al. 2019, arXiv 1802.01548.

    The first ``population`` individuals are random draws. From then on the best of ``sample`` individuals drawn from the
    population is mutated, the child joins the population when its evaluation ends, and the oldest individual leaves. A
    failed trial, or one without a finite score, never joins. A child equal to an individual of the population or to a
    running one is drawn again a few times.

    Told of a known trial again, it corrects that individual's score where the individual still lives: so strategies that
    train an architecture further (:class:`~archwright.strategies.Halving`) update it without making it younger or
    counting it twice.

    Attributes:
        population: Size P of the population.
        sample: Size S of a tournament.
        replacement: Draw a tournament with replacement, as the paper's pseudo-code does.
    """

    population: int = 20
    sample: int = 10
    replacement: bool = True
    name = "evolution"

    def __post_init__(self) -> None:
        at_least(self.name, "population", self.population, 1)
        at_least(self.name, "sample", self.sample, 1)
        if not self.replacement and self.sample > self.population:
            raise StrategyError(
                f"Got sample={self.sample} and population={self.population} for the strategy 'evolution' without "
                "replacement; expected a sample no larger than the population."
            )

    def init(self, problem: Problem) -> EvolutionState:
        """An empty population."""
        return EvolutionState()

    def tell(self, state: EvolutionState, problem: Problem, trial: Trial) -> EvolutionState:
        """Notes a running trial; lets a finished one join and the oldest leave, or corrects its score where it is a member."""
        state = joined(state, problem, trial)
        if len(state.members) <= self.population:
            return state
        return EvolutionState(state.members[-self.population :], state.pending, state.heard)

    def ask(self, state: EvolutionState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """A random draw while the population fills, then a mutation of a tournament's winner.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        return offspring(state, problem, rng, self.population, self._sample)

    def _sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Who takes part in a tournament, as indices."""
        return rng.integers(count, size=self.sample) if self.replacement else rng.permutation(count)[: self.sample]


def joined(state: EvolutionState, problem: Problem, trial: Trial) -> EvolutionState:
    """The state after hearing of a trial, nobody leaving: it is pending, joins, has another score, or is gone."""
    new = trial.id > state.heard
    if not trial.done:
        if not new:
            return state
        return EvolutionState(state.members, (*state.pending, (trial.id, trial.proposal.architecture)), trial.id)
    pending = tuple(item for item in state.pending if item[0] != trial.id)
    joins = new or len(pending) < len(state.pending)
    members = state.members
    score = score_of(problem, trial)
    if score is not None:
        member = Member(trial.id, trial.proposal.architecture, score)
        if joins:
            members = (*members, member)
        else:
            members = tuple(member if known.trial == trial.id else known for known in members)
    return EvolutionState(members, pending, max(state.heard, trial.id))


def offspring(
    state: EvolutionState,
    problem: Problem,
    rng: np.random.Generator,
    initial: int,
    sample: Callable[[int, np.random.Generator], np.ndarray],
) -> Proposal:
    """A random draw until there are so many individuals, then a mutation of the best of a sample.

    Args:
        state: Population and pending trials.
        problem: Space and constraints.
        rng: Source of randomness.
        initial: How many random draws there are.
        sample: Gives the indices of those who take part in a tournament, from the size of the population.

    Raises:
        StrategyError: Where the constraints exclude (nearly) all of the space.
    """
    members = state.members
    avoid = {member.architecture for member in members} | {architecture for _, architecture in state.pending}
    if not members or len(members) + len(state.pending) < initial:
        return Proposal(sample_feasible(problem, rng, avoid=avoid), why={"by": "random"})
    drawn: list[int] = sample(len(members), rng).tolist()
    parent = max((members[index] for index in drawn), key=lambda member: member.score)
    child = mutate_feasible(problem, parent.architecture, rng, avoid=avoid)
    if child is None:
        reason = f"no mutation of trial {parent.trial} found that satisfies the constraints"
        return Proposal(sample_feasible(problem, rng, avoid=avoid), why={"by": "random", "reason": reason})
    why = {"by": "mutation", "edit": edit(problem, parent.architecture, child), "parent_score": parent.score}
    return Proposal(child, parent=parent.trial, why=why)
