"""One path at a time, with a gradient."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor

from archwright.evaluators.one_shot.picker import DRAWS, Batch, Gradient
from archwright.evaluators.one_shot.shared import Shared


@dataclasses.dataclass(eq=False)
class Gdas(Gradient):
    """One option of each choice drawn by the Gumbel maximum, with the gradient of the softmax (GDAS: Dong and Yang 2019, arXiv 1910.04465).

    Attributes:
        hot: Temperature at the beginning.
        cold: Temperature at the end; in between it falls linearly.
    """

    reads: ClassVar[bool] = True

    hot: float = 10.0
    cold: float = 0.1

    def hard(self, shared: Shared) -> dict[str, Tensor]:
        """For each choice one-hot weights, whose gradient is that of the tempered softmax of numbers and Gumbel noise."""
        temperature = self.hot + (self.cold - self.hot) * shared.progress
        found = {}
        for address, alpha in self.alphas.items():
            noise = torch.from_numpy(shared.rng.gumbel(size=len(alpha))).float()
            soft = ((alpha.log_softmax(0) + noise) / temperature).softmax(0)
            hard = torch.nn.functional.one_hot(soft.argmax(), len(alpha)).float()
            found[address] = hard - soft.detach() + soft
        return found

    def _loss(self, shared: Shared, batch: Batch) -> Tensor:
        for _ in range(DRAWS):
            weights = self.hard(shared)
            chosen = {address: int(value.argmax()) for address, value in weights.items()}
            if shared.feasible(shared.net.space.fill(lambda address, _, chosen=chosen: chosen[address])):  # type: ignore[misc]
                break
        return shared.loss(weights, batch, {address: (option,) for address, option in chosen.items()})

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Moves the numbers along the gradient of the held-out loss of one path."""
        loss = self._loss(shared, held)
        if loss.requires_grad:
            gradients = torch.autograd.grad(loss, list(self.alphas.values()), allow_unused=True)
            self.optimizer.step(dict(zip(self.alphas, gradients)))

    def pick(self, shared: Shared) -> Any:
        """The architecture drawn; a feasible one."""
        return self.path(shared, lambda: {address: int(value.argmax()) for address, value in self.hard(shared).items()})
