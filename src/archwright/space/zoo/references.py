"""Networks that are known to be good, as choices of the spaces here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from archwright.space.expression import Expression
from archwright.space.space import Space

Choices = Mapping[str, int | str]
"""The option, by index or label, at each address."""


def with_references(expression: Expression, name: str, references: Mapping[str, Choices]) -> Space:
    """A space whose options may have left some places of its references with nothing to choose; these are ignored."""
    known = {info.address for info in Space(expression, name).choices()}
    kept = {
        title: {address: option for address, option in choices.items() if address in known}
        for title, choices in references.items()
    }
    return Space(expression, name, kept)


def distinct(**cells: str) -> dict[str, int | str]:
    """The choices of cells whose nodes read two different states, from text.

    Args:
        **cells: Each cell, as ``"sep_conv_3x3~0 skip_connect~1 | ..."``: for each node, apart by ``|``, an operation
            and the state it reads, twice. States 0 and 1 are the cell's inputs, the older first.

    >>> distinct(normal="a~1 b~0 | c~0 d~2")["normal.node3.inputs"]
    '0+2'
    """
    chosen: dict[str, int | str] = {}
    for cell, node, pair in _blocks(cells):
        chosen |= {f"{cell}.edge{state}_{node}": operation for operation, state in pair}
        if node > 2:
            chosen[f"{cell}.node{node}.inputs"] = "+".join(sorted(state for _, state in pair))
    return chosen


def pairs(**cells: str) -> dict[str, int | str]:
    """The choices of cells whose nodes add two operations on any states, from text as for :func:`distinct`.

    >>> pairs(normal="a~1 b~0")["normal.node2.left.op"]
    'a'
    """
    chosen: dict[str, int | str] = {}
    for cell, node, pair in _blocks(cells):
        for side, (operation, state) in zip(("left", "right"), pair):
            chosen |= {
                f"{cell}.node{node}.{side}.from": state,
                f"{cell}.node{node}.{side}.op": operation,
            }
    return chosen


def _blocks(cells: Mapping[str, str]) -> Iterator[tuple[str, int, list[tuple[str, str]]]]:
    """Each cell's nodes, from 2, with what they apply to which state."""
    for cell, text in cells.items():
        for node, block in enumerate(text.split("|"), 2):
            parts = (part.partition("~") for part in block.split())
            yield cell, node, [(operation, state) for operation, _, state in parts]
