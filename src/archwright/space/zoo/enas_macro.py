"""The macro space of ENAS (Pham, Guan, Zoph, Le and Dean, ICML 2018, arXiv 1802.03268): whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from archwright.space.combinators import chain, choice, op, parallel, shared, take
from archwright.space.expression import DOWN, OUTPUTS, Expression
from archwright.space.space import Space

_FOUND: Final = (
    ("conv_3x3", ""),
    ("sep_conv_5x5", "0"),
    ("conv_3x3", "10"),
    ("conv_5x5", "001"),
    ("conv_5x5", "0000"),
    ("sep_conv_5x5", "11010"),
    ("conv_5x5", "000001"),
    ("conv_5x5", "0110111"),
    ("sep_conv_3x3", "01110101"),
    ("conv_3x3", "000000000"),
    ("conv_5x5", "0000010000"),
    ("conv_3x3", "10011000011"),
    ("conv_5x5", "010000010110"),
    ("sep_conv_3x3", "0010001110101"),
    ("conv_3x3", "11010100000100"),
    ("conv_5x5", "001000000010101"),
    ("conv_5x5", "0100010011110010"),
    ("conv_5x5", "00001010100101001"),
    ("sep_conv_5x5", "011010000010101000"),
    ("sep_conv_5x5", "0110000000001100001"),
    ("conv_3x3", "10010110001000001100"),
    ("sep_conv_5x5", "010110010110110100100"),
    ("conv_3x3", "1010100000001010010000"),
    ("conv_3x3", "11000111010001010011000"),
)
"""The authors' network of 24 layers: operations, and which earlier outputs are added."""


def enas_macro(layers: int = 6, channels: int = 16) -> Space:
    """ENAS macro: layers of one of 6 operations, and skip connections from any earlier layers (Pham et al. 2018).

    A layer applies a 1x1 convolution and its operation to the layer before, and adds to that the outputs of the earlier
    layers it chooses; the first layer's input, the stem, is one of these. At one and two thirds of the layers all earlier
    outputs are halved by factorised reductions and doubled in width.

    Where it differs: the paper normalises each sum once more (here the next layer's 1x1 convolution has the batch norm), and
    doubles the width only for the final training.

    The reference ResNet-like adds to each layer what the layer before it read. With 24 layers there
    is also ENAS-like, the network that the authors published with their code; theirs joins outputs
    by a 1x1 convolution, not by a sum.

    Args:
        layers: How many; the paper has 12, which give 6^12 * 2^66 networks.
        channels: Of the first layers. The paper searches with 36 and reports with 96 and more.
    """
    parts: list[Expression] = [op("conv_bn", width=channels, kernel=3, name="stem")]
    reductions = sorted({layers // 3, 2 * layers // 3} - {0})
    width = channels
    for index in range(layers):
        if index in reductions:
            width *= 2
            reduced = (
                chain(take(state), op("factorized_reduce", width=width, stride=DOWN), name=f"state{state}")
                for state in range(index + 1)
            )
            parts.append(parallel(*reduced, merge=None, name=f"reduction{reductions.index(index) + 1}"))
        parts.append(_layer(index, width))
    residual = [("conv_3x3", "0" * (index - 1) + "1" if index else "") for index in range(layers)]
    references = {"ENAS-like": _choices(_FOUND)} if layers == len(_FOUND) else {}
    return Space(
        chain(*parts, take(layers), op("global_avg_pool"), op("linear", width=OUTPUTS, name="classifier")),
        "enas-macro",
        {"ResNet-like": _choices(residual), **references},
    )


def _choices(found: Sequence[tuple[str, str]]) -> dict[str, int | str]:
    """The choices of layers given by operation and skip connections."""
    chosen: dict[str, int | str] = {}
    for layer, (operation, skips) in enumerate(found):
        chosen[f"layer{layer}.op"] = operation
        chosen |= {f"layer{layer}.skip{state}": int(bit) for state, bit in enumerate(skips)}
    return chosen


def _layer(index: int, width: int) -> Expression:
    """From the outputs of the stem and of the layers before, in order, to those and the layer's own."""
    operation = choice(
        *(op("conv_bn_relu", kernel=size, width=width, name=f"conv_{size}x{size}") for size in (3, 5)),
        *(op("sep_conv_bn", kernel=size, width=width, name=f"sep_conv_{size}x{size}") for size in (3, 5)),
        *(op(f"{kind}_pool", kernel=3, name=f"{kind}_pool_3x3") for kind in ("avg", "max")),
    )
    enter = op("conv_bn_relu", kernel=1, width=width, name="enter")
    main = chain(take(index), enter, shared(f"layer{index}.op", operation), name="main")
    bit = choice(op("none", name="no"), op("identity", name="yes"))
    skips = (
        chain(take(state), shared(f"layer{index}.skip{state}", bit), name=f"skip{state}") for state in range(index)
    )
    return parallel(
        *(take(state) for state in range(index + 1)), parallel(main, *skips), merge=None, name=f"layer{index}"
    )
