"""The NASNet space (Zoph, Vasudevan, Shlens and Le, CVPR 2018, arXiv 1707.07012)."""

from __future__ import annotations

from typing import Final

from archwright.space.combinators import choice, dag, op
from archwright.space.expression import STRIDE, WIDTH, Expression
from archwright.space.space import Space
from archwright.space.zoo.cells import cell_space
from archwright.space.zoo.references import pairs

_ADDED: Final = {f"{cell}.node{node}.merge": "add" for cell in ("normal", "reduction") for node in range(2, 7)}
CELLS: Final = {
    "AmoebaNet-A": _ADDED
    | pairs(
        normal="avg_pool_3x3~0 max_pool_3x3~1 | sep_conv_3x3~0 sep_conv_5x5~2 | sep_conv_3x3~0 avg_pool_3x3~3 | "
        "sep_conv_3x3~1 identity~1 | identity~0 avg_pool_3x3~1",
        reduction="avg_pool_3x3~0 sep_conv_3x3~1 | max_pool_3x3~0 sep_conv_7x7~2 | sep_conv_7x7~0 avg_pool_3x3~1 | "
        "max_pool_3x3~0 max_pool_3x3~1 | conv_1x7_7x1~0 sep_conv_3x3~5",
    ),
    "NASNet-A-like": _ADDED
    | pairs(
        normal="sep_conv_5x5~1 sep_conv_3x3~0 | sep_conv_5x5~0 sep_conv_3x3~0 | avg_pool_3x3~1 identity~0 | "
        "avg_pool_3x3~0 avg_pool_3x3~0 | sep_conv_3x3~1 identity~1",
        reduction="sep_conv_5x5~1 sep_conv_7x7~0 | max_pool_3x3~1 sep_conv_7x7~0 | avg_pool_3x3~1 sep_conv_5x5~0 | "
        "identity~3 avg_pool_3x3~2 | sep_conv_3x3~2 max_pool_3x3~1",
    ),
}
"""Published cells of 5 blocks, found on CIFAR-10: NASNet-A, and AmoebaNet-A (Real et al. 2019, arXiv 1802.01548)."""


def nasnet(cells: int = 2, channels: int = 16, blocks: int = 5) -> Space:
    """NASNet: a normal and a reduction cell of 5 blocks, each joining two of 13 operations (Zoph et al. 2018).

    The references are published cells of 5 blocks. The published NASNet-A also concatenates the older input of a normal
    cell, and a block of the reduction cell that another block reads.

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

    return cell_space("nasnet", [cells] * 3, cell, channels, relu=True, references=CELLS if blocks == 5 else None)
