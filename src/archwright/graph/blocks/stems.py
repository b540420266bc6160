"""First layers of networks on images: (N, C, H, W) to a smaller map of more channels."""

# mypy: disable-error-code="no-any-return"
# ruff: noqa: D102

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archwright.graph.blocks.common import activation_layer


def cosines(count: int) -> np.ndarray:
    """The orthonormal basis of the discrete cosine transform, one row for each frequency."""
    frequencies, steps = np.arange(count)[:, None], np.arange(count) + 0.5
    scale = np.sqrt(np.where(frequencies, 2.0, 1.0) / count)
    return scale * np.cos(np.pi * steps * frequencies / count)


class Whitening(nn.Module):
    """A fixed convolution whose outputs are uncorrelated, and their negatives.

    After Jordan 2024 (arXiv 2404.00498). The filters are the principal components of patches of the
    training rows, each divided by its standard deviation. They are cosines until :meth:`calibrate`
    sees such rows. Only the bias is trained. The map is not padded: (N, C, H, W) becomes
    (N, 2 * C * patch**2, H - patch + 1, W - patch + 1). A side shorter than a patch is one patch.
    """

    weight: Tensor

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        patch: int = 2,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        channels, rows, columns = in_shape[0], min(patch, in_shape[1]), min(patch, in_shape[2])
        basis = np.kron(cosines(channels), np.kron(cosines(rows), cosines(columns)))
        filters = basis.reshape(-1, channels, rows, columns)
        self.register_buffer("weight", torch.tensor(np.concatenate([filters, -filters]), dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(2 * len(filters)))
        self.act = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(F.conv2d(x, self.weight, self.bias))

    def calibrate(self, x: Tensor) -> None:
        """Computes the filters from training rows (N, C, H, W)."""
        size, count = tuple(self.weight.shape[1:]), 0
        products = x.new_zeros(math.prod(size), math.prod(size))
        for rows in torch.split(x, 256):
            patches = F.unfold(rows.contiguous(), (size[1], size[2])).transpose(1, 2).flatten(0, 1)
            products, count = products + patches.T @ patches, count + len(patches)
        values, vectors = torch.linalg.eigh(products / count)
        floor = 5e-4 * values.mean().clamp_min(1e-12)
        filters = (vectors / torch.sqrt(values.clamp_min(0) + floor)).T.reshape(-1, *size)
        self.weight.copy_(torch.cat([filters, -filters]))


class PatchConv(nn.Module):
    """A linear layer on each patch, batch norm, activation.

    Rows and columns that fill no patch are left out; a side that is shorter than a patch is one.
    (N, C, H, W) becomes (N, width, H // patch, W // patch).
    """

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        width: int,
        patch: int = 2,
        activation: str = "none",
    ) -> None:
        super().__init__()
        size = min(patch, in_shape[1]), min(patch, in_shape[2])
        self.conv = nn.Conv2d(in_shape[0], width, size, size, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.act = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))
