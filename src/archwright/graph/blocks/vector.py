"""Blocks on vectors (N, F), or on those of each member of an ensemble (N, F, members)."""

# mypy: disable-error-code="no-any-return"
# ruff: noqa: D102

from __future__ import annotations

from torch import Tensor, nn

from archwright.graph.blocks.common import activation_layer


class Linear(nn.Linear):
    """Fully connected layer."""

    def __init__(self, features: int, width: int, bias: bool = True) -> None:
        super().__init__(features, width, bias)


class ScaledLinear(nn.Linear):
    """Fully connected layer without bias, times a constant that keeps the first outputs small."""

    def __init__(self, features: int, width: int, scale: float = 1 / 9) -> None:
        super().__init__(features, width, bias=False)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


class Dropout(nn.Dropout):
    """Zeroes features at random in training."""

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__(rate)


NORMS = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def norm_layer(name: str, features: int) -> nn.Module:
    """The norm of this name over features."""
    if name not in NORMS:
        raise ValueError(f"unknown norm {name!r}, expected one of {', '.join(NORMS)}")
    return NORMS[name](features)


def normed(norm: nn.Module, x: Tensor) -> Tensor:
    """Applies a norm to features that come last."""
    return norm(x.transpose(1, -1)).transpose(1, -1) if isinstance(norm, nn.BatchNorm1d) else norm(x)


class Dense(nn.Module):
    """Fully connected layer, norm ("none", "batch" or "layer"), activation, dropout."""

    def __init__(
        self, features: int, width: int, activation: str = "relu", norm: str = "none", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(features, width)
        self.norm = norm_layer(norm, width)
        self.act = activation_layer(activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = normed(self.norm, self.linear(x.transpose(1, -1)))
        return self.dropout(self.act(x)).transpose(1, -1)


class ResidualBlock(nn.Module):
    """Norm, linear layer, activation, dropout, linear layer, residual (Gorishniy et al. 2021)."""

    def __init__(
        self, features: int, ratio: float = 2, activation: str = "relu", norm: str = "batch", dropout: float = 0.0
    ) -> None:
        super().__init__()
        hidden = max(1, int(features * ratio))
        self.norm = norm_layer(norm, features)
        self.expand = nn.Linear(features, hidden)
        self.act = activation_layer(activation)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden, features)

    def forward(self, x: Tensor) -> Tensor:
        t = self.expand(normed(self.norm, x.transpose(1, -1)))
        return x + self.project(self.dropout(self.act(t))).transpose(1, -1)
