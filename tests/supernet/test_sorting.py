"""Units sorted by importance: the largest network stays what it was, the smaller ones get the best."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archwright.graph.blocks.attention import Attention, FeedForward
from archwright.graph.blocks.image import ConvNeXt, MBConv
from archwright.problem import Signature
from archwright.space import get_space
from archwright.supernet import Supernet
from archwright.supernet.sorting import sort_units, units_of

BLOCKS: dict[str, tuple[str, nn.Module]] = {
    "mbconv": ("mbconv", MBConv(4, 6, expansion=3)),
    "mbconv with se": ("mbconv", MBConv(4, 4, expansion=3, se=True)),
    "convnext": ("convnext", ConvNeXt(4, 3, expansion=3)),
    "convnext with se": ("convnext", ConvNeXt(4, 3, expansion=3, se=True)),
    "ffn": ("ffn", FeedForward(8, 3)),
    "attention": ("attention", Attention(8, heads=4, head_dim=3)),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("training", [True, False])
def test_sorting_changes_nothing_that_is_computed(name: str, training: bool) -> None:
    op, block = BLOCKS[name]
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in (*block.parameters(), *block.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    x = torch.randn(3, block.norm.normalized_shape[0] if hasattr(block, "norm") else 4, 5, 5, generator=generator)
    block.train(training)
    before = block(x)
    assert sort_units(op, block) is not None
    torch.testing.assert_close(block(x), before, atol=1e-4, rtol=1e-4)
    assert sort_units(op, block) is None


@pytest.mark.parametrize("name", BLOCKS)
def test_the_most_important_units_come_first(name: str) -> None:
    op, block = BLOCKS[name]
    sort_units(op, block)
    units = units_of(op, block)
    assert units is not None
    axes, reader, rows = units
    norms = block.get_parameter(reader).transpose(0, axes[reader]).flatten(1).abs().sum(1).view(-1, rows).sum(1)
    assert bool((norms.diff() <= 1e-6).all())


def test_operations_without_units_inside_are_left_alone() -> None:
    assert sort_units("conv_bn", nn.Conv2d(2, 2, 1)) is None
    assert sort_units("mbconv", MBConv(4, 4, expansion=1)) is None


@pytest.mark.parametrize("name", ["mobilenet", "vit"])
def test_the_largest_path_of_a_supernet_is_unchanged(name: str) -> None:
    net = Supernet(get_space(name), Signature(((1, 12, 12),), (4,)))
    largest = net.space.fill(lambda address, count: count - 1)
    x = torch.randn(2, 1, 12, 12)
    before = net(x, largest)
    moved = net.sort()
    assert moved
    assert set(moved) <= {key for key, _ in net.named_parameters()}
    torch.testing.assert_close(net(x, largest), before, atol=1e-5, rtol=1e-5)
