"""Blocks of the cell spaces, ReLU first: (N, C, H, W) to (N, width, ceil(H / stride), ceil(W / stride)); width None keeps C."""

# mypy: disable-error-code="no-any-return"
# ruff: noqa: D102

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archwright.graph.blocks.common import conv2d


class ReLUConvBN(nn.Module):
    """ReLU, convolution, batch norm."""

    def __init__(
        self,
        channels: int,
        width: int | None = None,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        affine: bool = True,
    ) -> None:
        super().__init__()
        width = width or channels
        self.act = nn.ReLU()
        self.conv = conv2d(channels, width, kernel, stride, dilation)
        self.bn = nn.BatchNorm2d(width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(self.act(x)))


class DilConv(nn.Module):
    """ReLU, dilated depthwise convolution, pointwise convolution, batch norm."""

    def __init__(
        self,
        channels: int,
        width: int | None = None,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 2,
        affine: bool = True,
    ) -> None:
        super().__init__()
        width = width or channels
        self.act = nn.ReLU()
        self.depthwise = conv2d(channels, channels, kernel, stride, dilation, groups=channels)
        self.pointwise = conv2d(channels, width)
        self.bn = nn.BatchNorm2d(width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.pointwise(self.depthwise(self.act(x))))


class SepConv(nn.Module):
    """ReLU, depthwise convolution, pointwise convolution, batch norm: twice."""

    def __init__(
        self, channels: int, width: int | None = None, kernel: int = 3, stride: int = 1, affine: bool = True
    ) -> None:
        super().__init__()
        self.first = DilConv(channels, channels, kernel, stride, 1, affine)
        self.second = DilConv(channels, width, kernel, 1, 1, affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class FactConv(nn.Module):
    """ReLU, a 1xk and a kx1 convolution, batch norm."""

    def __init__(
        self, channels: int, width: int | None = None, kernel: int = 7, stride: int = 1, affine: bool = True
    ) -> None:
        super().__init__()
        width = width or channels
        self.act = nn.ReLU()
        self.row = conv2d(channels, width, (1, kernel), (1, stride))
        self.column = conv2d(width, width, (kernel, 1), (stride, 1))
        self.bn = nn.BatchNorm2d(width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.column(self.row(self.act(x))))


class FactorizedReduce(nn.Module):
    """ReLU, two strided 1x1 convolutions of which the second sees the map shifted by one, batch norm."""

    def __init__(self, channels: int, width: int | None = None, stride: int = 2, affine: bool = True) -> None:
        super().__init__()
        width = width or channels
        self.act = nn.ReLU()
        self.shifted = stride > 1 and width > 1
        self.conv1 = conv2d(channels, width - width // 2 if self.shifted else width, stride=stride)
        self.conv2 = conv2d(channels, width // 2, stride=stride) if self.shifted else nn.Identity()
        self.bn = nn.BatchNorm2d(width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(x)
        if not self.shifted:
            return self.bn(self.conv1(x))
        shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return self.bn(torch.cat((self.conv1(x), self.conv2(shifted)), 1))


class BasicBlock(nn.Module):
    """Two ReLU-convolution-batch norm layers and a shortcut."""

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = ReLUConvBN(channels, width, 3, stride)
        self.conv2 = ReLUConvBN(width, width, 3)
        self.pool = (
            nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
        )
        self.shortcut = conv2d(channels, width) if stride > 1 or channels != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(self.pool(x)) + self.conv2(self.conv1(x))
