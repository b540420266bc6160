"""Pooling: (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""

# mypy: disable-error-code="no-any-return"
# ruff: noqa: D102

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def pool_padding(shape: tuple[int, int, int], kernel: int, stride: int) -> tuple[int, int, int, int]:
    """The padding (left, right, top, bottom) with which windows of an even kernel give ceil(size / stride)."""
    pads = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in shape[:0:-1]]
    return pads[0] // 2, pads[0] - pads[0] // 2, pads[1] // 2, pads[1] - pads[1] // 2


class MaxPool(nn.Module):
    """Maximum over windows, optionally batch norm."""

    def __init__(self, in_shape: tuple[int, int, int], kernel: int = 3, stride: int = 1, bn: bool = False) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0) if kernel % 2 else pool_padding(in_shape, kernel, stride)
        self.pool = nn.MaxPool2d(kernel, stride, kernel // 2 if kernel % 2 else 0)
        self.bn = nn.BatchNorm2d(in_shape[0]) if bn else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if any(self.padding):
            x = F.pad(x, self.padding, value=float("-inf"))
        return self.bn(self.pool(x))


class AvgPool(nn.Module):
    """Average over windows without counting the padding, optionally batch norm."""

    def __init__(self, in_shape: tuple[int, int, int], kernel: int = 3, stride: int = 1, bn: bool = False) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0) if kernel % 2 else pool_padding(in_shape, kernel, stride)
        self.pool = nn.AvgPool2d(kernel, stride, kernel // 2 if kernel % 2 else 0, count_include_pad=False)
        self.bn = nn.BatchNorm2d(in_shape[0]) if bn else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if not any(self.padding):
            return self.bn(self.pool(x))
        inside = F.pad(x.new_ones(1, 1, *x.shape[2:]), self.padding)
        return self.bn(self.pool(F.pad(x, self.padding)) / self.pool(inside))


class Resize(nn.Module):
    """Average pooling to exactly (height, width); a map that is smaller is first repeated by the nearest neighbour."""

    def __init__(self, in_shape: tuple[int, int, int], height: int, width: int) -> None:
        super().__init__()
        rows, columns = max(in_shape[1], height), max(in_shape[2], width)
        self.grow = nn.Upsample((rows, columns)) if (rows, columns) != in_shape[1:] else nn.Identity()
        stride = rows // height, columns // width
        kernel = rows - (height - 1) * stride[0], columns - (width - 1) * stride[1]
        self.pool = nn.AvgPool2d(kernel, stride) if kernel != (1, 1) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.grow(x))
