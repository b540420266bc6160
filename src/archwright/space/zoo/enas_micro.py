"""The micro space of ENAS (Pham, Guan, Zoph, Le and Dean, ICML 2018, arXiv 1802.03268): cells."""

from __future__ import annotations

from archwright.space.combinators import chain, choice, dag, op, shared
from archwright.space.expression import OUTPUTS, STRIDE
from archwright.space.space import Space
from archwright.space.zoo.cells import stack


def enas_micro(cells: int = 2, channels: int = 16, blocks: int = 5) -> Space:
    """ENAS micro: a normal and a reduction cell of 5 blocks, each adding two of 5 operations (Pham et al. 2018).

    The outputs of a cell that no block of it reads are concatenated. The stack is that of NASNet.

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
    normal, reduction = (
        shared(name, dag(blocks, inputs=2, edges="pairs", ops=operations, output="loose", stride=stride))
        for name, stride in (("normal", 1), ("reduction", 2))
    )
    return Space(
        chain(
            op("conv_bn", width=3 * channels, kernel=3, name="stem"),
            stack([cells] * 3, normal, reduction, channels),
            op("relu"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS, name="classifier"),
        ),
        "enas-micro",
    )
