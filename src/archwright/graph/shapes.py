"""Output shape and cost of an operation on inputs of known shapes, measured once and interned. Loads torch only to measure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archwright.errors import GraphError
from archwright.graph.ops import Attributes, Op, OpSpec, complete, get_op, op_name
from archwright.problem import Cost, Shape


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """An operation with its attributes on inputs of known shapes. Equal calls are one object.

    Attributes:
        op: Name or class.
        spec: What the registry knows of it.
        attrs: Complete attributes, sorted by name.
        inputs: Shapes of the inputs, without the batch dimension.
        shape: Shape of the output, without the batch dimension.
        cost: Parameters, FLOPs and activation bytes for one sample.
        unifiable: Whether two of it on the same input are one: no weights, no randomness.
        digest: Hash of all that decides the function family, stable across processes.
    """

    op: Op
    spec: OpSpec
    attrs: Attributes
    inputs: tuple[Shape, ...]
    shape: Shape
    cost: Cost
    unifiable: bool
    digest: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        if self.spec is _INPUT:
            return input_call, (self.attrs[0][1], self.shape)
        return call, (self.op, self.attrs, self.inputs)

    def __str__(self) -> str:
        return f"{self.spec.name}({', '.join(f'{key}={value!r}' for key, value in self.attrs)})"


_INPUT = OpSpec("input", "", {"index": 0}, arity=0, doc="An input of the network.")
_GIVEN: dict[tuple[Op, Attributes, tuple[Shape, ...]], Call] = {}
_INTERNED: dict[tuple[Op, str, tuple[Shape, ...]], Call] = {}


def call(op: Op, attrs: Attributes, inputs: tuple[Shape, ...], scope: str = "") -> Call:
    """The interned call of an operation.

    >>> call("conv_bn", (("width", 8),), ((3, 32, 32),)).shape
    (8, 32, 32)

    Args:
        op: Name or ``nn.Module`` class.
        attrs: Attributes as ``(name, value)`` pairs in any order; those with a default may be left out.
        inputs: Shapes of the inputs, without the batch dimension.
        scope: Where it stands, for error messages.

    Raises:
        GraphError: Where the operation or an attribute is unknown, or the operation does not take such inputs.
    """
    key = (op, attrs, inputs)
    try:
        found = _GIVEN.get(key)
    except TypeError as error:
        raise GraphError(
            f"{_place(op, attrs, inputs, scope)}: got an attribute that cannot be hashed; expected numbers, strings, tuples."
        ) from error
    if found is None:
        found = _GIVEN[key] = _canonical(op, dict(attrs), inputs, scope)
    return found


def input_call(index: int, shape: Shape) -> Call:
    """The call that stands for an input of the network."""
    key = ("input", str(index), (shape,))
    found = _INTERNED.get(key)
    if found is None:
        attrs = (("index", index),)
        found = Call("input", _INPUT, attrs, (), shape, Cost(0, 0, 0), False, _digest("input", f"{index}", (shape,)))
        _INTERNED[key] = found
    return found


def _canonical(op: Op, given: Mapping[str, Any], inputs: tuple[Shape, ...], scope: str) -> Call:
    spec = get_op(op)
    if isinstance(op, str) and op != spec.name:
        raise GraphError(f"Got the operation {op!r} registered as {spec.name!r}.")
    try:
        attrs = complete(spec, given)
        text = json.dumps([(name, _plain(value)) for name, value in attrs], default=_refuse)
    except (GraphError, TypeError) as error:
        raise GraphError(f"{_place(op, tuple(given.items()), inputs, scope)}: {error}") from error
    key = (op, text, inputs)
    found = _INTERNED.get(key)
    if found is not None:
        return found
    if not inputs or (spec.arity is not None and len(inputs) != spec.arity):
        expected = "at least one" if spec.arity is None else str(spec.arity)
        raise GraphError(f"{_place(op, attrs, inputs, scope)}: got {len(inputs)} inputs, expected {expected}.")
    from archwright.graph.measure import measure

    try:
        measured = measure(spec, attrs, inputs)
    except Exception as error:
        raise GraphError(
            f"{_place(op, attrs, inputs, scope)}: {type(error).__name__}: {error}. Check the attributes, and that the operation takes inputs "
            "of these shapes (an image is (C, H, W), a vector is (F,))."
        ) from error
    if 0 in measured.shape:
        raise GraphError(f"{_place(op, attrs, inputs, scope)}: the output would have the empty shape {measured.shape}.")
    unifiable = not (spec.random or measured.stateful)
    found = Call(op, spec, attrs, inputs, measured.shape, measured.cost, unifiable, _digest(op_name(op), text, inputs))
    _INTERNED[key] = found
    return found


def _digest(name: str, attrs: str, inputs: tuple[Shape, ...]) -> bytes:
    return hashlib.blake2b(json.dumps([name, attrs, inputs]).encode(), digest_size=16).digest()


def _plain(value: Any) -> Any:
    """A value such that equal ones (1, 1.0 and True) have one text."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return value


def _refuse(value: Any) -> Any:
    raise TypeError(f"got the attribute value {value!r}; expected numbers, strings, booleans, None or tuples of them")


def _place(op: Op, attrs: Attributes, inputs: tuple[Shape, ...], scope: str) -> str:
    name = op if isinstance(op, str) else getattr(op, "__name__", repr(op))
    where = f"At {scope!r}: " if scope else ""
    written = ", ".join(f"{key}={value!r}" for key, value in attrs)
    return f"{where}operation {name}({written}) on inputs of shape {', '.join(map(str, inputs)) or 'none'}"
