"""SGD with Nesterov momentum and AdamW, on torch's fused kernels.

The arithmetic is that of ``torch.optim``. Calling the kernels directly spares small networks 0.2 ms a step, which is a tenth of their time, and
every worker the import of torch's compiler, which the first ``torch.optim`` optimiser of a process brings: seconds and 100 MB.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import EvaluationError
from archwright.evaluators.recipe import Recipe

MOMENTUM = 0.9
BETA1, BETA2 = 0.9, 0.999
EPSILON = 1e-8
MUON_MOMENTUM = 0.6
ITERATIONS = 3
HIDDEN, HEAD, VECTORS = 1.25, 2.5, 0.2
"""With Muon, the learning rates of other matrices, of the last of them and of vectors, relative to its own."""


@dataclasses.dataclass
class Group:
    """Parameters that move alike.

    Attributes:
        parameters: In the order of the module.
        moments: For each parameter its velocity (SGD, Muon), or the means of its gradient and of the square (AdamW).
        steps: For each parameter the steps it took part in; zero-dimensional float32.
        decay: Weight decay.
        kind: ``"sgd"``, ``"adamw"`` or ``"muon"``.
        factor: What the learning rate is multiplied by.
    """

    parameters: list[nn.Parameter]
    moments: tuple[list[Tensor], ...]
    steps: list[Tensor]
    decay: float
    kind: str
    factor: float = 1.0

    @classmethod
    def of(cls, parameters: list[nn.Parameter], decay: float, kind: str, factor: float = 1.0) -> Group:
        """Return a group at rest."""
        count = 2 if kind == "adamw" else 1
        moments = tuple([torch.zeros_like(p, requires_grad=False) for p in parameters] for _ in range(count))
        return cls(parameters, moments, [torch.zeros((), device=p.device) for p in parameters], decay, kind, factor)

    def step(self, rate: float) -> None:
        """Move the parameters that have a gradient, and forget the gradients."""
        used = [index for index, parameter in enumerate(self.parameters) if parameter.grad is not None]
        if not used:
            return
        parameters, steps = _pick(self.parameters, used), _pick(self.steps, used)
        moments = [_pick(values, used) for values in self.moments]
        gradients = [parameter.grad for parameter in parameters]
        _MOVES[self.kind](parameters, gradients, moments, steps, self.decay, rate * self.factor)
        for parameter in parameters:
            parameter.grad = None


@dataclasses.dataclass
class Optimizer:
    """Groups of parameters and how they move.

    Attributes:
        groups: Matrices and kernels, which are decayed; then biases, normalisation and other vectors, which are not.
            With Muon the dense kernels first, which keep their norm in place of being decayed.
    """

    groups: tuple[Group, ...]

    @classmethod
    def of(cls, module: nn.Module, recipe: Recipe) -> Optimizer:
        """An optimiser at rest.

        Raises:
            EvaluationError: If the network has no parameters.
        """
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if not parameters:
            raise EvaluationError("The network has no parameters to train; expected at least one layer with weights.")
        matrices, vectors = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() <= 1]
        decay = recipe.weight_decay
        if recipe.optimizer != "muon":
            kind = recipe.optimizer
            return cls((Group.of(matrices, decay, kind), Group.of(vectors, 0.0, kind)))
        dense = [p for p in matrices if p.dim() == 4 and p.shape[1] > 1 and p[0, 0].numel() > 1]
        others = [p for p in matrices if not any(p is kernel for kernel in dense)]
        return cls(
            (
                Group.of(dense, 0.0, "muon"),
                Group.of(others[:-1], decay, "sgd", HIDDEN),
                Group.of(others[-1:], decay, "sgd", HEAD),
                Group.of(vectors, 0.0, "sgd", VECTORS),
            )
        )

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves the parameters along their gradients and forgets the gradients; those without a gradient stay.

        Args:
            rate: Learning rate.
        """
        for group in self.groups:
            group.step(rate)

    def lay_out(self) -> None:
        """Gives the moments the memory layout of their parameters, which the kernels rely on."""
        for group in self.groups:
            for moments in group.moments:
                moments[:] = [
                    torch.empty_like(p, requires_grad=False).copy_(moment)
                    for p, moment in zip(group.parameters, moments)
                ]

    def tensors(self) -> dict[str, Tensor]:
        """Everything that changes, by name."""
        named: dict[str, Tensor] = {}
        for number, group in enumerate(self.groups):
            for kind, values in enumerate((group.steps, *group.moments)):
                named |= {f"{number}.{kind}.{index}": value for index, value in enumerate(values)}
        return named

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Takes over what :meth:`tensors` gave.

        Raises:
            KeyError: Where a tensor is missing.
            RuntimeError: Where one has another shape.
        """
        for name, value in self.tensors().items():
            value.copy_(tensors[name])


def _pick(values: list[Any], used: list[int]) -> list[Any]:
    return values if len(used) == len(values) else [values[index] for index in used]


def _sgd(parameters: Any, gradients: Any, moments: Any, steps: Any, decay: float, rate: float) -> None:
    torch._fused_sgd_(
        parameters,
        gradients,
        moments[0],
        weight_decay=decay,
        momentum=MOMENTUM,
        lr=rate,
        dampening=0.0,
        nesterov=True,
        maximize=False,
        is_first_step=False,
    )


def _adamw(parameters: Any, gradients: Any, moments: Any, steps: Any, decay: float, rate: float) -> None:
    torch._foreach_add_(steps, 1.0)
    torch._fused_adamw_(
        parameters,
        gradients,
        moments[0],
        moments[1],
        [],
        steps,
        lr=rate,
        beta1=BETA1,
        beta2=BETA2,
        weight_decay=decay,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


def _muon(parameters: Any, gradients: Any, moments: Any, steps: Any, decay: float, rate: float) -> None:
    for parameter, gradient, velocity in zip(parameters, gradients, moments[0]):
        velocity.mul_(MUON_MOMENTUM).add_(gradient)
        ahead = gradient.add(velocity, alpha=MUON_MOMENTUM)
        norm = parameter.norm()
        parameter.sub_(orthogonalised(ahead.flatten(1)).view_as(ahead), alpha=rate)
        parameter.mul_(norm / parameter.norm().clamp_min(EPSILON))


_MOVES = {"sgd": _sgd, "adamw": _adamw, "muon": _muon}


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return nearly the orthogonal matrix nearest to a matrix, by Newton-Schulz iterations.

    The singular values come out between 0.7 and 1.2 (Jordan et al. 2024), those far below the largest less.

    Args:
        matrix: Of shape (m, n).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if tall else matrix
    found = found / found.norm().clamp_min(1e-7)
    for _ in range(ITERATIONS):
        square = found @ found.T
        found = 3.4445 * found + (-4.7750 * square + 2.0315 * square @ square) @ found
    result: Tensor = found.T if tall else found
    return result
