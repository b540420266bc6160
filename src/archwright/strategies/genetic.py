"""Genetic algorithms, composed of a selection, a crossover, a mutation and elitism."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Problem, Proposal, Trial
from archwright.strategies.common import at_least, score_of
from archwright.strategies.generation import (
    Generation,
    Individual,
    Variation,
    hear,
    individual_of,
    offspring,
    succeeded,
)
from archwright.strategies.operators import choice_space, linear_rank, roulette, tournament

SELECTIONS = ("tournament", "roulette", "rank")


@dataclasses.dataclass(frozen=True)
class Genetic:
    """Genetic algorithm of composable operators. Holland 1975; for networks Xie and Yuille 2017, arXiv 1703.01513.

    The first ``population`` individuals are random draws. Each child has two selected parents, a crossover with probability
    ``crossover_rate`` and a mutation; a child equal to one that is alive or running is bred again a few times. When enough children have
    ended, they and the ``elites`` best of the old generation are the new one. Failed trials, and those that break a constraint, take no part.

    The loop of many textbooks is one line:
    ``Genetic("tournament", tournament=3, crossover="two-point", crossover_rate=0.5, mutation="flip", mutation_rate=0.05, elites=0)``.

    Attributes:
        selection: ``tournament``; ``roulette``, in proportion to the score above the generation's worst; or ``rank``, in proportion to the
            rank.
        tournament: Size of a tournament.
        crossover: ``one-point``, ``two-point``, ``5-point`` and the like, or ``uniform``.
        crossover_rate: Probability that a child is crossed from both parents and not a copy of the first.
        mutation: ``flip`` gives a choice another option; ``swap`` exchanges the options of two choices of a kind.
        mutation_rate: Probability of mutation for each active choice; ``None`` is one over their number.
        population: Size of a generation.
        elites: How many of the best of a generation live on in the next, not evaluated again.
    """

    selection: str = "tournament"
    tournament: int = 3
    crossover: str = "two-point"
    crossover_rate: float = 0.5
    mutation: str = "flip"
    mutation_rate: float | None = None
    population: int = 20
    elites: int = 2
    name = "genetic"

    def __post_init__(self) -> None:
        if self.selection not in SELECTIONS:
            raise StrategyError(
                f"Got selection={self.selection!r} for the strategy 'genetic'; expected one of: {', '.join(SELECTIONS)}."
            )
        at_least(self.name, "tournament", self.tournament, 1)
        at_least(self.name, "population", self.population, 1)
        at_least(self.name, "elites", self.elites, 0)
        if self.elites >= self.population:
            raise StrategyError(
                f"Got elites={self.elites} and population={self.population} for the strategy 'genetic'; expected fewer elites."
            )
        self._variation()

    def init(self, problem: Problem) -> Generation:
        """An empty generation.

        Raises:
            StrategyError: Where the space is not made choice by choice.
        """
        choice_space(problem, self.name)
        return Generation()

    def tell(self, state: Generation, problem: Problem, trial: Trial) -> Generation:
        """Notes a running trial, or a child; begins the next generation when there are enough of them."""
        score = score_of(problem, trial)
        state = hear(state, trial, None if score is None else individual_of(problem, trial, (score,)))
        elites = self.elites if state.members else 0
        if len(state.children) < self.population - elites:
            return state
        best = sorted(state.members, key=lambda known: known.scores[0], reverse=True)[:elites]
        return succeeded(state, (*best, *state.children))

    def ask(self, state: Generation, problem: Problem, rng: np.random.Generator) -> Proposal:
        """A random draw for the first generation, then a child of selected parents.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        return offspring(state, problem, self._variation(), self._selector(state.members, rng), rng)

    def _variation(self) -> Variation:
        return Variation(self.name, self.crossover, self.crossover_rate, self.mutation, self.mutation_rate)

    def _selector(self, members: tuple[Individual, ...], rng: np.random.Generator) -> Callable[[], Individual]:
        """Draws a parent each time it is called."""
        scores = [known.scores[0] for known in members]
        if self.selection == "tournament":
            return lambda: members[tournament(scores, self.tournament, rng)]
        chances = {"roulette": roulette, "rank": linear_rank}[self.selection](scores) if scores else None
        return lambda: members[int(rng.choice(len(members), p=chances))]
