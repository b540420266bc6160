"""Blocks on rows of tables, whose entries are numbers and one-hot groups: (N, F).

The layout of a row is the tuple of the sizes of its columns: 1 for a number, k for a one-hot group.
An empty layout means that every entry is a number.
"""

# mypy: disable-error-code="no-any-return"
# ruff: noqa: D102

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

RANGE = 2.0
"""Numbers are expected between -RANGE and RANGE before the training rows are seen."""


def runs(features: int, columns: tuple[int, ...], numbers: bool) -> list[tuple[int, int]]:
    """The entries ``(start, stop)`` of a row that are numbers (neighbours together) or one-hot groups."""
    if columns and sum(columns) != features:
        raise ValueError(f"got rows of {features} entries for columns of {sum(columns)}, expected the task's own rows")
    found: list[tuple[int, int]] = []
    start = 0
    for size in columns or (1,) * features:
        if (size == 1) == numbers:
            joined = numbers and bool(found) and found[-1][1] == start
            found[-1:] = [(found[-1][0], start + 1)] if joined else [*found[-1:], (start, start + size)]
        start += size
    return found


def entries(x: Tensor, places: list[tuple[int, int]]) -> Tensor:
    """These entries of each row, side by side."""
    return torch.cat([x[:, start:stop] for start, stop in places], 1)


class EntryScale(nn.Module):
    """A learned factor for each entry (RealMLP), which learns six times as fast as other weights."""

    SPEED = 6.0

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((features,), 1 / self.SPEED))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.weight * self.SPEED)


class ColumnEmbedding(nn.Module):
    """Base of embeddings: each number becomes ``width`` features.

    Each category gets ``categories`` features beside its one-hot entry. The features of the numbers come first,
    then the one-hot groups, then the features of the categories.
    """

    def __init__(self, features: int, columns: tuple[int, ...], parts: int, width: int, categories: int) -> None:
        super().__init__()
        self.numbers = runs(features, columns, True)
        self.groups = runs(features, columns, False)
        self.count = sum(stop - start for start, stop in self.numbers)
        self.weight = nn.Parameter(torch.empty(self.count, parts, width).normal_(std=parts**-0.5))
        self.bias = nn.Parameter(torch.zeros(self.count, 1, width))
        sizes = [stop - start for start, stop in self.groups] if categories else []
        self.tables = nn.ParameterList(torch.empty(size, categories).normal_(std=categories**-0.5) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        found = []
        if self.numbers:
            numbers = entries(x, self.numbers)
            embedded = torch.matmul(self.encode(numbers).transpose(0, 1), self.weight) + self.bias
            found += [*self.beside(numbers), embedded.transpose(0, 1).flatten(1)]
        found += [x[:, start:stop] for start, stop in self.groups]
        for (start, stop), table in zip(self.groups, self.tables):
            found.append(torch.matmul(x[:, start:stop], table))
        return torch.cat(found, 1)

    def encode(self, numbers: Tensor) -> Tensor:
        """What the linear layer of each number gets: (N, count) to (N, count, parts)."""
        raise NotImplementedError

    def beside(self, numbers: Tensor) -> list[Tensor]:
        """What stands beside the embedded numbers."""
        return [numbers]


class PeriodicEmbedding(ColumnEmbedding):
    """Waves of learned frequencies, a linear layer, and the number itself beside (PBLD of RealMLP)."""

    def __init__(
        self,
        features: int,
        columns: tuple[int, ...] = (),
        width: int = 3,
        frequencies: int = 16,
        sigma: float = 0.1,
        categories: int = 0,
    ) -> None:
        super().__init__(features, columns, frequencies, width, categories)
        self.frequency = nn.Parameter(torch.empty(self.count, frequencies).normal_(std=2 * math.pi * sigma))
        self.phase = nn.Parameter(torch.empty(self.count, frequencies).uniform_(-math.pi, math.pi))

    def encode(self, numbers: Tensor) -> Tensor:
        return torch.cos(numbers[:, :, None] * self.frequency + self.phase)


class PiecewiseEmbedding(ColumnEmbedding):
    """Piecewise linear functions of each number (Gorishniy et al. 2022, arXiv 2203.05556).

    The bins are quantiles of the training rows; before they are known, they are equally wide. The functions
    begin as straight lines.
    """

    left: Tensor
    size: Tensor

    def __init__(
        self, features: int, columns: tuple[int, ...] = (), width: int = 8, bins: int = 16, categories: int = 0
    ) -> None:
        super().__init__(features, columns, bins + 1, width, categories)
        edges = torch.linspace(-RANGE, RANGE, bins + 1).expand(self.count, -1)
        self.register_buffer("left", edges[:, :-1].clone())
        self.register_buffer("size", torch.full((self.count, bins), 2 * RANGE / bins))
        start = torch.zeros(self.count, bins + 1, width)
        start[:, -1:].normal_()
        self.weight = nn.Parameter(start)

    def encode(self, numbers: Tensor) -> Tensor:
        filled = ((numbers[:, :, None] - self.left) / self.size).clamp(0, 1)
        return torch.cat((filled, numbers[:, :, None]), 2)

    def beside(self, numbers: Tensor) -> list[Tensor]:
        return []

    def calibrate(self, x: Tensor) -> None:
        """Sets the bins of each number by these rows; bins that it does not need stay empty."""
        if not self.numbers:
            return
        for place, values in enumerate(entries(x, self.numbers).unbind(1)):
            edges = bin_edges(values, self.left.shape[1])
            used = len(edges) - 1
            self.left[place] = edges[-1]
            self.size[place] = 1.0
            self.left[place, :used] = edges[:-1]
            self.size[place, :used] = edges.diff()


def bin_edges(values: Tensor, bins: int) -> Tensor:
    """Edges of at most this many bins: quantiles, and if some are equal, those of the distinct others."""
    edges = torch.quantile(values, torch.linspace(0, 1, bins + 1)).unique()  # type: ignore[no-untyped-call]
    others = values[~torch.isin(values, edges)].unique()  # type: ignore[no-untyped-call]
    free = min(bins + 1 - len(edges), len(others))
    chosen = others[torch.linspace(0, len(others) - 1, free + 2).long()[1:-1]] if free else others[:0]
    return torch.cat((edges, chosen)).unique()  # type: ignore[no-untyped-call]


class ColumnTokens(nn.Module):
    """Each column as a token of ``width`` features (FT-Transformer): (F,) to (width, columns)."""

    def __init__(self, features: int, columns: tuple[int, ...] = (), width: int = 32) -> None:
        super().__init__()
        self.numbers = runs(features, columns, True)
        self.groups = runs(features, columns, False)
        count = sum(stop - start for start, stop in self.numbers)
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(count, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count + len(self.groups), width).uniform_(-bound, bound))
        self.tables = nn.ParameterList(
            torch.empty(stop - start, width).uniform_(-bound, bound) for start, stop in self.groups
        )

    def forward(self, x: Tensor) -> Tensor:
        found = [entries(x, self.numbers)[:, :, None] * self.weight] if self.numbers else []
        for (start, stop), table in zip(self.groups, self.tables):
            found.append(torch.matmul(x[:, start:stop], table)[:, None])
        return (torch.cat(found, 1) + self.bias).transpose(1, 2)


class Members(nn.Module):
    """The row with random signs for each member of an ensemble: (F,) to (F, members).

    The signs are learned on. Layers that come later are shared by the members (TabM-mini, Gorishniy et al. 2025, arXiv 2410.24210).
    """

    def __init__(self, features: int, members: int = 16) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(members, features).uniform_(-1, 1).sign())

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, None] * self.weight).transpose(1, 2)


class MemberHead(nn.Module):
    """A fully connected layer for each member of an ensemble: (F, members) to (width,).

    In training it gives the outputs of each member, (N, width, members), so that each has its own loss. In
    evaluation it gives their mean; of several outputs, which are logits, the logarithm of the mean probability.
    """

    def __init__(self, in_shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        if len(in_shape) != 2:
            raise ValueError(f"got the shape {in_shape}, expected (features, members): put `members` before it")
        features, members = in_shape
        bound = features**-0.5
        self.weight = nn.Parameter(torch.empty(members, features, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, width).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.matmul(x.permute(2, 0, 1), self.weight) + self.bias
        if self.training:
            return outputs.permute(1, 2, 0)
        if outputs.shape[2] == 1:
            return outputs.mean(0)
        return outputs.log_softmax(2).logsumexp(0) - math.log(outputs.shape[0])
