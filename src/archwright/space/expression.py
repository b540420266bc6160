"""The expression algebra: immutable values that describe a set of networks.

An expression maps one or more values (tensors) to one or more values. `op` applies an operation, `chain` composes,
`parallel` branches, `repeat` and `dag` are patterns of both, `choice` leaves something open, and `shared` makes the
same choices wherever its name stands. The classes are plain records; the functions that make them, which check
everything, are in :mod:`archwright.space.combinators`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from archwright.errors import SpaceError

EdgesKind = Literal["all", "any", "pairs"]
OutputKind = Literal["last", "nodes", "loose"]


@dataclass(frozen=True)
class Symbol:
    """An attribute value that is known only where the network is built.

    Attributes:
        kind: ``outputs``, ``columns``, ``width``, ``stride`` or ``down``.
        index: For ``outputs``: which output. For ``down``: the least map to halve to; 0 stands for 4.
    """

    kind: Literal["outputs", "columns", "width", "stride", "down"]
    index: int = 0

    def __getitem__(self, index: int) -> Symbol:
        """Another output, ``OUTPUTS[1]``, or another least map, ``DOWN[3]``."""
        least = {"outputs": 0, "down": 1}.get(self.kind)
        if least is None or index < least:
            raise SpaceError(f"Got {self!r}[{index}]; expected OUTPUTS[0], ... or DOWN[1], ...")
        return Symbol(self.kind, index)

    def __repr__(self) -> str:
        return self.kind.upper() + (f"[{self.index}]" if self.index else "")


OUTPUTS = Symbol("outputs")
"""The number of output units of the task; ``OUTPUTS[1]`` those of its second output."""
COLUMNS = Symbol("columns")
"""The layout of a table's rows: the size of each group of entries that is one column."""
WIDTH = Symbol("width")
"""The channels (or features) of the first input of the enclosing `dag`."""
STRIDE = Symbol("stride")
"""The stride of the enclosing `dag` on edges that read the inputs of the dag, 1 on all others."""
DOWN = Symbol("down")
"""Stride 2 if half of the map, rounded down, is at least 4 high and wide, else 1.

``DOWN[3]`` asks for at least 3."""


@dataclass(frozen=True)
class Expression:
    """Base of all expressions.

    Attributes:
        name: Its part of addresses; by default made from what it is.
    """

    name: str | None = field(default=None, kw_only=True)

    @property
    def children(self) -> tuple[Expression, ...]:
        """The expressions directly inside this one, values that are choices included."""
        return ()

    def __str__(self) -> str:
        from archwright.space.text import to_text

        return to_text(self)


def _open(*values: Any) -> tuple[Expression, ...]:
    return tuple(value for value in values if isinstance(value, Expression))


@dataclass(frozen=True)
class Op(Expression):
    """One operation: a name of the registry or a user's ``nn.Module`` class, and its attributes."""

    op: str | type
    attributes: tuple[tuple[str, Any], ...] = ()

    @property
    def children(self) -> tuple[Expression, ...]:
        """The attributes that are choices."""
        return _open(*(value for _, value in self.attributes))

    @property
    def title(self) -> str:
        """The operation's name, or the class's."""
        return self.op if isinstance(self.op, str) else self.op.__name__


@dataclass(frozen=True)
class Choice(Expression):
    """One of several expressions, or one of several attribute values.

    Attributes:
        options: What there is to choose from.
        weights: How likely a draw takes each option, up to a factor; ``None`` if all are equally likely.
    """

    options: tuple[Any, ...]
    weights: tuple[float, ...] | None = None

    @property
    def children(self) -> tuple[Expression, ...]:
        """The options that are expressions."""
        return _open(*self.options)


@dataclass(frozen=True)
class Chain(Expression):
    """One after the other."""

    parts: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        """The parts."""
        return self.parts


@dataclass(frozen=True)
class Repeat(Expression):
    """A body several times in a row, each with its own choices."""

    body: Expression
    times: int | Choice

    @property
    def children(self) -> tuple[Expression, ...]:
        """The body, and the number of times where it is a choice."""
        return _open(self.body, self.times)


@dataclass(frozen=True)
class Parallel(Expression):
    """Branches that read the same values."""

    branches: tuple[Expression, ...]
    merge: str | Expression | None

    @property
    def children(self) -> tuple[Expression, ...]:
        """The branches, and the merge where it is a choice."""
        return _open(*self.branches, self.merge)


@dataclass(frozen=True)
class Dag(Expression):
    """A directed acyclic graph of nodes; see :func:`archwright.space.combinators.dag`."""

    nodes: int
    inputs: int
    edges: EdgesKind | int
    ops: Expression | None
    node: Expression | None
    merge: str | Expression
    output: OutputKind
    stride: int | Symbol

    @property
    def children(self) -> tuple[Expression, ...]:
        """The operations on edges and nodes, and the merge where it is a choice."""
        return _open(self.ops, self.node, self.merge)


@dataclass(frozen=True)
class Shared(Expression):
    """The same choices wherever the name stands; the weights are each place's own."""

    body: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """The body."""
        return (self.body,)


@dataclass(frozen=True)
class Take(Expression):
    """One of the values that come in."""

    index: int


def is_value(expression: Any) -> bool:
    """Whether the expression stands for an attribute value (a choice of values, perhaps shared) and not for a part of
    the network."""
    if isinstance(expression, Shared):
        return is_value(expression.body)
    return isinstance(expression, Choice) and not isinstance(expression.options[0], Expression)


def values_of(expression: Expression) -> tuple[Any, ...]:
    """The values that a choice of values (perhaps shared) can take."""
    while isinstance(expression, Shared):
        expression = expression.body
    assert isinstance(expression, Choice)
    return expression.options


def weights_of(expression: Expression) -> tuple[float, ...] | None:
    """Return the weights of a choice of values (perhaps shared)."""
    while isinstance(expression, Shared):
        expression = expression.body
    assert isinstance(expression, Choice)
    return expression.weights


def default_name(expression: Expression) -> str:
    """What an expression is called in addresses where it has no name of its own."""
    if expression.name is not None:
        return expression.name.rpartition(".")[2] if isinstance(expression, Shared) else expression.name
    if isinstance(expression, Op):
        return expression.title
    return type(expression).__name__.lower()


def segments(expressions: tuple[Expression, ...]) -> tuple[str, ...]:
    """Distinct names for siblings: their own, else what they are, numbered where several would be equal.

    >>> from archwright.space import chain, choice, op
    >>> segments((op("max_pool"), op("relu"), op("max_pool")))
    ('max_pool0', 'relu', 'max_pool1')
    """
    names = [default_name(expression) for expression in expressions]
    taken = {
        name for name, expression in zip(names, expressions) if expression.name is not None and names.count(name) == 1
    }
    result, counters = [], dict.fromkeys(names, 0)
    for name, expression in zip(names, expressions):
        segment = name
        if names.count(name) > 1 and not (expression.name is not None and not isinstance(expression, Shared)):
            segment = f"{name}{counters[name]}"
            while segment in taken:
                counters[name] += 1
                segment = f"{name}{counters[name]}"
            counters[name] += 1
            taken.add(segment)
        result.append(segment)
    return tuple(result)


def labels(options: tuple[Any, ...]) -> tuple[str, ...]:
    """How people read the options of a choice: the values, or the names of expressions, with what tells them apart.

    >>> from archwright.space import op
    >>> labels((op("max_pool", kernel=3), op("max_pool", kernel=5), op("relu")))
    ('max_pool(kernel=3)', 'max_pool(kernel=5)', 'relu')
    """
    if not isinstance(options[0], Expression):
        return tuple(str(option) for option in options)
    names = [default_name(option) for option in options]
    described = []
    for option, segment in zip(options, segments(options)):
        label = segment
        if isinstance(option, Op) and option.name is None and names.count(option.title) > 1:
            constants = [f"{key}={value}" for key, value in option.attributes if not isinstance(value, Expression)]
            label = f"{option.title}({', '.join(constants)})"
        described.append(label)
    return tuple(described) if len(set(described)) == len(described) else segments(options)
