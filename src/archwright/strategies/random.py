"""Random search: the control of every comparison."""

from __future__ import annotations

import dataclasses

import numpy as np

from archwright.problem import Problem, Proposal, Trial
from archwright.strategies.common import check_uniform, sample_feasible


@dataclasses.dataclass(frozen=True)
class Random:
    """Random search, the control of every comparison. Bergstra and Bengio 2012; arXiv 1902.07638.

    It has no state, and so needs none to be told: every proposal is an independent draw.

    Attributes:
        uniform: Draw uniformly over the architectures of the space, by exact counting, instead of choice by choice.
    """

    uniform: bool = False
    name = "random"

    def init(self, problem: Problem) -> tuple[()]:
        """The empty state."""
        if self.uniform:
            check_uniform(problem)
        return ()

    def tell(self, state: tuple[()], problem: Problem, trial: Trial) -> tuple[()]:
        """Nothing is learned."""
        return state

    def ask(self, state: tuple[()], problem: Problem, rng: np.random.Generator) -> Proposal:
        """A feasible draw.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        return Proposal(sample_feasible(problem, rng, uniform=self.uniform), why={"by": "random"})
