"""Optimisers for weights of which each step uses a part, and for the numbers that weigh options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import EvaluationError
from archwright.evaluators.recipe import Recipe

LOST = 50
"""Steps in a row without a finite gradient after which a picker is said to have diverged."""


class SharedSGD:
    """Nesterov SGD in which weights without a gradient stay, with their momentum, as they are; weights may come and grow.

    Args:
        module: The supernet.
        recipe: Weight decay and the largest norm of the gradient.
    """

    momentum = 0.9

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        self.module, self.recipe = module, recipe
        self.velocity: dict[str, Tensor] = {}
        self._listed: tuple[Any, list[tuple[str, nn.Parameter]]] | None = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves the weights along their gradients and forgets these.

        Args:
            rate: Learning rate.
        """
        used = [(name, p) for name, p in self._named() if p.grad is not None]
        if self.recipe.clip is not None and used:
            nn.utils.clip_grad_norm_([p for _, p in used], self.recipe.clip)
        for decayed in (True, False):
            group = [(name, p) for name, p in used if (p.dim() > 1) == decayed]
            if not group:
                continue
            velocities = [self._velocity(name, p) for name, p in group]
            torch._fused_sgd_(
                [p for _, p in group],
                [p.grad for _, p in group if p.grad is not None],
                velocities,
                weight_decay=self.recipe.weight_decay if decayed else 0.0,
                momentum=self.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=True,
                maximize=False,
                is_first_step=False,
            )
        for _, parameter in used:
            parameter.grad = None

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        """All weights by name; listed again where places have come or grown."""
        version = getattr(self.module, "version", None)
        if self._listed is None or version is None or self._listed[0] != version:
            self._listed = version, list(self.module.named_parameters())
        return self._listed[1]

    def _velocity(self, name: str, parameter: Tensor) -> Tensor:
        found = self.velocity.get(name)
        if found is None or found.shape != parameter.shape:
            grown = torch.zeros_like(parameter, requires_grad=False)
            if found is not None:
                grown[tuple(slice(0, size) for size in found.shape)] = found
            found = self.velocity[name] = grown
        return found


class Adam:
    """Adam with decay in the gradient (Kingma and Ba 2015), for a few small tensors.

    Args:
        tensors: What moves, by name.
        rate: Learning rate.
        betas: Decay of the two means.
        decay: Added to the gradient, times the value.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], rate: float, betas: tuple[float, float] = (0.9, 0.999), decay: float = 0.0
    ) -> None:
        self.tensors, self.rate, self.betas, self.decay = dict(tensors), rate, betas, decay
        self.means = {name: torch.zeros(2, *tensor.shape) for name, tensor in tensors.items()}
        self.steps = dict.fromkeys(tensors, 0)
        self.lost = dict.fromkeys(tensors, 0)

    @torch.no_grad()
    def step(self, gradients: Mapping[str, Tensor | None] | None = None) -> None:
        """Moves the tensors along their gradients, or along those given, and forgets these; those without a finite one stay.

        Raises:
            EvaluationError: Where a tensor had no finite gradient for many steps in a row.
        """
        for name, tensor in self.tensors.items():
            gradient = tensor.grad if gradients is None else gradients.get(name)
            tensor.grad = None
            if gradient is None:
                continue
            if not gradient.isfinite().all():
                self.lost[name] += 1
                if self.lost[name] >= LOST:
                    raise EvaluationError(
                        f"What the picker learns, {name!r}, had no finite gradient for {LOST} steps in a row. "
                        "Lower the learning rate of the shared weights ('lr') or of the picker ('rate')."
                    )
                continue
            self.lost[name] = 0
            gradient = gradient + self.decay * tensor
            first, second = self.means[name]
            first.lerp_(gradient, 1 - self.betas[0])
            second.lerp_(gradient * gradient, 1 - self.betas[1])
            self.steps[name] += 1
            count = self.steps[name]
            scale = (second / (1 - self.betas[1] ** count)).sqrt_().add_(1e-8)
            tensor.sub_(self.rate * (first / (1 - self.betas[0] ** count)) / scale)

    def state(self) -> dict[str, Tensor]:
        """Everything that changes, by name."""
        counts = {f"{name}:steps": torch.tensor(float(count)) for name, count in self.steps.items()}
        return {f"{name}:means": value for name, value in self.means.items()} | counts

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes over what :meth:`state` gave."""
        for name in self.tensors:
            self.means[name].copy_(state[f"{name}:means"])
            self.steps[name] = int(state[f"{name}:steps"])
