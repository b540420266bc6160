"""The NASNet space (Zoph, Vasudevan, Shlens and Le, CVPR 2018, arXiv 1707.07012)."""

from __future__ import annotations

from archwright.space.combinators import choice, dag, op
from archwright.space.expression import STRIDE, WIDTH, Expression
from archwright.space.space import Space
from archwright.space.zoo.cells import cell_space


def nasnet(cells: int = 2, channels: int = 16, blocks: int = 5) -> Space:
    """NASNet: a normal and a reduction cell of 5 blocks, each joining two of 13 operations (Zoph et al. 2018).

    Args:
        cells: Normal cells in each of the three stages, which the paper calls N (6 on CIFAR-10).
        channels: Of the first stage; doubled at each reduction.
        blocks: In each cell, which the paper calls B.
    """
    operations = choice(
        op("identity", stride=STRIDE),
        op("fact_conv", kernel=3, stride=STRIDE, name="conv_1x3_3x1"),
        op("fact_conv", kernel=7, stride=STRIDE, name="conv_1x7_7x1"),
        op("relu_conv_bn", kernel=3, dilation=2, stride=STRIDE, name="dil_conv_3x3"),
        op("avg_pool", kernel=3, stride=STRIDE, name="avg_pool_3x3"),
        *(op("max_pool", kernel=size, stride=STRIDE, name=f"max_pool_{size}x{size}") for size in (3, 5, 7)),
        *(op("relu_conv_bn", kernel=size, stride=STRIDE, name=f"conv_{size}x{size}") for size in (1, 3)),
        *(op("sep_conv", kernel=size, stride=STRIDE, name=f"sep_conv_{size}x{size}") for size in (3, 5, 7)),
    )

    def cell(stride: int) -> Expression:
        return dag(
            blocks,
            inputs=2,
            edges="pairs",
            ops=operations,
            merge=choice("add", "concat"),
            node=op("adapt", width=WIDTH),
            output="loose",
            stride=stride,
        )

    return cell_space("nasnet", [cells] * 3, cell, channels, relu=True)
