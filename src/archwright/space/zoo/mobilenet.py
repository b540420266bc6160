"""Stages of inverted bottlenecks: ProxylessNAS (Cai, Zhu and Han, ICLR 2019, arXiv 1812.00332) and once-for-all (Cai,
Gan, Wang, Zhang and Han, ICLR 2020, arXiv 1908.09791).

Both have a smaller network inside a larger one: fewer blocks are the first ones, a smaller expansion has the leading
channels, a smaller kernel lies in the centre of a larger one.

The papers' sizes, for images of 224x224:

- Once-for-all, 2.2e19 networks: ``mobilenet(widths=(24, 40, 80, 112, 160), strides=(2, 2, 2, 2, 1, 2), depths=(4,) * 5,
  stem=(16, 16), head=960)``. The paper's MobileNetV3 also has squeeze-and-excitation and hard-swish in some stages and a
  second layer in the classifier; its input resolution, which it searches too, belongs to the data here.
- ProxylessNAS, 6^6 * 7^15 networks: ``mobilenet("proxyless", widths=(24, 40, 80, 96, 192, 320),
  strides=(2, 2, 2, 2, 1, 2, 1), depths=(4, 4, 4, 4, 4, 1), stem=(32, 16), head=1280)``; ReLU stands for ReLU6.
- MobileNetV2, one of them: ``mobilenet(widths=(24, 32, 64, 96, 160, 320), strides=(2, 2, 2, 2, 1, 2, 1),
  depths=(2, 3, 4, 3, 3, 1), stem=(32, 16), head=1280)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

from archwright.errors import SpaceError, closest
from archwright.space.combinators import chain, choice, integer, op, repeat
from archwright.space.expression import DOWN, OUTPUTS, Expression, Symbol
from archwright.space.space import Space
from archwright.space.zoo.references import with_references

_EXPANSIONS = {"ofa": (3, 4, 6), "proxyless": (3, 6)}
_V2: Final = ((24, 32, 64, 96, 160, 320), (2, 2, 2, 2, 1, 2, 1), (32, 16), 1280)
_V2_DEPTHS: Final = (2, 3, 4, 3, 3, 1)
_V3: Final = ((3, (4, 3)), (5, (3, 5, 5)), (3, (6, 2.5, 2.3, 2.3)), (3, (6, 6)), (5, (6, 6, 6)))
"""Of each stage of MobileNetV3-large from 24 channels on, the kernel and the expansion of each block."""
Block = tuple[int, int]
"""Kernel and expansion."""


def mobilenet(
    variant: str = "ofa",
    widths: Sequence[int] = (16, 24, 40),
    strides: Sequence[int] = (1, 2, 2, 2),
    depths: Sequence[int] = (4, 4, 4),
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[int] = (),
    stem: tuple[int, int] = (16, 8),
    head: int = 128,
) -> Space:
    """MobileNet stages with kernels, expansions and depths to choose (ProxylessNAS, Cai et al. 2019; once-for-all, 2020).

    The references are MobileNetV2-like (Sandler et al. 2018, arXiv 1801.04381): kernel 3 and
    expansion 6, with two blocks a stage (small) or all (large); in its sizes, see above, MobileNetV2
    itself, with ReLU for ReLU6. Up to five stages have MobileNetV3-like (Howard et al. 2019, arXiv
    1905.02244): kernels, depths and nearest expansions of the stages of its large network, without
    squeeze-and-excitation and hard-swish.

    Args:
        variant: ``"ofa"``: each block has a kernel and an expansion, each stage a number of blocks from 2 up.
            ``"proxyless"``: each block is one of kernel x expansion operations or, but for the first of a stage, which
            has no residual connection, is skipped.
        widths: Channels of each stage.
        strides: Of the stem, then of the first block of each stage: 1, or 2, which halves maps of at least 8x8.
        depths: Largest number of blocks of each stage.
        kernels: To choose from.
        expansions: To choose from; by default 3, 4, 6 (once-for-all) or 3, 6 (ProxylessNAS).
        stem: Channels of the first convolution, and of the block of expansion 1 behind it.
        head: Channels of the last convolution.

    Raises:
        SpaceError: Where the variant is unknown or the options do not describe the same number of stages.
    """
    if variant not in _EXPANSIONS:
        raise SpaceError(f"mobilenet: got variant={variant!r}. {closest(variant, _EXPANSIONS)}")
    if not len(widths) == len(depths) == len(strides) - 1:
        raise SpaceError(
            f"mobilenet: got {len(widths)} widths, {len(depths)} depths and {len(strides)} strides; expected a width and a "
            "depth for each stage, and a stride for each and for the stem."
        )
    steps = [DOWN if stride > 1 else 1 for stride in strides]
    stage = _elastic if variant == "ofa" else _proxyless
    expansions = tuple(expansions) or _EXPANSIONS[variant]
    return with_references(
        chain(
            op("conv_bn_relu", width=stem[0], kernel=3, stride=steps[0], name="stem"),
            op("mbconv", width=stem[1], kernel=3, expansion=1, name="first"),
            *(
                stage(f"stage{index}", width, step, depth, kernels, expansions)
                for index, (width, step, depth) in enumerate(zip(widths, steps[1:], depths))
            ),
            op("conv_bn_relu", width=head, kernel=1, name="head"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS, name="classifier"),
        ),
        "mobilenet",
        {
            name: _choices(variant, depths, stages)
            for name, stages in _published(widths, strides, depths, kernels, expansions, stem, head).items()
        },
    )


def _published(
    widths: Sequence[int],
    strides: Sequence[int],
    depths: Sequence[int],
    kernels: Sequence[int],
    expansions: Sequence[int],
    stem: tuple[int, int],
    head: int,
) -> dict[str, list[list[Block]]]:
    """The blocks of each stage of each reference, by name."""

    def block(kernel: int, expansion: float) -> Block:
        return _nearest(kernels, kernel), _nearest(expansions, expansion)

    usual = block(3, 6)
    found = {
        "MobileNetV2-like-small": [[usual] * min(2, depth) for depth in depths],
        "MobileNetV2-like-large": [[usual] * depth for depth in depths],
    }
    sizes = (tuple(widths), tuple(strides), tuple(stem), head)
    if sizes == _V2 and usual == (3, 6) and all(need <= depth for need, depth in zip(_V2_DEPTHS, depths)):
        found["MobileNetV2"] = [[usual] * depth for depth in _V2_DEPTHS]
    if len(depths) <= len(_V3):
        found["MobileNetV3-like"] = [
            [block(kernel, expansion) for expansion in stage[:depth]] for (kernel, stage), depth in zip(_V3, depths)
        ]
    return found


def _nearest(options: Sequence[int], wanted: float) -> int:
    return min(options, key=lambda option: abs(option - wanted))


def _choices(variant: str, depths: Sequence[int], stages: list[list[Block]]) -> dict[str, int | str]:
    """The choices of the blocks of each stage."""
    chosen: dict[str, int | str] = {}
    for number, (blocks, depth) in enumerate(zip(stages, depths)):
        more = f"stage{number}.more"
        places = [f"stage{number}.first", *(f"{more}.block{index}" for index in range(depth - 1))]
        if variant == "proxyless":
            chosen |= dict.fromkeys(places[len(blocks) :], "skip")
            chosen |= {place: f"k{kernel}_e{expansion}" for place, (kernel, expansion) in zip(places, blocks)}
            continue
        chosen[f"{more}.count"] = str(len(blocks) - 1)
        for place, (kernel, expansion) in zip(places, blocks):
            chosen |= {f"{place}.kernel": str(kernel), f"{place}.expansion": str(expansion)}
    return chosen


def _elastic(
    name: str, width: int, step: int | Symbol, depth: int, kernels: Sequence[int], expansions: Sequence[int]
) -> Expression:
    """A stage of once-for-all: two to `depth` blocks."""

    def block(stride: int | Symbol, name: str) -> Expression:
        return op(
            "mbconv", width=width, stride=stride, kernel=choice(*kernels), expansion=choice(*expansions), name=name
        )

    first = block(step, "first")
    if depth < 2:
        return chain(first, name=name)
    return chain(first, repeat(block(1, "block"), integer(1, depth - 1, name="count"), name="more"), name=name)


def _proxyless(
    name: str, width: int, step: int | Symbol, depth: int, kernels: Sequence[int], expansions: Sequence[int]
) -> Expression:
    """A stage of ProxylessNAS: `depth` blocks, of which all but the first may be skipped."""

    def block(stride: int | Symbol, name: str, *more: Expression) -> Expression:
        found = (
            op("mbconv", width=width, stride=stride, kernel=kernel, expansion=expansion, name=f"k{kernel}_e{expansion}")
            for kernel, expansion in product(kernels, expansions)
        )
        return choice(*found, *more, name=name)

    first = block(step, "first")
    if depth < 2:
        return chain(first, name=name)
    return chain(first, repeat(block(1, "block", op("identity", name="skip")), depth - 1, name="more"), name=name)
