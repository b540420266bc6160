"""DARTS (Liu, Simonyan and Yang, ICLR 2019, arXiv 1806.09055)."""

from __future__ import annotations

from itertools import pairwise

from archwright.space.combinators import choice, dag, op
from archwright.space.expression import STRIDE, Expression
from archwright.space.space import Space
from archwright.space.zoo.cells import cell_space


def darts(cells: int = 8, channels: int = 16, nodes: int = 4) -> Space:
    """DARTS: a normal and a reduction cell of 4 nodes, 2 of the earlier states each, 8 operations (Liu et al. 2019).

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

    return cell_space("darts", stages, cell, channels)
