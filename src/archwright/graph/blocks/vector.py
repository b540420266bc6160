"""Blocks on vectors: (N, F) to (N, width)."""

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


class Dense(nn.Module):
    """Fully connected layer, norm ("none", "batch" or "layer"), activation, dropout."""

    def __init__(
        self, features: int, width: int, activation: str = "relu", norm: str = "none", dropout: float = 0.0
    ) -> None:
        super().__init__()
        norms = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
        if norm not in norms:
            raise ValueError(f"unknown norm {norm!r}, expected one of {', '.join(norms)}")
        self.linear = nn.Linear(features, width)
        self.norm = norms[norm](width)
        self.act = activation_layer(activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.act(self.norm(self.linear(x))))
