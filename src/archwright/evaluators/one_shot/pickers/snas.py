"""A relaxed sample, learned with the weights."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor

from archwright.evaluators.one_shot.picker import Batch, Gradient
from archwright.evaluators.one_shot.shared import Shared


@dataclasses.dataclass(eq=False)
class Snas(Gradient):
    """A concrete sample of each choice; numbers and weights learn from the same loss on all rows (SNAS: Xie et al. 2019, arXiv 1812.09926).

    Attributes:
        hot: Temperature at the beginning.
        cold: Temperature at the end; in between it falls exponentially.
    """

    held: ClassVar[float] = 0.0
    reads: ClassVar[bool] = True

    hot: float = 1.0
    cold: float = 0.03

    def pick(self, shared: Shared) -> Any:
        """Samples of the concrete distributions (Maddison et al. 2017)."""
        temperature = self.hot * (self.cold / self.hot) ** shared.progress
        found = {}
        for address, alpha in self.alphas.items():
            noise = torch.from_numpy(shared.rng.gumbel(size=len(alpha))).float()
            found[address] = ((alpha.log_softmax(0) + noise) / temperature).softmax(0)
        return found

    def step(self, shared: Shared, batch: Batch) -> Tensor:
        """One loss for weights and numbers."""
        loss = super().step(shared, batch)
        self.optimizer.step()
        return loss
