"""Differentiable architecture search."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from archwright.evaluators.one_shot.picker import Batch, Gradient
from archwright.evaluators.one_shot.shared import Shared
from archwright.space.weightless import weightless

LOOKS = 40
"""How often in a training it is looked whether the search collapses."""
SETTLED = 0.1
"""Share of the training before which the numbers say little."""


@dataclasses.dataclass(eq=False)
class Darts(Gradient):
    """A softmax over the options of each choice, learned on held-out rows by gradient descent (DARTS: Liu et al. 2019, arXiv 1806.09055).

    The first order takes the shared weights as they are; the second looks one step of their training ahead, the curvature by finite differences.

    Attributes:
        order: 1 or 2.
        early: Whether the numbers stay as they were before the most probable architecture took too many operations without weights to be an
            accident (in the spirit of DARTS+: Liang et al. 2019, arXiv 1909.06035).
    """

    order: int = 1
    early: bool = False

    def begin(self, shared: Shared) -> None:
        """Numbers close to zero."""
        super().begin(shared)
        self.stopped, self.looks = False, 0
        self.sound = {address: alpha.detach().clone() for address, alpha in self.alphas.items()}

    def _look(self, shared: Shared) -> None:
        """Looks whether the search collapses, and if so goes back to the numbers of the look before."""
        likely = next(iter(super().derive(shared)), None)
        found = None if likely is None else weightless(shared.net.space, likely)
        self.stopped = found is not None and found.collapsed and shared.progress >= SETTLED
        with torch.no_grad():
            for address, alpha in self.alphas.items():
                if self.stopped:
                    alpha.copy_(self.sound[address])
                else:
                    self.sound[address] = alpha.clone()

    def state(self) -> dict[str, Tensor]:
        """Numbers, moments, and the numbers to fall back on."""
        more = {f"sound:{address}": value for address, value in self.sound.items()} if self.early else {}
        return super().state() | more | {"stopped": torch.tensor([float(self.stopped), float(self.looks)])}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes them over."""
        super().load(state)
        self.stopped, self.looks = bool(state["stopped"][0]), int(state["stopped"][1])
        if self.early:
            self.sound = {address: state[f"sound:{address}"].clone() for address in self.alphas}

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Moves the numbers along the gradient of the held-out loss."""
        if self.early and not self.stopped and shared.progress * LOOKS >= self.looks + 1:
            self.looks = int(shared.progress * LOOKS)
            self._look(shared)
        if self.stopped:
            return
        if self.order == 1:
            super().learn(shared, train, held)
            return
        self.optimizer.step(dict(zip(self.alphas, self.unrolled(shared, train, held))))

    def unrolled(self, shared: Shared, train: Batch, held: Batch) -> list[Tensor]:
        """The gradient of the held-out loss after one step of the shared weights, a tensor for each choice.

        The step has weight decay and (plain) momentum, as the authors' has; it is not clipped.
        """
        alphas, names = list(self.alphas.values()), [name for name, _ in shared.net.named_parameters()]
        weights: list[Tensor] = [p for _, p in shared.net.named_parameters()]
        rate = shared.recipe.rate(shared.progress)
        gradients = torch.autograd.grad(shared.loss(self.pick(shared), train), weights, allow_unused=True)
        backup = [w.detach().clone() for w in weights]
        with torch.no_grad():
            for name, weight, gradient in zip(names, weights, gradients):
                if gradient is not None:
                    decay = shared.recipe.weight_decay if weight.dim() > 1 else 0.0
                    direction = gradient + decay * weight
                    velocity = shared.optimizer.velocity.get(name)
                    if velocity is not None and velocity.shape == weight.shape:
                        direction = direction + shared.optimizer.momentum * velocity
                    weight.sub_(rate * direction)
        loss = shared.loss(self.pick(shared), held)
        ahead = torch.autograd.grad(loss, [*alphas, *weights], allow_unused=True)
        direct = [g if g is not None else torch.zeros_like(a) for g, a in zip(ahead, alphas)]
        vector: list[Tensor | None] = list(ahead[len(alphas) :])
        with torch.no_grad():
            torch._foreach_copy_(weights, backup)
        product = self.hessian_product(shared, train, weights, vector)
        return [first - rate * second for first, second in zip(direct, product)]

    def hessian_product(
        self, shared: Shared, train: Batch, weights: list[Tensor], vector: list[Tensor | None]
    ) -> list[Tensor]:
        """The second derivative of the training loss by numbers and weights, times a vector, by finite differences."""
        norm = torch.stack([v.norm() for v in vector if v is not None]).norm()
        step = 0.01 / norm.clamp_min(1e-12)
        backup = [w.detach().clone() for w in weights]
        sides, masks = [], torch.get_rng_state()
        for sign in (1.0, -1.0):
            with torch.no_grad():
                for weight, value, v in zip(weights, backup, vector):
                    weight.copy_(value if v is None else value + sign * step * v)
            torch.set_rng_state(masks)  # the same dropout on both sides, or their difference is noise
            loss = shared.loss(self.pick(shared), train)
            sides.append(torch.autograd.grad(loss, list(self.alphas.values()), allow_unused=True))
        with torch.no_grad():
            torch._foreach_copy_(weights, backup)
        return [
            torch.zeros_like(a) if plus is None or minus is None else (plus - minus) / (2 * step)
            for a, plus, minus in zip(self.alphas.values(), *sides)
        ]
