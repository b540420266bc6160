"""NSGA-II: a genetic algorithm for several objectives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from archwright.problem import Problem, Proposal, Trial
from archwright.strategies.common import at_least
from archwright.strategies.generation import (
    Generation,
    Individual,
    Variation,
    hear,
    individual_of,
    offspring,
    succeeded,
)
from archwright.strategies.operators import choice_space
from archwright.strategies.pareto import crowding, fronts, survivors


@dataclasses.dataclass(frozen=True)
class NSGA2:
    """NSGA-II for several objectives and constraints. Deb et al. 2002, IEEE TEVC 6(2); for networks arXiv 1810.03522.

    Of a generation and its as many children the next one survives: front by front, and of the front that does not fit the least crowded. What
    breaks the constraints less comes first, whatever its objectives. Equal networks count once. Parents win a tournament of two by front, then by
    crowding. Crossover, mutation and generations are those of :class:`~archwright.strategies.genetic.Genetic`.

    Attributes:
        population: Size of a generation.
        crossover: ``one-point``, ``two-point``, ``5-point`` and the like, or ``uniform``.
        crossover_rate: Probability that a child is crossed from both parents and not a copy of the first.
        mutation: ``flip`` gives a choice another option; ``swap`` exchanges the options of two choices of a kind.
        mutation_rate: Probability of mutation for each active choice; ``None`` is one over their number.
    """

    population: int = 20
    crossover: str = "two-point"
    crossover_rate: float = 0.9
    mutation: str = "flip"
    mutation_rate: float | None = None
    name = "nsga2"

    def __post_init__(self) -> None:
        at_least(self.name, "population", self.population, 1)
        self._variation()

    def init(self, problem: Problem) -> Generation:
        """An empty generation.

        Raises:
            StrategyError: Where the space is not made choice by choice.
        """
        choice_space(problem, self.name)
        return Generation()

    def tell(self, state: Generation, problem: Problem, trial: Trial) -> Generation:
        """Notes a running trial, or a child, unless its network is in the population; lets the best survive when there are enough."""
        individual = individual_of(problem, trial, problem.scores(trial) if trial.done else None)
        known = {other.network: other.trial for other in (*state.members, *state.children)}
        if individual is not None and known.get(individual.network, trial.id) != trial.id:
            individual = None
        state = hear(state, trial, individual)
        if len(state.children) < self.population:
            return state
        pool = (*state.members, *state.children)
        scores, violations = [other.scores for other in pool], [other.violation for other in pool]
        return succeeded(state, tuple(pool[index] for index in survivors(scores, violations, self.population)))

    def ask(self, state: Generation, problem: Problem, rng: np.random.Generator) -> Proposal:
        """A random draw for the first generation, then a child of two winners of tournaments.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        return offspring(state, problem, self._variation(), _selector(state.members, rng), rng)

    def _variation(self) -> Variation:
        return Variation(self.name, self.crossover, self.crossover_rate, self.mutation, self.mutation_rate)


def _selector(members: tuple[Individual, ...], rng: np.random.Generator) -> Callable[[], Individual]:
    """Draws a parent each time it is called: the better of two by front, then by crowding, then the first drawn."""
    order = _order(tuple(known.scores for known in members), tuple(known.violation for known in members))

    def select() -> Individual:
        drawn: list[int] = rng.integers(len(members), size=2).tolist()
        return members[min(drawn, key=lambda index: order[index])]

    return select


@lru_cache(maxsize=64)
def _order(scores: tuple[tuple[float, ...], ...], violations: tuple[float, ...]) -> tuple[tuple[int, float], ...]:
    """A key for each individual, smaller for the better one; the same for a whole generation."""
    table = np.array(scores)
    keys = [(0, 0.0)] * len(scores)
    for level, front in enumerate(fronts(table, violations)):
        for index, distance in zip(front.tolist(), crowding(table[front]).tolist()):
            keys[index] = (level, -distance)
    return tuple(keys)
