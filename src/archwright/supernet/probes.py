"""What there is in a space: architectures that between them take every option, and operations whose attributes are chosen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from archwright.graph.ops import PASSING, OpSpec, get_op
from archwright.problem import Architecture
from archwright.space import Expression, Space
from archwright.space.expression import Op, default_name

PROBES = 64
"""Architectures drawn at random to find the places and their largest settings, besides those that take every option."""


def probes(space: Space, seed: int) -> Iterator[Architecture]:
    """Architectures that between them take every option of every choice: with random other choices, with the last options, with the first."""
    rng = np.random.default_rng([seed, 0x5FE7])
    for _ in range(PROBES):
        yield space.sample(rng)
    for info in space.choices():
        condition = dict(info.conditions[0]) if info.conditions else {}
        for option in range(len(info.labels)):
            forced = {address: allowed[0] for address, allowed in condition.items()} | {info.address: option}
            for style in range(3):

                def pick(address: str, count: int, forced: dict[str, int] = forced, style: int = style) -> int:
                    if address in forced:
                        return forced[address]
                    return int(rng.integers(count)) if style == 0 else (count - 1 if style == 1 else 0)

                yield space.fill(pick)


def decided_attributes(expression: Expression, address: str = "") -> Iterator[tuple[str, OpSpec, str]]:
    """Every operation of an expression with an attribute that is a choice: where it is, its specification, the attribute."""
    here = ".".join(part for part in (address, expression.name or "") if part)
    if isinstance(expression, Op) and expression.op not in (*PASSING, "adapt"):
        for key, value in expression.attributes:
            if isinstance(value, Expression):
                yield here or default_name(expression), get_op(expression.op), key
    for child in expression.children:
        yield from decided_attributes(child, here)
