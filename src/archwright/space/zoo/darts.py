"""DARTS (Liu, Simonyan and Yang, ICLR 2019, arXiv 1806.09055)."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from archwright.space.combinators import choice, dag, op
from archwright.space.expression import STRIDE, Expression
from archwright.space.space import Space
from archwright.space.zoo.cells import cell_space
from archwright.space.zoo.references import distinct

CELLS: Final = {
    "DARTS": distinct(
        normal="sep_conv_3x3~0 sep_conv_3x3~1 | sep_conv_3x3~0 sep_conv_3x3~1 | "
        "sep_conv_3x3~1 skip_connect~0 | skip_connect~0 dil_conv_3x3~2",
        reduction="max_pool_3x3~0 max_pool_3x3~1 | skip_connect~2 max_pool_3x3~1 | "
        "max_pool_3x3~0 skip_connect~2 | skip_connect~2 max_pool_3x3~1",
    ),
    "DARTS-first-order": distinct(
        normal="sep_conv_3x3~1 sep_conv_3x3~0 | skip_connect~0 sep_conv_3x3~1 | "
        "skip_connect~0 sep_conv_3x3~1 | sep_conv_3x3~0 skip_connect~2",
        reduction="max_pool_3x3~0 max_pool_3x3~1 | skip_connect~2 max_pool_3x3~0 | "
        "max_pool_3x3~0 skip_connect~2 | skip_connect~2 avg_pool_3x3~0",
    ),
    "PC-DARTS": distinct(
        normal="sep_conv_3x3~1 skip_connect~0 | sep_conv_3x3~0 dil_conv_3x3~1 | "
        "sep_conv_5x5~0 sep_conv_3x3~1 | avg_pool_3x3~0 dil_conv_3x3~1",
        reduction="sep_conv_5x5~1 max_pool_3x3~0 | sep_conv_5x5~1 sep_conv_5x5~2 | "
        "sep_conv_3x3~0 sep_conv_3x3~3 | sep_conv_3x3~1 sep_conv_3x3~2",
    ),
    "P-DARTS": distinct(
        normal="skip_connect~0 dil_conv_3x3~1 | skip_connect~0 sep_conv_3x3~1 | "
        "sep_conv_3x3~1 sep_conv_3x3~3 | sep_conv_3x3~0 dil_conv_5x5~4",
        reduction="avg_pool_3x3~0 sep_conv_5x5~1 | sep_conv_3x3~0 dil_conv_5x5~2 | "
        "max_pool_3x3~0 dil_conv_3x3~1 | dil_conv_3x3~1 dil_conv_5x5~3",
    ),
    "GDAS": distinct(
        normal="skip_connect~0 skip_connect~1 | skip_connect~0 sep_conv_5x5~2 | "
        "sep_conv_3x3~3 skip_connect~0 | sep_conv_5x5~4 sep_conv_3x3~3",
        reduction="sep_conv_5x5~0 sep_conv_3x3~1 | sep_conv_5x5~2 sep_conv_5x5~1 | "
        "dil_conv_5x5~2 sep_conv_3x3~1 | sep_conv_5x5~0 sep_conv_5x5~1",
    ),
}
"""Published cells of 4 nodes, found on CIFAR-10: by DARTS (second and first order), PC-DARTS (Xu et al. 2020, arXiv
1907.05737), P-DARTS (Chen et al. 2019, arXiv 1904.12760) and GDAS (Dong and Yang 2019, arXiv 1910.04465)."""


def darts(cells: int = 8, channels: int = 16, nodes: int = 4) -> Space:
    """DARTS: a normal and a reduction cell of 4 nodes, 2 of the earlier states each, 8 operations (Liu et al. 2019).

    The references are published cells of 4 nodes.

    Args:
        cells: How many in all, those at one and two thirds being reduction cells. The paper searches with 8 and
            reports with 20.
        channels: Of the first cells; doubled at each reduction. The paper searches with 16 and reports with 36.
        nodes: In each cell.
    """
    operations = choice(
        op("none", stride=STRIDE),
        op("max_pool", kernel=3, stride=STRIDE, name="max_pool_3x3"),
        op("avg_pool", kernel=3, stride=STRIDE, name="avg_pool_3x3"),
        op("identity", stride=STRIDE, name="skip_connect"),
        op("sep_conv", kernel=3, stride=STRIDE, name="sep_conv_3x3"),
        op("sep_conv", kernel=5, stride=STRIDE, name="sep_conv_5x5"),
        op("dil_conv", kernel=3, stride=STRIDE, name="dil_conv_3x3"),
        op("dil_conv", kernel=5, stride=STRIDE, name="dil_conv_5x5"),
    )
    reductions = sorted({cells // 3, 2 * cells // 3} - {0})
    stages = [stop - start - 1 for start, stop in pairwise([-1, *reductions, cells])]

    def cell(stride: int) -> Expression:
        return dag(nodes, inputs=2, edges=2, ops=operations, output="nodes", stride=stride)

    return cell_space("darts", stages, cell, channels, references=CELLS if nodes == 4 else None)
