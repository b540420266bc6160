"""Expressions as people read and write them: Python text that makes an equal expression again."""

from __future__ import annotations

import json
import keyword
import re
from typing import Any

from archwright.space.expression import Chain, Choice, Dag, Expression, Op, Parallel, Repeat, Shared, Take

_WIDTH = 110
_FLAT = -1


def to_text(expression: Expression) -> str:
    """The expression as Python statements: one for each shared expression (its name as a variable), then ``space =
    ...``.

    >>> from archwright.space import chain, choice, op, repeat, shared
    >>> print(to_text(repeat(shared("layer", op("dense", width=choice(8, 16))), 3)))
    layer = shared("layer", op("dense", width=choice(8, 16)))
    space = repeat(layer, 3)
    """
    found: dict[str, Shared] = {}
    _shared(expression, found)
    names: dict[str, str] = {}
    for name in found:
        variable = re.sub(r"\W", "_", name)
        while not variable.isidentifier() or variable in {*names.values(), *keyword.kwlist, *_RESERVED}:
            variable = f"_{variable}"
        names[name] = variable
    layout = _Layout(names)
    lines = [f"{names[name]} = shared({_quote(name)}, {layout(shared.body, 0)})" for name, shared in found.items()]
    return "\n".join([*lines, f"space = {layout(expression, 0)}"])


def _shared(expression: Expression, found: dict[str, Shared]) -> None:
    """Lists what is shared, each after what it needs."""
    for child in expression.children:
        _shared(child, found)
    if isinstance(expression, Shared):
        assert expression.name is not None
        found.setdefault(expression.name, expression)


_RESERVED = frozenset(
    {
        "op",
        "choice",
        "integer",
        "chain",
        "repeat",
        "parallel",
        "dag",
        "shared",
        "take",
        "space",
        "COLUMNS",
        "OUTPUTS",
        "WIDTH",
        "STRIDE",
        "DOWN",
    }
)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class _Layout:
    """Writes values on one line where they fit, else one argument a line."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def __call__(self, value: Any, indent: int) -> str:
        if isinstance(value, Shared):
            assert value.name is not None
            return self._names[value.name]
        if isinstance(value, type):
            return value.__name__
        if not isinstance(value, Expression):
            return _quote(value) if isinstance(value, str) else repr(value)
        function, arguments = _call(value)
        flat = f"{function}({', '.join(key + self(item, _FLAT) for key, item in arguments)})"
        if len(flat) + indent <= _WIDTH or indent == _FLAT:
            return flat
        inner = indent + 4
        lines = [f"{' ' * inner}{key}{self(item, inner)}," for key, item in arguments]
        return "\n".join([f"{function}(", *lines, f"{' ' * indent})"])


def _call(value: Expression) -> tuple[str, list[tuple[str, Any]]]:
    """The function that makes an expression, and its arguments with their keywords."""
    arguments: list[tuple[str, Any]]
    match value:
        case Op():
            function, arguments = "op", [("", value.op), *((f"{key}=", item) for key, item in value.attributes)]
        case Choice(options=options) if _is_range(options):
            function, arguments = "integer", [("", options[0]), ("", options[-1]), *_weights(value)]
        case Choice():
            function, arguments = "choice", [*(("", option) for option in value.options), *_weights(value)]
        case Chain():
            function, arguments = "chain", [("", part) for part in value.parts]
        case Repeat():
            function, arguments = "repeat", [("", value.body), ("", value.times)]
        case Parallel():
            function, arguments = "parallel", [("", branch) for branch in value.branches]
            arguments += [("merge=", value.merge)] if value.merge != "add" else []
        case Dag():
            function, arguments = "dag", [("", value.nodes), *_changed(value)]
        case _:
            assert isinstance(value, Take), value
            function, arguments = "take", [("", value.index)]
    return function, arguments + ([("name=", value.name)] if value.name is not None else [])


def _weights(value: Choice) -> list[tuple[str, Any]]:
    if value.weights is None:
        return []
    return [("weights=", tuple(int(weight) if weight.is_integer() else weight for weight in value.weights))]


def _changed(value: Dag) -> list[tuple[str, Any]]:
    defaults = {"inputs": 1, "edges": "all", "ops": None, "node": None, "merge": "add", "output": "last", "stride": 1}
    return [(f"{key}=", getattr(value, key)) for key, default in defaults.items() if getattr(value, key) != default]


def _is_range(options: tuple[Any, ...]) -> bool:
    whole = all(isinstance(option, int) and not isinstance(option, bool) for option in options)
    return whole and len(options) > 2 and options == tuple(range(options[0], options[0] + len(options)))
