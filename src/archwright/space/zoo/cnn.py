"""Convolutional networks for images from 8x8 up, made for search on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

from archwright.space.combinators import chain, choice, integer, op, parallel, repeat, shared
from archwright.space.expression import DOWN, OUTPUTS, Expression
from archwright.space.space import Space

_WIDTHS = ((8, 16, 24, 32), (16, 32, 48, 64), (32, 64, 96, 128))


def cnn(depth: int = 3, widths: Sequence[Sequence[int]] = _WIDTHS) -> Space:
    """Convolutional networks in stages, for images from 8x8 up: kinds, widths, kernels, depths, pooling, skips.

    A stage has one kind of block: plain (He et al. 2016), depthwise-separable (Howard et al. 2017) or inverted bottleneck
    (Sandler et al. 2018), with or without skips. A stage but the first begins by halving the map, by a strided
    convolution or a pool, unless the map would fall below 4x4. The last stage may be left out.

    Args:
        depth: Largest number of blocks in a stage.
        widths: For each stage the widths to choose from.
    """
    activation = shared("activation", choice("relu", "silu", "hardswish"))
    stages = [_stage(f"stage{index}", options, depth, activation) for index, options in enumerate(widths)]
    last: list[Expression] = [choice(op("identity", name="none"), stages[-1], name="last")] if len(stages) > 1 else []
    return Space(
        chain(*(stages[:-1] or stages), *last, op("global_avg_pool"), op("linear", width=OUTPUTS, name="classifier")),
        "cnn",
    )


def _stage(name: str, widths: Sequence[int], depth: int, activation: Expression) -> Expression:
    """Blocks of one kind and width.

    The skip of a plain or separable block is projected where the width changes; an inverted one has its own skip.
    """
    settings = {
        "width": shared(f"{name}.width", choice(*widths)),
        "kernel": shared(f"{name}.kernel", choice(3, 5)),
        "activation": activation,
    }
    skip = shared(f"{name}.skip", choice(op("none", name="no"), op("adapt", width=settings["width"], name="yes")))
    block = shared(
        f"{name}.block",
        choice(
            parallel(op("conv_bn_relu", **settings, name="conv"), skip, name="plain"),
            parallel(op("sep_conv_bn", **settings, name="conv"), skip, name="separable"),
            op("mbconv", **settings, expansion=choice(2, 4), name="inverted"),
        ),
    )
    strided = op("conv_bn_relu", width=settings["width"], kernel=3, stride=DOWN, activation=activation, name="conv")
    if name == "stage0":
        first: list[Expression] = [
            op("conv_bn_relu", width=settings["width"], kernel=3, activation=activation, name="stem")
        ]
    else:
        pools = (op(kind, kernel=DOWN, stride=DOWN) for kind in ("max_pool", "avg_pool"))
        first = [choice(strided, *pools, name="down"), block]
    more = integer(0, depth - 1, name="more")
    return chain(*first, repeat(block, more, name="blocks"), name=name) if depth > 1 else chain(*first, name=name)
