"""Whether the attributes that are to share weights can do so."""

from __future__ import annotations

from collections.abc import Iterator

from archwright.errors import SupernetError
from archwright.graph.ops import PASSING, OpSpec, get_op
from archwright.space import Expression, Space
from archwright.space.expression import Op, default_name


def check_elastic(space: Space, elastic: frozenset[str] | None) -> None:
    """Makes sure that every chosen attribute that is named can be shared by the operation that chooses it.

    Raises:
        SupernetError: Where one cannot; names the operation and its place.
    """
    for address, op, attribute in _decided(space.expression) if elastic is not None else ():
        if attribute in (elastic or ()) and attribute not in (*op.elastic, *op.relaxed):
            raise SupernetError(
                f"At {address}: the attribute {attribute!r} of the operation {op.name!r} is a choice whose settings cannot share weights; "
                f"expected {' or '.join(op.elastic) or 'none of its attributes'}. Leave {attribute!r} out of `elastic`, which keeps its settings apart."
            )


def _decided(expression: Expression, address: str = "") -> Iterator[tuple[str, OpSpec, str]]:
    """Every operation of an expression with an attribute that is a choice: where it is, its specification, the attribute."""
    here = ".".join(part for part in (address, expression.name or "") if part)
    if isinstance(expression, Op) and expression.op not in (*PASSING, "adapt"):
        for key, value in expression.attributes:
            if isinstance(value, Expression):
                yield here or default_name(expression), get_op(expression.op), key
    for child in expression.children:
        yield from _decided(child, here)
