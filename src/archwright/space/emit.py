"""From an architecture to its graph: walks the bound expression and tells a `GraphBuilder` what to add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from archwright.errors import GraphError
from archwright.graph.build import GraphBuilder, Value
from archwright.graph.graph import Graph
from archwright.graph.ops import PASSING
from archwright.problem import Shape, Signature
from archwright.space.bound import (
    Bound,
    BoundChain,
    BoundChoice,
    BoundDag,
    BoundOp,
    BoundParallel,
    BoundPart,
    BoundRepeat,
    BoundTake,
    join,
)
from archwright.space.expression import Symbol

Values = tuple[Value, ...]

POOLS = ("max_pool", "avg_pool")
"""Operations that compute nothing where their kernel and stride are 1, as where `DOWN` cannot halve any more."""

_LEAST = 4
"""`DOWN` leaves maps at least so high and wide."""


class Around(NamedTuple):
    """What the enclosing dag means for symbols: its width, and the stride of the edge."""

    width: int | None = None
    stride: int = 1


def build_graph(root: Bound, choices: Mapping[str, int], signature: Signature) -> Graph:
    """The graph that the choices denote.

    Raises:
        GraphError: Where shapes are impossible or the outputs are not those of the signature; names the place.
    """
    builder = GraphBuilder(signature)
    run = Emission(builder, choices, signature)
    outputs = run.emit(root, tuple(builder.input(i) for i in range(len(signature.inputs))), "", Around())
    return builder.finish(outputs)


class Emission:
    """One walk over a bound expression, which makes the graph of one architecture."""

    def __init__(self, builder: GraphBuilder, choices: Mapping[str, int], signature: Signature) -> None:
        self.builder, self.choices, self.signature = builder, choices, signature

    def emit(self, node: Bound, values: Values, scope: str, around: Around) -> Values:
        """Adds what the node denotes and returns its results."""
        match node:
            case BoundOp():
                return self._op(node, values, scope, around)
            case BoundChain():
                for segment, part in zip(node.segments, node.parts):
                    values = self.emit(part, values, join(scope, segment), around)
                return values
            case BoundChoice():
                index = node.index(self.choices)
                return self.emit(node.options[index], values, join(scope, node.segments[index]), around)
            case BoundPart():
                return self._part(node, values, scope, around)
            case BoundRepeat():
                for index in range(node.times.of(self.choices)):
                    values = self.emit(node.items[index], values, join(scope, node.segments[index]), around)
                return values
            case BoundParallel():
                return self._parallel(node, values, scope, around)
            case BoundDag():
                return self._dag(node, values, scope, around)
        assert isinstance(node, BoundTake), node
        if node.index >= len(values):
            raise GraphError(f"At {scope or 'the start'}: take({node.index}), but only {len(values)} value(s) come in.")
        return (values[node.index],)

    def _part(self, node: BoundPart, values: Values, scope: str, around: Around) -> Values:
        """A part from memory; it may read the network's first input too, on which zeros hang."""
        key = (
            node.token,
            tuple([self.choices.get(address) for address in node.addresses]),
            around,
            self.signature.outputs,
            self.signature.columns,
        )
        given = (*values, self.builder.input(0))
        return self.builder.template(
            key, given, lambda given: self.emit(node.body, tuple(given[:-1]), scope, around), scope
        )

    def _op(self, node: BoundOp, values: Values, scope: str, around: Around) -> Values:
        op, scope = node.source.op, scope or node.source.title
        attributes = self._attributes(node, values, scope, around)
        if op == "adapt":
            return tuple(
                self.builder.adapt(value, (attributes["width"], *value.shape[1:]), place)
                for place, value in self._places(values, scope)
            )
        if op in POOLS and attributes.get("kernel") == attributes.get("stride") == 1 and not attributes.get("bn"):
            return values
        if op in PASSING:
            return tuple(
                self.builder.add(op, (value,), scope=place, **attributes)
                for place, value in self._places(values, scope)
            )
        return (self.builder.add(op, values, scope=scope, **attributes),)

    def _attributes(self, node: BoundOp, values: Values, scope: str, around: Around) -> dict[str, Any]:
        attributes = dict(node.constants)
        for key, decided in node.decided:
            attributes[key] = decided.of(self.choices)
        for key, symbol in node.symbols:
            attributes[key] = self._symbol(symbol, values, scope, around)
        return attributes

    def _places(self, values: Values, scope: str) -> list[tuple[str, Value]]:
        """Each value with a scope of its own."""
        return [(scope if len(values) == 1 else f"{scope}.{index}", value) for index, value in enumerate(values)]

    def _symbol(self, symbol: Symbol, values: Values, scope: str, around: Around) -> Any:
        if symbol.kind == "columns":
            return self.signature.columns
        if symbol.kind == "stride":
            return around.stride
        if symbol.kind == "down":
            return down(values[0].shape, symbol.index or _LEAST)
        if symbol.kind == "width":
            if around.width is None:
                raise GraphError(f"At {scope}: WIDTH stands outside any dag; it means the width of the enclosing dag.")
            return around.width
        if symbol.index >= len(self.signature.outputs):
            raise GraphError(f"At {scope}: {symbol!r}, but the task has {len(self.signature.outputs)} output(s).")
        return self.signature.outputs[symbol.index]

    def _parallel(self, node: BoundParallel, values: Values, scope: str, around: Around) -> Values:
        results: list[Value] = []
        for segment, branch in zip(node.segments, node.branches):
            results.extend(self.emit(branch, values, join(scope, segment), around))
        how = node.merge.of(self.choices)
        return tuple(results) if how is None else (self._merge(results, how, scope),)

    def _merge(self, values: Sequence[Value], how: str, scope: str, labels: Sequence[int] | None = None) -> Value:
        """One value of several; `labels` tell them apart where other architectures merge others of them."""
        if len(values) == 1 and how != "concat":
            return values[0]
        return self.builder.merge(values, how, join(scope, how), labels=labels)  # type: ignore[arg-type]

    def _around(self, dag: BoundDag, values: Values, scope: str, around: Around) -> tuple[Around, Around]:
        """What symbols mean inside a dag: on edges between nodes, and on those that read its inputs."""
        if len(values) != dag.inputs:
            raise GraphError(f"At {scope or 'the start'}: a dag with inputs={dag.inputs} got {len(values)} value(s).")
        stride = dag.stride if isinstance(dag.stride, int) else self._symbol(dag.stride, values, scope, around)
        return Around(values[0].shape[0], 1), Around(values[0].shape[0], stride)

    def _dag(self, dag: BoundDag, values: Values, scope: str, around: Around) -> Values:
        inner, reading = self._around(dag, values, scope, around)
        states, loose = list(values), set(range(dag.inputs, dag.inputs + len(dag.nodes)))
        for node in dag.nodes:
            edges = node.edges(self.choices, dag.inputs)
            results: list[Value] = []
            for source, slot in edges:
                op = node.ops[slot]
                loose.discard(source)
                state: Values = (states[source],)
                results.extend(
                    self.emit(op, state, join(scope, node.segments[slot]), reading if source < dag.inputs else inner)
                    if op
                    else state
                )
            here = join(scope, node.segment)
            slots = [slot for _, slot in edges] if len(results) == len(edges) else None
            merged = self._merge(results, node.merge.of(self.choices), here, slots)
            states.extend(self.emit(node.node, (merged,), here, inner) if node.node else (merged,))
        if dag.output == "last":
            return (states[-1],)
        kept = range(dag.inputs, len(states)) if dag.output == "nodes" else sorted(loose)
        return (self._merge([states[index] for index in kept], "concat", scope, kept),)


def down(shape: Shape, least: int) -> int:
    """What `DOWN[least]` means for an input of this shape."""
    return 2 if len(shape) == 3 and min(shape[1:]) // 2 >= least else 1
