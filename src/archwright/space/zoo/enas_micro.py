"""The micro space of ENAS (Pham, Guan, Zoph, Le and Dean, ICML 2018, arXiv 1802.03268): cells."""

from __future__ import annotations

from typing import Final

from archwright.space.combinators import choice, dag, op
from archwright.space.expression import STRIDE, Expression
from archwright.space.space import Space
from archwright.space.zoo.cells import cell_space
from archwright.space.zoo.references import pairs

CELLS: Final = {
    "ENAS": pairs(
        normal="avg_pool_3x3~0 sep_conv_3x3~0 | identity~0 sep_conv_5x5~0 | identity~0 sep_conv_5x5~1 | "
        "sep_conv_3x3~1 sep_conv_5x5~0 | avg_pool_3x3~0 sep_conv_5x5~1",
        reduction="sep_conv_3x3~1 sep_conv_3x3~1 | max_pool_3x3~0 avg_pool_3x3~0 | sep_conv_5x5~1 sep_conv_5x5~3 | "
        "sep_conv_3x3~1 identity~0 | max_pool_3x3~0 sep_conv_5x5~1",
    )
}
"""The cells of 5 blocks that the authors' code trains, found on CIFAR-10."""


def enas_micro(cells: int = 2, channels: int = 16, blocks: int = 5) -> Space:
    """ENAS micro: a normal and a reduction cell of 5 blocks, each adding two of 5 operations (Pham et al. 2018).

    The outputs of a cell that no block of it reads are concatenated. The stack is that of NASNet. The reference has the
    cells that the authors published with their code.

    Args:
        cells: Normal cells in each of the three stages; the paper searches with 2 and reports with 5.
        channels: Of the first stage; doubled at each reduction. The paper searches with 20 and reports with 36.
        blocks: In each cell; the paper counts the cell's two inputs too, and has 7.
    """
    operations = choice(
        op("identity", stride=STRIDE),
        *(op("sep_conv", kernel=size, stride=STRIDE, name=f"sep_conv_{size}x{size}") for size in (3, 5)),
        *(op(f"{kind}_pool", kernel=3, stride=STRIDE, name=f"{kind}_pool_3x3") for kind in ("avg", "max")),
    )

    def cell(stride: int) -> Expression:
        return dag(blocks, inputs=2, edges="pairs", ops=operations, output="loose", stride=stride)

    return cell_space("enas-micro", [cells] * 3, cell, channels, relu=True, references=CELLS if blocks == 5 else None)
