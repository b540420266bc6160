"""Weights drawn from a Dirichlet distribution."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from archwright.evaluators.one_shot.picker import Batch, Gradient
from archwright.evaluators.one_shot.shared import Shared


@dataclasses.dataclass(eq=False)
class Drnas(Gradient):
    """The weights of each choice drawn from a Dirichlet distribution that is learned (DrNAS: Chen et al. 2021, arXiv 2006.10355).

    Attributes:
        pull: Strength of the pull of the concentrations towards 1.
    """

    reads: ClassVar[bool] = True

    pull: float = 1e-3

    def concentrations(self) -> dict[str, Tensor]:
        """Of the Dirichlet distributions; at least 0.01, below which gradients of samples overflow."""
        return {address: (functional.elu(alpha) + 1.0).clamp_min(0.01) for address, alpha in self.alphas.items()}

    def probabilities(self) -> dict[str, Tensor]:
        """The means of the distributions."""
        return {address: value / value.sum() for address, value in self.concentrations().items()}

    def pick(self, shared: Shared) -> Any:
        """A sample of each distribution, with its gradient."""
        return {
            address: torch.distributions.Dirichlet(value, validate_args=False).rsample()
            for address, value in self.concentrations().items()
        }

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Moves the numbers along the gradient of the held-out loss and the pull."""
        distance = sum((value - 1.0).square().sum() for value in self.concentrations().values())
        loss = shared.loss(self.pick(shared), held) + self.pull * distance
        gradients = torch.autograd.grad(loss, list(self.alphas.values()), allow_unused=True)
        self.optimizer.step(dict(zip(self.alphas, gradients)))
