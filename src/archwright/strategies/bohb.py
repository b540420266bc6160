"""BOHB: hyperband whose new architectures come from kernel densities of the good and the bad."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from archwright.problem import Problem, Proposal, Trial
from archwright.strategies.hyperband import Hyperband, HyperbandState
from archwright.strategies.kde import Kde, KdeState


class BohbState(msgspec.Struct, frozen=True):
    """What BOHB knows: the brackets of hyperband, and the results of all fidelities."""

    brackets: HyperbandState
    model: KdeState


@dataclasses.dataclass(frozen=True)
class Bohb:
    """Hyperband with kernel densities of good and bad architectures. Falkner et al. 2018, arXiv 1807.01774.

    Brackets, rungs and promotions are those of :class:`~archwright.strategies.hyperband.Hyperband`; new architectures come
    from :class:`~archwright.strategies.kde.Kde`, which hears the results of all brackets and fidelities and models those of
    the highest fidelity that has enough.

    Attributes:
        eta: Factor between the fidelities of two rungs; the best 1/eta of a rung are promoted.
        samples: Architectures drawn from the density of the good for a proposal.
        top: Share of the results that are good.
        widen: Factor of the bandwidths for drawing.
        random: Probability of a random draw instead.
        synchronous: Promote when all results of a rung are in; else as soon as one of eta can be.
    """

    eta: int = 3
    samples: int = 64
    top: float = 0.15
    widen: float = 3.0
    random: float = 1 / 3
    synchronous: bool = True
    name = "bohb"
    multi_fidelity = True

    def __post_init__(self) -> None:
        _ = self._hyperband, self._model

    def init(self, problem: Problem) -> BohbState:
        """Empty rungs in every bracket, and no observations.

        Raises:
            StrategyError: Where architectures of the space are not made choice by choice.
        """
        return BohbState(self._hyperband.init(problem), self._model.init(problem))

    def tell(self, state: BohbState, problem: Problem, trial: Trial) -> BohbState:
        """Tells the bracket that proposed the trial, and the model."""
        return BohbState(
            self._hyperband.tell(state.brackets, problem, trial), self._model.tell(state.model, problem, trial)
        )

    def ask(self, state: BohbState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """The promotion that is due, else a new architecture from the model.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        due = self._hyperband.promotion(state.brackets, problem)
        if due is not None:
            return due
        return self._hyperband.entered(state.brackets, problem, self._model.ask(state.model, problem, rng))

    @property
    def _hyperband(self) -> Hyperband:
        return Hyperband(eta=self.eta, synchronous=self.synchronous)

    @property
    def _model(self) -> Kde:
        return Kde(self.samples, self.top, self.widen, self.random)
