"""What the combinators check. Each error names the place and says what was got, what was expected and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from archwright.errors import GraphError, SpaceError, closest
from archwright.graph.catalogue import MERGES
from archwright.graph.ops import REQUIRED, get_op, op_names
from archwright.space.expression import Choice, Expression, Shared, Symbol, default_name, is_value, labels, values_of

_PASS: dict[str, Any] = {"width": None, "stride": 1}
WIRING: dict[str, dict[str, Any]] = {"identity": _PASS, "none": _PASS, "adapt": {"width": REQUIRED}}
"""Operations that are wiring and no layer: `identity` (a factorised reduction where width or stride change the
shape), `none` (zeros that compute
nothing) and `adapt` (nothing where the width is as asked for, else a 1x1 convolution)."""

ACTIVATIONS = ("none", "relu", "gelu", "silu", "hardswish", "leaky_relu", "elu", "tanh", "sigmoid")
"""What the attribute `activation` of the operations that come with archwright can be."""

NORMS = ("none", "batch", "layer")
"""What the attribute `norm` of `dense` can be."""

_NAMED = {"activation": ACTIVATIONS, "norm": NORMS}
_COUNTS = (
    *("width", "kernel", "stride", "pool", "dilation", "expansion", "heads", "head_dim", "patch"),
    *("nodes", "symbols"),
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_\-]*")


def check_shared_name(name: str) -> None:
    """Checks the name of a shared expression, which may have several parts."""
    if not isinstance(name, str) or not all(_NAME.fullmatch(part) for part in name.split(".")):
        raise SpaceError(
            f"Got the name {name!r} for a shared expression; expected letters, digits, '_', '-', "
            "with '.' between parts."
        )


def check_weights(weights: Sequence[float] | None, options: int, where: str) -> tuple[float, ...] | None:
    """Return the weights of a choice's options, checked."""
    if weights is None:
        return None
    numbers = [weight for weight in weights if isinstance(weight, int | float) and not isinstance(weight, bool)]
    if len(numbers) < len(weights) or len(weights) != options or not all(0 < weight < math.inf for weight in numbers):
        raise SpaceError(
            f"{where} got weights={weights!r}; expected one positive number for each of the {options} options. "
            "To rule an option out, leave it out."
        )
    return tuple(float(weight) for weight in numbers)


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether it is a whole number, and neither True nor False."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_attributes(operation: str | type, attributes: Mapping[str, Any], where: str) -> None:
    """Checks that the operation is known and has these attributes, and that none is missing or has a wrong value."""
    known, ours = _known(operation, where)
    for key, value in attributes.items():
        if key not in known:
            raise SpaceError(f"{where} has no attribute {key!r}. {closest(key, known) if known else 'It has none.'}")
        check_value(value, f"{where}, attribute {key!r}")
        if ours:
            for option in values_of(value) if isinstance(value, Expression) else (value,):
                _check_meaning(key, option, known[key], f"{where}, attribute {key!r}")
    missing = [repr(key) for key, default in known.items() if default is REQUIRED and key not in attributes]
    if missing:
        raise SpaceError(f"{where} needs the attribute{'s' if len(missing) > 1 else ''} {', '.join(missing)}.")
    names = [value.name or key for key, value in attributes.items() if isinstance(value, Choice)]
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(f"{where}: two choices are named {name!r}. Give them different names.")


def _known(operation: str | type, where: str) -> tuple[Mapping[str, Any], bool]:
    """The attributes with their defaults, and whether the operation is archwright's, so that their meaning is known."""
    if isinstance(operation, str) and operation in WIRING:
        return WIRING[operation], True
    try:
        spec = get_op(operation)
    except GraphError as error:
        if isinstance(operation, str) and operation not in (known := op_names()):
            raise SpaceError(
                f"Got the unknown operation {operation!r}. {closest(operation, [*known, *WIRING])}"
            ) from error
        raise SpaceError(f"{where}: {error}") from error
    return spec.attributes, isinstance(spec.block, str) and spec.block.startswith("archwright.")


def _check_meaning(key: str, value: Any, default: Any, where: str) -> None:
    """Checks a value of an attribute whose meaning is known."""
    if key in _NAMED and value not in _NAMED[key]:
        raise SpaceError(f"{where}: got {value!r}. {closest(str(value), _NAMED[key])}")
    if key not in _COUNTS or isinstance(value, Symbol) or (value is None and default is None):
        return
    pair = key == "kernel" and isinstance(value, tuple) and len(value) == 2
    if not all(is_whole(number) and number > 0 for number in (value if pair else (value,))):
        raise SpaceError(f"{where}: got {value!r}; expected a whole number of at least 1.")


def check_name(name: str | None, where: str) -> None:
    """Checks what the user calls an expression."""
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise SpaceError(f"{where}: got the name {name!r}; expected letters, digits, '_' and '-'.")


def check_part(part: Any, where: str) -> None:
    """Checks that something can stand in a network."""
    if not isinstance(part, Expression):
        hint = f" Write op({part!r})." if isinstance(part, str | type) else ""
        raise SpaceError(
            f"{where}: got {part!r}; expected an expression such as op(...), choice(...) or chain(...).{hint}"
        )
    if is_value(part):
        raise SpaceError(
            f"{where}: got a choice of values, {part.name or labels(values_of(part))}; expected an expression. "
            "Choices of values belong in attributes: op('...', kernel=choice(3, 5))."
        )


def check_value(value: Any, where: str) -> None:
    """Checks that something can be the value of an attribute."""
    if isinstance(value, Expression):
        if not is_value(value):
            raise SpaceError(
                f"{where}: got the expression {default_name(value)}; expected a value or a choice of values."
            )
    elif not isinstance(value, Symbol):
        check_constant(value, where)


def check_constant(value: Any, where: str) -> None:
    """Checks that a value can be written as JSON and compared."""
    plain = value is None or isinstance(value, bool | int | float | str)
    if not plain and not (
        isinstance(value, tuple) and all(item is None or isinstance(item, bool | int | float | str) for item in value)
    ):
        hint = " Write a tuple." if isinstance(value, list) else ""
        raise SpaceError(
            f"{where}: got {value!r}; expected a number, text, True, False, None or a tuple of these.{hint}"
        )


def check_merge(merge: Any, where: str) -> None:
    """Checks a merge, or each option of a choice of merges."""
    for how in values_of(merge) if is_value(merge) else (merge,):
        if how not in MERGES:
            raise SpaceError(f"{where}: got merge={how!r}. {closest(str(how), MERGES)}")


def check_siblings(expressions: tuple[Expression, ...], where: str) -> None:
    """Checks that no two parts have one name."""
    names = [
        expression.name
        for expression in expressions
        if expression.name is not None and not isinstance(expression, Shared)
    ]
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(
                f"{where}: two parts are named {name!r}, so their choices would have one address. "
                "Give them different names."
            )


def check_shared(expression: Expression, where: str) -> None:
    """Checks that one shared name means one body."""
    bodies: dict[str, Expression] = {}
    for found in _shared_in(expression):
        assert found.name is not None
        if bodies.setdefault(found.name, found.body) != found.body:
            raise SpaceError(
                f"{where}: two different expressions are shared as {found.name!r}. "
                "Use the same value in both places, or two names."
            )


def _shared_in(expression: Expression) -> Iterable[Shared]:
    if isinstance(expression, Shared):
        yield expression
    for child in expression.children:
        yield from _shared_in(child)
