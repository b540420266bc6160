"""Bound nodes: an expression whose choices have addresses. Nothing here depends on an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archwright.space.decisions import Plan
from archwright.space.expression import Op, OutputKind, Symbol


@dataclass(frozen=True, eq=False, slots=True)
class BoundValue:
    """An attribute value that is decided, once or in one place for many."""

    plan: Plan
    address: str | None
    values: tuple[Any, ...]

    def of(self, choices: Mapping[str, int]) -> Any:
        """The decided value."""
        return self.values[0 if self.address is None else choices[self.address]]


@dataclass(frozen=True, eq=False, slots=True)
class Bound:
    """Base of bound nodes."""

    plan: Plan


@dataclass(frozen=True, eq=False, slots=True)
class BoundOp(Bound):
    """An operation: constant attributes, symbols, and decided ones."""

    source: Op
    constants: dict[str, Any]
    symbols: tuple[tuple[str, Symbol], ...]
    decided: tuple[tuple[str, BoundValue], ...]


@dataclass(frozen=True, eq=False, slots=True)
class BoundChoice(Bound):
    """A choice among parts of the network."""

    address: str | None
    labels: tuple[str, ...]
    segments: tuple[str, ...]
    options: tuple[Bound, ...]

    def index(self, choices: Mapping[str, int]) -> int:
        """The option taken."""
        return 0 if self.address is None else choices[self.address]


@dataclass(frozen=True, eq=False, slots=True)
class BoundChain(Bound):
    """Parts in a row."""

    segments: tuple[str, ...]
    parts: tuple[Bound, ...]


@dataclass(frozen=True, eq=False, slots=True)
class BoundRepeat(Bound):
    """As many parts in a row as `times` says."""

    times: BoundValue
    segments: tuple[str, ...]
    items: tuple[Bound, ...]


@dataclass(frozen=True, eq=False, slots=True)
class BoundParallel(Bound):
    """Branches."""

    segments: tuple[str, ...]
    branches: tuple[Bound, ...]
    merge: BoundValue


@dataclass(frozen=True, eq=False, slots=True)
class BoundPart(Bound):
    """A part that may stand in several places: a shared one, or what is repeated. What it builds is remembered.

    Attributes:
        name: Of a shared part.
        token: Equal for parts of a space that are the same expression; unique in the process.
        addresses: Of all decisions inside.
        body: The part.
    """

    name: str | None
    token: int
    addresses: tuple[str, ...]
    body: Bound


@dataclass(frozen=True, eq=False, slots=True)
class BoundTake(Bound):
    """One of the values that come in."""

    index: int


@dataclass(frozen=True, eq=False, slots=True)
class BoundEdges:
    """The ways a node can read earlier states.

    Attributes:
        address: The decision among `sets`; ``None`` where there is one only.
        sets: For each option, the edges: pairs of a source state and an index into `ops`.
    """

    address: str | None
    sets: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True, eq=False, slots=True)
class BoundNode:
    """A node of a dag: what it reads (the union of all `reads`), the operations on edges, the merge and its own
    operation."""

    segment: str
    reads: tuple[BoundEdges, ...]
    segments: tuple[str, ...]
    ops: tuple[Bound | None, ...]
    merge: BoundValue
    node: Bound | None

    def edges(self, choices: Mapping[str, int], inputs: int) -> list[tuple[int, int]]:
        """What the node reads: pairs of a source state and an index into `ops`; the inputs where nothing is chosen."""
        found = [
            edge for read in self.reads for edge in read.sets[0 if read.address is None else choices[read.address]]
        ]
        return found or [(source, source) for source in range(inputs)]


@dataclass(frozen=True, eq=False, slots=True)
class BoundDag(Bound):
    """A dag, node by node."""

    address: str
    inputs: int
    nodes: tuple[BoundNode, ...]
    output: OutputKind
    stride: int | Symbol


def join(path: str, segment: str) -> str:
    """A longer address."""
    return f"{path}.{segment}" if path and segment else path or segment
