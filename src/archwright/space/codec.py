"""Expressions as JSON and back. Users' own classes are written as ``"package.module:Class"``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from archwright.errors import GraphError, SpaceError
from archwright.graph.ops import op_from_name, op_name
from archwright.problem import Architecture
from archwright.space import combinators
from archwright.space.expression import Chain, Choice, Dag, Expression, Op, Parallel, Repeat, Shared, Symbol, Take

_DAG = ("nodes", "inputs", "edges", "ops", "node", "merge", "output", "stride")


def dumps(name: str, expression: Expression, references: Mapping[str, Architecture]) -> str:
    """A space as JSON text.

    Raises:
        SpaceError: Where a class cannot be imported by its name, because it was made inside a function.
    """
    record: dict[str, Any] = {"space": name, "expression": _encode(expression)}
    if references:
        record["references"] = {title: architecture.choices for title, architecture in references.items()}
    return json.dumps(record, ensure_ascii=False)


def loads(text: str) -> tuple[str, Expression, dict[str, Architecture]]:
    """Name, expression and references from what :func:`dumps` wrote; everything is checked again. Imports the modules of users'
    own classes.

    Raises:
        SpaceError: Where the text is something else.
    """
    try:
        record = json.loads(text)
        name, expression = str(record["space"]), _decode(record["expression"])
        references = {
            title: Architecture(tuple((str(address), int(option)) for address, option in choices))
            for title, choices in record.get("references", {}).items()
        }
        return name, expression, references
    except (ValueError, KeyError, TypeError, GraphError) as error:
        raise SpaceError(
            f"Cannot read a space from JSON: {type(error).__name__}: {error}. "
            "Expected the text that Space.to_json() wrote."
        ) from error


def _encode(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    if isinstance(value, Symbol):
        return {"symbol": value.kind, "index": value.index}
    if not isinstance(value, Expression):
        return value
    record: dict[str, Any] = {}
    match value:
        case Op():
            if isinstance(value.op, type) and "<locals>" in value.op.__qualname__:
                raise SpaceError(
                    f"The class {value.op.__qualname__} was made inside a function, so it cannot be found again by name. "
                    "Move it to the top level of a module."
                )
            record = {"op": op_name(value.op), "attributes": {key: _encode(item) for key, item in value.attributes}}
        case Choice():
            record = {"choice": [_encode(option) for option in value.options]}
            record |= {"weights": value.weights} if value.weights is not None else {}
        case Chain():
            record = {"chain": [_encode(part) for part in value.parts]}
        case Repeat():
            record = {"repeat": _encode(value.body), "times": _encode(value.times)}
        case Parallel():
            record = {"parallel": [_encode(branch) for branch in value.branches], "merge": _encode(value.merge)}
        case Dag():
            record = {"dag": {key: _encode(getattr(value, key)) for key in _DAG}}
        case Shared():
            record = {"shared": _encode(value.body)}
        case Take():
            record = {"take": value.index}
    return {**record, "name": value.name} if value.name is not None else record


def _decode(record: Any) -> Any:
    if isinstance(record, list):
        return tuple(_decode(item) for item in record)
    if not isinstance(record, dict):
        return record
    name = {"name": record["name"]} if "name" in record else {}
    match record:
        case {"symbol": kind, "index": index}:
            return Symbol(kind, index)
        case {"op": operation, "attributes": attributes}:
            return combinators.op(
                op_from_name(operation), **name, **{key: _decode(value) for key, value in attributes.items()}
            )
        case {"choice": options}:
            return combinators.choice(*map(_decode, options), weights=record.get("weights"), **name)
        case {"chain": parts}:
            return combinators.chain(*map(_decode, parts), **name)
        case {"repeat": body, "times": times}:
            return combinators.repeat(_decode(body), _decode(times), **name)
        case {"parallel": branches, "merge": merge}:
            return combinators.parallel(*map(_decode, branches), merge=_decode(merge), **name)
        case {"dag": parts}:
            return combinators.dag(**{key: _decode(parts[key]) for key in _DAG}, **name)
        case {"shared": body}:
            return combinators.shared(record["name"], _decode(body))
        case {"take": index}:
            return combinators.take(index)
    raise ValueError(f"got {sorted(record)}, expected an expression")
