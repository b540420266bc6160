"""Blocks of vision transformers. Tokens stay images: every position of a map (N, D, H, W) is one token of D features.

A smaller setting (width, heads, ratio) has parameters that are leading slices of a larger one's.
"""

# mypy: disable-error-code="no-any-return"
# ruff: noqa: D102

from __future__ import annotations

import torch
from torch import Tensor, nn


def tokens(x: Tensor) -> Tensor:
    """The positions of a map in a row, features last: (N, D, H, W) to (N, H * W, D)."""
    return x.flatten(2).transpose(1, 2)


class PatchEmbed(nn.Module):
    """A linear layer on each patch and a learned vector for its position.

    The map is zero-padded to whole patches; a side that is shorter than a patch is one patch. (N, C, H, W) becomes
    (N, width, ceil(H / patch), ceil(W / patch)).
    """

    def __init__(self, in_shape: tuple[int, int, int], width: int, patch: int = 4) -> None:
        super().__init__()
        channels, height, columns = in_shape
        size = min(patch, height), min(patch, columns)
        rest = -height % size[0], -columns % size[1]
        self.project = nn.Conv2d(channels, width, size, size, ((rest[0] + 1) // 2, (rest[1] + 1) // 2))
        shape = width, (height + rest[0]) // size[0], (columns + rest[1]) // size[1]
        self.position = nn.Parameter(torch.randn(1, *shape) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(x) + self.position


class Attention(nn.Module):
    """Layer norm, self-attention of all positions, residual; the first heads are the first features of q, k and v."""

    def __init__(self, channels: int, heads: int = 4, head_dim: int = 16) -> None:
        super().__init__()
        self.heads = heads
        self.scale = head_dim**-0.5
        self.norm = nn.LayerNorm(channels)
        self.q = nn.Linear(channels, heads * head_dim)
        self.k = nn.Linear(channels, heads * head_dim)
        self.v = nn.Linear(channels, heads * head_dim)
        self.out = nn.Linear(heads * head_dim, channels)

    def forward(self, x: Tensor) -> Tensor:
        t = self.norm(tokens(x))
        q, k, v = (layer(t).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        weights = (q @ k.transpose(2, 3) * self.scale).softmax(3)
        mixed = self.out((weights @ v).transpose(1, 2).flatten(2))
        return x + mixed.transpose(1, 2).unflatten(2, x.shape[2:])


class FeedForward(nn.Module):
    """Layer norm, two linear layers with GELU between them on each position, residual."""

    def __init__(self, channels: int, ratio: float = 4) -> None:
        super().__init__()
        hidden = max(1, int(channels * ratio))
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, hidden)
        self.act = nn.GELU()
        self.project = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        t = self.project(self.act(self.expand(self.norm(tokens(x)))))
        return x + t.transpose(1, 2).unflatten(2, x.shape[2:])


class LayerNorm(nn.Module):
    """Layer norm over the features of each position."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)
