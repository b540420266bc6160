"""Operations of a space whose attributes are chosen."""

from __future__ import annotations

from collections.abc import Iterator

from archwright.graph.ops import PASSING, OpSpec, get_op
from archwright.space import Expression
from archwright.space.expression import Op, default_name


def decided_attributes(expression: Expression, address: str = "") -> Iterator[tuple[str, OpSpec, str]]:
    """Every operation of an expression with an attribute that is a choice: where it is, its specification, the attribute."""
    here = ".".join(part for part in (address, expression.name or "") if part)
    if isinstance(expression, Op) and expression.op not in (*PASSING, "adapt"):
        for key, value in expression.attributes:
            if isinstance(value, Expression):
                yield here or default_name(expression), get_op(expression.op), key
    for child in expression.children:
        yield from decided_attributes(child, here)
