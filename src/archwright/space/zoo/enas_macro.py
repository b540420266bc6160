"""The macro space of ENAS (Pham, Guan, Zoph, Le and Dean, ICML 2018, arXiv 1802.03268): whole networks."""

from __future__ import annotations

from archwright.space.combinators import chain, choice, op, parallel, shared, take
from archwright.space.expression import DOWN, OUTPUTS, Expression
from archwright.space.space import Space


def enas_macro(layers: int = 6, channels: int = 16) -> Space:
    """ENAS macro: layers of one of 6 operations, and skip connections from any earlier layers (Pham et al. 2018).

    A layer applies a 1x1 convolution and its operation to the layer before, and adds to that the outputs of the earlier
    layers it chooses; the first layer's input, the stem, is one of these. At one and two thirds of the layers all earlier
    outputs are halved by factorised reductions and doubled in width.

    Where it differs: the paper normalises each sum once more (here the next layer's 1x1 convolution has the batch norm), and
    doubles the width only for the final training.

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
    return Space(
        chain(*parts, take(layers), op("global_avg_pool"), op("linear", width=OUTPUTS, name="classifier")), "enas-macro"
    )


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
