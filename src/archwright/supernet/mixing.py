"""What mixtures are made of: weighted sums, channels that pass by, and choices that an operation's weights or its block take in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archwright.errors import SupernetError, closest
from archwright.graph.graph import Graph

Term = tuple[str, tuple[int, ...], bool]
"""A factor: the weights of these options of a choice together, or, where true, one less them."""
Terms = tuple[Term, ...]
Weights = Mapping[str, Sequence[Tensor | None]]
"""For each choice the weight of each option."""


class Mix(nn.Module):
    """A weighted sum; what has fewer channels than the widest gets zeros for the others.

    Args:
        terms: For each input the factors of its weight.
        rest: The options that are not open; their weights are added, so that they get a gradient where they are zeros made by a hard choice.
    """

    def __init__(self, *, terms: tuple[Terms, ...], rest: Terms = ()) -> None:
        super().__init__()
        self.terms, self.rest = terms, rest
        self.weights: Weights | None = None

    def forward(self, *xs: Tensor) -> Tensor:
        """The sum.

        Args:
            *xs: Each ``(N, C, ...)``, equal but for C. In training an ensemble has its members last, others do not.
        """
        deepest = max(x.dim() for x in xs)
        xs = tuple(x[..., None] if x.dim() < deepest else x for x in xs)
        widest = max(xs, key=lambda x: x.shape[1])
        if self.weights is None:
            return widest
        total: Tensor | None = None
        for x, factors in zip(xs, self.terms):
            if x.shape[1] < widest.shape[1]:
                x = F.pad(x, (*(0,) * (2 * (x.dim() - 2)), 0, widest.shape[1] - x.shape[1]))
            for factor in factors:
                x = x * weight_of(factor, self.weights)
            total = x if total is None else total + x
        assert total is not None
        for address, options, _ in self.rest:
            for option in options:
                left = self.weights[address][option]
                if left is not None and left.requires_grad:
                    total = total + left
        return total


class Front(nn.Module):
    """The first channels of a map.

    Args:
        width: How many.
    """

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, ...)`` to ``(N, width, ...)``."""
        return x[:, : self.width]


class Beside(nn.Module):
    """A map with the other channels of the one it was made from beside it, in turns.

    Args:
        groups: Into how many the channels are divided; those of the first map are one of them.
    """

    def __init__(self, *, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, part: Tensor, whole: Tensor) -> Tensor:
        """``(N, C / groups, h, w)`` and ``(N, C, H, W)`` to ``(N, C, h, w)``."""
        rest = whole[:, part.shape[1] :]
        if rest.shape[2:] != part.shape[2:]:
            rest = F.adaptive_max_pool2d(rest, part.shape[2:])
        mixed = torch.cat((part, rest), 1)
        shape = mixed.shape
        shuffled: Tensor = mixed.view(shape[0], self.groups, -1, *shape[2:]).transpose(1, 2).reshape(shape)
        return shuffled


class Entangled(NamedTuple):
    """A choice among slices of one operation's weights.

    Attributes:
        address: Of the choice.
        options: Those that are open.
        masks: For each tensor that they cut: which part each has; see :func:`archwright.supernet.place.masks`.
    """

    address: str
    options: tuple[int, ...]
    masks: dict[str, Tensor]


class Relaxed(NamedTuple):
    """A choice of an attribute's setting that the operation's own block weighs (:attr:`archwright.graph.ops.OpSpec.relaxed`).

    Attributes:
        address: Of the choice.
        options: Those that are open.
        settings: What each of them sets the attribute to.
    """

    address: str
    options: tuple[int, ...]
    settings: tuple[Any, ...]

    def weighed(self, weights: Weights) -> list[tuple[Any, Tensor]]:
        """The settings with their weights; those without one are left out."""
        given = weights[self.address]
        pairs = [(setting, given[option]) for setting, option in zip(self.settings, self.options)]
        return [(setting, weight) for setting, weight in pairs if weight is not None]


Where = tuple[str, str]
"""An operation of a mixture: its scope and its name."""


class Mixture(NamedTuple):
    """The graph in which all active options are computed.

    Attributes:
        graph: With the settings of the first option, or the largest one, where an operation stands for several.
        entangled: For each operation, by address, the choices among slices of its weights.
        relaxed: For each operation, by attribute, the choices that its block weighs.
    """

    graph: Graph
    entangled: dict[Where, dict[str, Entangled]]
    relaxed: dict[Where, dict[str, Relaxed]]


def weight_of(term: Term, weights: Weights) -> Tensor:
    """The value of a factor."""
    address, options, negated = term
    values = [value for option in options if (value := weights[address][option]) is not None]
    total = values[0]
    for value in values[1:]:
        total = total + value
    return 1.0 - total if negated else total


def listed(address: str, given: Any, counts: Mapping[str, int]) -> Sequence[Tensor | None]:
    """The weights of a choice's options, one by one."""
    if address.endswith(":edges"):
        return list(given.unbind())
    if address not in counts:
        raise SupernetError(f"Got weights for {address!r}, which is no choice of the space. {closest(address, counts)}")
    values = list(given.unbind()) if isinstance(given, Tensor) else list(given)
    if len(values) != counts[address]:
        raise SupernetError(f"Got {len(values)} weights for the choice {address!r}; expected {counts[address]}.")
    return [value if value is None or isinstance(value, Tensor) else torch.tensor(float(value)) for value in values]


def expected(weights: Sequence[Tensor | None], options: tuple[int, ...], mask: Tensor) -> Tensor:
    """The weighted sum of the options' masks."""
    values = [weights[option] for option in options]
    chosen = torch.stack([value if value is not None else torch.zeros(()) for value in values])
    return (chosen.view(-1, *[1] * (mask.dim() - 1)) * mask).sum(0)
