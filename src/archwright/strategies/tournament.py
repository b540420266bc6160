"""Evolution in which nobody dies: the population only grows, and a share of it takes part in a tournament."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Problem, Proposal, Trial
from archwright.strategies.common import at_least
from archwright.strategies.evolution import EvolutionState, joined, offspring


@dataclasses.dataclass(frozen=True)
class Tournament:
    """Evolution without removal, by tournaments of a share of the population. Liu et al. 2018, arXiv 1711.00436.

    The first ``initial`` individuals are random draws. From then on the best of a share of all individuals so far, two at least, is mutated, and
    the child joins. A lucky result so remains a parent for ever, which the aging of :class:`~archwright.strategies.Evolution` avoids: prefer
    that where scores are noisy.

    Attributes:
        initial: Random draws at the start (the paper has 200, for 7,000 steps).
        share: Share of the population that takes part in a tournament, in (0, 1].
    """

    initial: int = 20
    share: float = 0.05
    name = "tournament"

    def __post_init__(self) -> None:
        at_least(self.name, "initial", self.initial, 1)
        if not 0 < self.share <= 1:
            raise StrategyError(
                f"Got share={self.share!r} for the strategy 'tournament'; expected a share of the population in (0, 1]."
            )

    def init(self, problem: Problem) -> EvolutionState:
        """An empty population."""
        return EvolutionState()

    def tell(self, state: EvolutionState, problem: Problem, trial: Trial) -> EvolutionState:
        """Notes a running trial; lets a finished one join, or corrects its score where it is a member."""
        return joined(state, problem, trial)

    def ask(self, state: EvolutionState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """A random draw at the start, then a mutation of a tournament's winner.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        return offspring(state, problem, rng, self.initial, self._sample)

    def _sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Who takes part in a tournament, as indices."""
        return rng.permutation(count)[: max(2, math.ceil(self.share * count))]
