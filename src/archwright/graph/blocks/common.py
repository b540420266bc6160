"""What several blocks share."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import torch
from torch import nn

ACTIVATIONS = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def activation_layer(name: str) -> nn.Module:
    """The activation of this name."""
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}, expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def conv2d(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 1,
    stride: int | tuple[int, int] = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """A convolution without bias whose output measures ceil(size / stride), Kaiming-initialised."""
    rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError(f"got the even kernel {kernel}, expected an odd one")
    padding = dilation * (rows // 2), dilation * (columns // 2)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


def identity_conv2d(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """A convolution without bias that begins as the identity on the first channels."""
    layer = conv2d(inputs, outputs, kernel)
    layer.reset_parameters()
    kept = min(inputs, outputs)
    with torch.no_grad():
        layer.weight[:kept].zero_()
        layer.weight[:kept, :kept, kernel // 2, kernel // 2].fill_diagonal_(1.0)
    return layer
