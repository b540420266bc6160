"""Convolutional networks for images from 8x8 up, made for search on a CPU.

References, each in some sizes, named by family and size:

- ``speednet``: fixed whitening filters, then three pairs of convolutions, the first of each with
  a pool before its norm (Jordan 2024, arXiv 2404.00498). The number multiplies the widths 64,
  256, 256.
- ``resnet``: residual blocks of two convolutions (He et al. 2016, arXiv 1512.03385).
- ``mobilenet``: inverted bottlenecks with squeeze and excitation (Howard et al. 2019, arXiv
  1905.02244).
- ``convnext``: patches and ConvNeXt blocks (Liu et al. 2022, arXiv 2201.03545).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from archwright.space.combinators import chain, choice, integer, op, parallel, repeat, shared
from archwright.space.expression import DOWN, OUTPUTS, Choice, Expression
from archwright.space.space import Space

_SCALE: Final = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_WIDTHS: Final = (_SCALE[:9], _SCALE[2:], _SCALE[2:], _SCALE[3:])

_USUAL: Final = (32, 96, 128, 192)
"""The width of each stage that random draws favour."""

_HALF: Final = DOWN[3]


class _Reference(NamedTuple):
    """A network of the space.

    Attributes:
        common: Choices outside stages.
        entries: How each stage begins.
        blocks: Choices that are the same in every stage.
        widths: Of each stage.
        more: Blocks of each stage beside its first layer.
    """

    common: dict[str, str]
    entries: tuple[str, ...]
    blocks: dict[str, str]
    widths: tuple[int, ...]
    more: int


def cnn(depth: int = 4, widths: Sequence[Sequence[int]] = _WIDTHS) -> Space:
    """Convolutional networks in stages, for images from 8x8 up: stems, blocks, widths, heads.

    A stage begins with a layer that sets the width and halves the map, unless it would fall below
    3x3, and goes on with blocks of one kind: plain or residual convolutions, separable ones,
    inverted bottlenecks, ConvNeXt blocks. Random draws favour early pools inside plain blocks, and
    moderate widths that grow.

    Args:
        depth: Largest number of layers and blocks in a stage.
        widths: For each stage the widths to choose from; stages after the second may be left out.
    """
    kinds = choice("gelu", "relu", "silu", "hardswish", weights=(5, 2, 2, 1))
    activation = shared("activation", kinds)
    stages = [_stage(index, options, depth, activation) for index, options in enumerate(widths)]
    extra = (
        choice(stage, op("identity", name="none"), weights=weights, name=f"extra{number}")
        for number, (stage, weights) in enumerate(zip(stages[2:], [(4, 1), *[(1, 4)] * len(stages)]))
    )
    body = chain(
        _resolution(),
        _stem(widths[0], activation),
        *stages[:2],
        *extra,
        choice(
            op("global_max_pool", name="max"),
            op("global_avg_pool", name="mean"),
            weights=(2, 1),
            name="pool",
        ),
        choice(
            op("scaled_linear", width=OUTPUTS, name="scaled"),
            op("linear", width=OUTPUTS, name="plain"),
            weights=(2, 1),
            name="classifier",
        ),
    )
    fitting = {name: made for name, made in _references().items() if _fits(made, depth, widths)}
    return Space(body, "cnn", {name: _choices(made, len(widths)) for name, made in fitting.items()})


def _resolution() -> Expression:
    """Halves large pictures until their sides are below 96 or 48; leaves small ones alone."""
    lower = (
        repeat(op("avg_pool", kernel=DOWN[least], stride=DOWN[least]), 3, name=f"below{2 * least}")
        for least in (48, 24)
    )
    return choice(op("identity", name="full"), *lower, weights=(1, 5, 3), name="resolution")


def _stem(widths: Sequence[int], activation: Expression) -> Expression:
    """The first layer."""
    width = shared("stem.width", _around(24, widths))
    return choice(
        op("whitening", patch=choice(2, 3, weights=(4, 1)), activation=activation),
        op("conv_bn_relu", width=width, kernel=3, activation=activation, name="conv"),
        op(
            "conv_bn_relu",
            width=width,
            kernel=7,
            stride=_HALF,
            activation=activation,
            name="strided",
        ),
        op(
            "patch_conv",
            width=width,
            patch=choice(2, 4, weights=(3, 1)),
            activation=activation,
            name="patches",
        ),
        weights=(6, 2, 1, 1),
        name="stem",
    )


def _stage(index: int, widths: Sequence[int], depth: int, activation: Expression) -> Expression:
    """The layer that sets the width and halves the map, and the blocks."""
    name = f"stage{index}"
    width = shared(f"{name}.width", _around(_USUAL[min(index, len(_USUAL) - 1)], widths))
    kernel = shared(f"{name}.kernel", choice(3, 5, weights=(6, 1)))
    conv: dict[str, Any] = {"width": width, "activation": activation}
    dense = conv | {"kernel": kernel if index == 0 else 3}
    halved = conv | {"kernel": 3, "stride": _HALF}
    entries: list[Expression] = [
        op("conv_pool_bn", **dense, pool=_HALF, name="pooled"),
        op("conv_bn_relu", **halved, name="strided"),
        chain(op("max_pool", kernel=_HALF, stride=_HALF), op("conv_pool_bn", **dense), name="max"),
        op("patch_conv", width=width, patch=_HALF, name="patches"),
        op("mbconv", **halved, expansion=4, name="inverted"),
    ]
    weights = [6.0, 2, 1, 1, 1]
    if index == 0:
        entries.append(op("conv_pool_bn", **dense, name="kept"))
        weights.append(1)
    entry = choice(*entries, weights=weights, name="entry")
    if depth == 1:
        return shared(name, entry)
    skip = op("identity", name="skip")
    block = shared(
        f"{name}.block",
        choice(
            op("conv_pool_bn", **dense, name="plain"),
            parallel(
                chain(op("conv_pool_bn", **dense), op("conv_pool_bn", **dense), name="convs"),
                skip,
                name="residual",
            ),
            parallel(op("sep_conv_bn", **conv, kernel=kernel, name="conv"), skip, name="separable"),
            op(
                "mbconv",
                **conv,
                kernel=kernel,
                expansion=choice(2, 4, 6, weights=(1, 2, 1)),
                se=choice(False, True),
                name="inverted",
            ),
            op(
                "convnext",
                kernel=choice(3, 5, 7, weights=(1, 2, 1)),
                expansion=choice(2, 4),
                activation=activation,
                name="convnext",
            ),
            weights=(6, 3, 1, 1, 1),
        ),
    )
    more = integer(0, depth - 1, weights=[2, 6, 3, 1, *[0.5] * depth][:depth], name="more")
    return shared(name, chain(entry, repeat(block, more, name="blocks")))


def _around(usual: int, widths: Sequence[int]) -> Choice:
    """A choice of widths of which draws favour those near the usual one, on a logarithmic scale."""
    weights = [round((1 + math.log2(width / usual) ** 2) ** -1.5, 3) for width in widths]
    return choice(*widths, weights=weights)


def _references() -> dict[str, _Reference]:
    """The networks that are known to be good, by name."""
    fast = {"stem": "whitening", "stem.whitening.patch": "2", "pool": "max", "classifier": "scaled"}
    usual = {"pool": "mean", "classifier": "plain"}
    plain = {"kernel": "3", "block": "plain"}
    made = {
        f"speednet-{size}": _Reference(
            fast | {"activation": "gelu"},
            ("pooled",) * 3,
            plain,
            tuple(int(width * size) for width in (64, 256, 256)),
            1,
        )
        for size in (0.5, 0.375, 0.75, 1.0, 1.5, 2.0)
    }
    for size, width, more in (("small", 16, 1), ("medium", 32, 1), ("large", 64, 2)):
        made[f"resnet-{size}"] = _Reference(
            usual | {"activation": "relu", "stem": "conv", "stem.width": str(width)},
            ("kept", "strided", "strided"),
            {"kernel": "3", "block": "residual"},
            (width, 2 * width, 4 * width),
            more,
        )
    inverted = {"block": "inverted", "block.inverted.expansion": "4", "block.inverted.se": "True"}
    for size, width, more in (("small", 16, 1), ("medium", 24, 2), ("large", 32, 3)):
        made[f"mobilenet-{size}"] = _Reference(
            usual | {"activation": "hardswish", "stem": "conv", "stem.width": str(width)},
            ("inverted",) * 3,
            inverted | {"kernel": "3"},
            (width, 2 * width, 4 * width),
            more,
        )
    convnext = {"block.convnext.kernel": "5", "block.convnext.expansion": "4"}
    for size, width, more in (("small", 32, 1), ("medium", 48, 2), ("large", 64, 3)):
        stem = {"stem": "patches", "stem.width": str(width), "stem.patches.patch": "2"}
        made[f"convnext-{size}"] = _Reference(
            usual | stem | {"activation": "gelu"},
            ("kept", "patches", "patches"),
            convnext | {"kernel": "3", "block": "convnext"},
            (width, 2 * width, 4 * width),
            more,
        )
    return made


def _fits(made: _Reference, depth: int, widths: Sequence[Sequence[int]]) -> bool:
    """Whether a space with these options has the network."""
    stem = made.common.get("stem.width", str(widths[0][0]))
    return (
        len(made.widths) <= len(widths)
        and made.more < depth
        and int(stem) in widths[0]
        and all(width in options for width, options in zip(made.widths, widths))
    )


def _choices(made: _Reference, stages: int) -> dict[str, str]:
    """The choices that make the network in a space of so many stages."""
    choices = {"resolution": "below96", **made.common}
    for index in range(stages):
        name = f"stage{index}"
        if index >= 2:
            choices[f"extra{index - 2}"] = name if index < len(made.widths) else "none"
        if index < len(made.widths):
            choices |= {f"{name}.{key}": option for key, option in made.blocks.items()}
            choices[f"{name}.entry"] = made.entries[index]
            choices[f"{name}.width"] = str(made.widths[index])
            choices[f"{name}.blocks.more"] = str(made.more)
    return choices
