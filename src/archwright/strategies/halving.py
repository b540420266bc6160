"""Asynchronous successive halving over any proposer."""

from __future__ import annotations

import dataclasses

import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Problem, Proposal, Strategy, Trial
from archwright.strategies.common import at_least
from archwright.strategies.evolution import Evolution
from archwright.strategies.rungs import Rungs, RungsState, ladder


@dataclasses.dataclass(frozen=True)
class Halving:
    """Asynchronous successive halving (ASHA) over any proposer. Li et al. 2020, arXiv 1810.05934.

    New architectures are trained at the lowest rung. Whenever a worker is free, the highest rung of which less than 1/eta
    are promoted promotes the best of the others: it is trained further, from its checkpoint where there is one, in a new
    trial whose parent is the lower one. Where no promotion is due, the proposer is asked for a new architecture. Ties go
    to the network with fewer parameters. The proposer hears every score on the scale of the lowest rung (see
    :mod:`archwright.strategies.rungs`).

    The paper promotes whatever is among the best 1/eta at some time. A proposer that improves gives a new best again and
    again, and would so have most of a rung promoted, each for a moment; here 1/eta of a rung is a bound that holds.

    Attributes:
        proposer: The strategy that proposes new architectures.
        eta: Factor between the fidelities of two rungs; the best 1/eta of a rung are promoted.
        rungs: How many rungs, the highest being the problem's full fidelity; fewer where there are too few epochs.
    """

    proposer: Strategy = dataclasses.field(default_factory=Evolution)
    eta: int = 3
    rungs: int = 3
    name = "halving"
    multi_fidelity = True

    def __post_init__(self) -> None:
        at_least(self.name, "eta", self.eta, 2)
        at_least(self.name, "rungs", self.rungs, 1)
        if not callable(getattr(self.proposer, "ask", None)):
            raise StrategyError(
                f"Got proposer={self.proposer!r} for 'halving'; expected a strategy, such as Evolution()."
            )

    def init(self, problem: Problem) -> RungsState:
        """Empty rungs."""
        return self._engine(problem).init(problem)

    def tell(self, state: RungsState, problem: Problem, trial: Trial) -> RungsState:
        """Notes a running trial, or files the result of one that is done."""
        return self._engine(problem).tell(state, problem, trial)

    def ask(self, state: RungsState, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """The promotion that is due, else a new architecture."""
        engine = self._engine(problem)
        return engine.promotion(state) or engine.propose(state, problem, rng)

    def _engine(self, problem: Problem) -> Rungs:
        levels = ladder(problem.fidelity, self.eta, self.rungs)
        return Rungs(self.proposer, self.eta, levels, 0, len(levels) - 1)
