"""Blocks on images, activation last: (N, C, H, W) to (N, width, ceil(H / stride), ceil(W / stride))."""

# mypy: disable-error-code="no-any-return"
# ruff: noqa: D102

from __future__ import annotations

from torch import Tensor, nn

from archwright.graph.blocks.common import activation_layer, conv2d, identity_conv2d


class ConvBN(nn.Module):
    """Convolution and batch norm."""

    def __init__(
        self, channels: int, width: int, kernel: int | tuple[int, int] = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv = conv2d(channels, width, kernel, stride, dilation)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class ConvBNReLU(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int | tuple[int, int] = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.conv = conv2d(channels, width, kernel, stride, dilation)
        self.bn = nn.BatchNorm2d(width)
        self.act = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class ConvPoolBN(nn.Module):
    """Convolution, max pooling of whole windows, batch norm, activation.

    After Jordan 2024 (arXiv 2404.00498). The convolution begins as the identity on the first
    channels. The map becomes (width, H // pool, W // pool); a side that is shorter than the window
    is one window.
    """

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        width: int,
        kernel: int = 3,
        pool: int = 1,
        activation: str = "gelu",
    ) -> None:
        super().__init__()
        window = min(pool, in_shape[1]), min(pool, in_shape[2])
        self.conv = identity_conv2d(in_shape[0], width, kernel)
        self.pool = nn.MaxPool2d(window) if window != (1, 1) else nn.Identity()
        self.bn = nn.BatchNorm2d(width)
        self.act = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.pool(self.conv(x))))


class BNReLU(nn.Module):
    """Batch norm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(x))


class SepConvBN(nn.Module):
    """Depthwise then pointwise convolution, each with batch norm and activation."""

    def __init__(
        self, channels: int, width: int, kernel: int | tuple[int, int] = 3, stride: int = 1, activation: str = "relu"
    ) -> None:
        super().__init__()
        self.depthwise = conv2d(channels, channels, kernel, stride, groups=channels)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = activation_layer(activation)
        self.pointwise = conv2d(channels, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.act2 = activation_layer(activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.depthwise(x)))
        return self.act2(self.bn2(self.pointwise(x)))


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the means of all channels."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.act = nn.ReLU()
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.expand(self.act(self.reduce(x.mean((2, 3), keepdim=True)))))


class MBConv(nn.Module):
    """Inverted bottleneck: expand, depthwise, project; with a residual connection where the shape allows."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernel: int = 3,
        stride: int = 1,
        expansion: int = 4,
        activation: str = "relu",
        se: bool = False,
    ) -> None:
        super().__init__()
        hidden = channels * expansion
        self.expand = (
            nn.Sequential(conv2d(channels, hidden), nn.BatchNorm2d(hidden), activation_layer(activation))
            if expansion > 1
            else nn.Identity()
        )
        self.depthwise = nn.Sequential(
            conv2d(hidden, hidden, kernel, stride, groups=hidden), nn.BatchNorm2d(hidden), activation_layer(activation)
        )
        self.se = SqueezeExcite(hidden, max(1, channels // 4)) if se else nn.Identity()
        self.project = nn.Sequential(conv2d(hidden, width), nn.BatchNorm2d(width))
        self.residual = stride == 1 and channels == width

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(self.se(self.depthwise(self.expand(x))))
        return x + out if self.residual else out


class ConvNeXt(nn.Module):
    """Depthwise convolution, batch norm, two linear layers at each position, residual.

    After Liu et al. 2022 (arXiv 2201.03545), with batch norm for layer norm and no layer scale.
    """

    def __init__(
        self,
        channels: int,
        kernel: int = 7,
        expansion: int = 4,
        activation: str = "gelu",
        se: bool = False,
    ) -> None:
        super().__init__()
        hidden = channels * expansion
        self.depthwise = conv2d(channels, channels, kernel, groups=channels)
        self.bn = nn.BatchNorm2d(channels)
        self.expand = nn.Conv2d(channels, hidden, 1)
        self.act = activation_layer(activation)
        self.se = SqueezeExcite(hidden, max(1, channels // 4)) if se else nn.Identity()
        self.project = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.act(self.expand(self.bn(self.depthwise(x))))
        return x + self.project(self.se(out))
