"""The networks of cells that NASNet, ENAS and DARTS have in common: each cell reads the outputs of the two before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from archwright.space.combinators import chain, op, parallel, repeat, shared, take
from archwright.space.expression import OUTPUTS, Expression
from archwright.space.space import Space
from archwright.space.zoo.references import Choices


def cell_space(
    name: str,
    stages: Sequence[int],
    cell: Callable[[int], Expression],
    channels: int,
    *,
    relu: bool = False,
    references: Mapping[str, Choices] | None = None,
) -> Space:
    """Networks of one normal and one reduction cell, each the same wherever it stands.

    Args:
        name: Of the space.
        stages: The number of normal cells in each stage.
        cell: The cell of a stride: 1 for the normal one, 2 for the one that halves the map.
        channels: Of the first stage; doubled at each reduction.
        relu: Whether the last maps go through a ReLU.
        references: The choices of cells that are known to be good.
    """
    normal, reduction = (shared(kind, cell(stride)) for kind, stride in (("normal", 1), ("reduction", 2)))
    return Space(
        chain(
            op("conv_bn", width=3 * channels, kernel=3, name="stem"),
            stack(stages, normal, reduction, channels),
            *([op("relu")] if relu else []),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS, name="classifier"),
        ),
        name,
        references,
    )


def stack(stages: Sequence[int], normal: Expression, reduction: Expression, channels: int) -> Expression:
    """Stages of normal cells with a reduction cell between them.

    What a cell reads is brought to its width and size first.

    Args:
        stages: The number of normal cells in each stage.
        normal: The cell that keeps the size of the map.
        reduction: The cell that halves it.
        channels: Of the first stage; doubled at each reduction.
    """
    parts: list[Expression] = [parallel(take(0), take(0), merge=None, name="start")]
    for index, count in enumerate(stages):
        width = channels * 2**index
        if index:
            parts.append(_step(reduction, width, index > 1 and not stages[index - 1], f"reduction{index}"))
        first = [_step(normal, width, True, "first")] if index and count else []
        rest = count - len(first)
        more = (
            [repeat(_step(normal, width, False, "cell"), rest, name="rest" if first else f"stage{index}")]
            if rest
            else []
        )
        parts.extend([chain(*first, *more, name=f"stage{index}")] if first else more)
    return chain(*parts, take(1))


def _step(cell: Expression, width: int, reduced: bool, name: str) -> Expression:
    """From the outputs of the last two cells, the older first, to those of the last one and a new one."""
    narrow = op("relu_conv_bn", kernel=1, width=width)
    before = chain(take(0), op("factorized_reduce", width=width) if reduced else narrow, name="before")
    inputs = parallel(before, chain(take(1), narrow, name="last"), merge=None, name="inputs")
    return parallel(take(1), chain(inputs, cell, name="new"), merge=None, name=name)
