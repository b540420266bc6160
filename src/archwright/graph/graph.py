"""The graph: a flat, concrete DAG of operations with known shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from archwright.errors import GraphError
from archwright.graph.ops import Attributes, Op, op_from_name, op_name
from archwright.graph.shapes import Call, call, input_call
from archwright.problem import Cost, Shape, Signature

Parts = tuple[tuple[str, int], ...]
"""Runs of channels: where each comes from and how many they are. Empty for channels of one origin."""


class Node(NamedTuple):
    """One operation in a graph.

    Attributes:
        call: The operation with its attributes on inputs of these shapes.
        inputs: Indices of the nodes it reads, all smaller than its own.
        scope: Where in the space it comes from, for example ``"stage1.block0"``.
    """

    call: Call
    inputs: tuple[int, ...]
    scope: str = ""

    @property
    def op(self) -> Op:
        """Name or class of the operation; ``"input"`` for an input of the network."""
        return self.call.op

    @property
    def attrs(self) -> Attributes:
        """Complete attributes, sorted by name."""
        return self.call.attrs

    @property
    def shape(self) -> Shape:
        """Shape of the output, without the batch dimension."""
        return self.call.shape


@dataclass(frozen=True)
class Graph:
    """A concrete network before its weights, in normal form; made by a :class:`~archwright.graph.build.GraphBuilder` or :meth:`from_json`.

    Attributes:
        nodes: In topological order; the inputs of the network come first.
        inputs: Indices of the inputs.
        outputs: Indices of the nodes that are the network's outputs.
        signature: Input shapes and output sizes the graph was made for.
        parts: For each node where the channels that it reads come from, if they were put side by side: the label of each source and its channels.
            Networks of a space in which some sources are left out can so share weights. Not part of the JSON.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signature: Signature
    parts: tuple[Parts, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def cost(self) -> Cost:
        """Parameters, FLOPs and activation memory of one sample."""
        params = flops = activation_bytes = 0
        for node in self.nodes:
            cost = node[0].cost
            params += cost.params
            flops += cost.flops
            activation_bytes += cost.activation_bytes
        return Cost(params, flops, activation_bytes)

    def latency(self, table: Mapping[str, float]) -> float:
        """Milliseconds by a table; see :func:`archwright.graph.latency.latency`."""
        from archwright.graph.latency import latency

        return latency(self, table)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the function family: equal for isomorphic graphs."""
        from archwright.graph.fingerprint import fingerprint

        return fingerprint(self)

    def __len__(self) -> int:
        return len(self.nodes)

    def operations(self) -> Iterator[tuple[int, Node]]:
        """The nodes that are no inputs, with their indices."""
        return ((index, node) for index, node in enumerate(self.nodes) if node.op != "input")

    def to_json(self) -> str:
        """The graph as JSON. A user's class is written as ``"package.module:Class"``."""
        return json.dumps(
            {
                "inputs": self.signature.inputs,
                "sizes": self.signature.outputs,
                "positions": self.signature.positions,
                "columns": self.signature.columns,
                "nodes": [
                    [op_name(node.op), dict(node.attrs), node.inputs, node.scope] for _, node in self.operations()
                ],
                "outputs": self.outputs,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Graph:
        """Reads what :meth:`to_json` wrote.

        Raises:
            GraphError: Where the text is not such a graph, or an operation in it is unknown here.
        """
        try:
            record = json.loads(text)
            signature = Signature(
                as_tuples(record["inputs"]),
                as_tuples(record["sizes"]),
                as_tuples(record.get("positions", [])),
                as_tuples(record.get("columns", [])),
            )
            calls = [input_call(index, shape) for index, shape in enumerate(signature.inputs)]
            sources: list[tuple[int, ...]] = [()] * len(calls)
            scopes = [""] * len(calls)
            for name, attrs, inputs, scope in record["nodes"]:
                if any(not 0 <= source < len(calls) for source in inputs):
                    raise ValueError(f"node {len(calls)} reads the nodes {inputs}, expected earlier ones")
                pairs = tuple((key, as_tuples(value)) for key, value in attrs.items())
                calls.append(call(op_from_name(name), pairs, tuple(calls[source].shape for source in inputs), scope))
                sources.append(tuple(inputs))
                scopes.append(scope)
            outputs = list(record["outputs"])
            if not outputs or any(not 0 <= source < len(calls) for source in outputs):
                raise ValueError(f"got the outputs {outputs}, expected indices of nodes")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GraphError(
                f"Cannot read a graph from JSON: {error!r}. Expected the text that Graph.to_json() wrote."
            ) from error
        return assemble(signature, calls, sources, scopes, outputs)


def assemble(
    signature: Signature,
    calls: Sequence[Call],
    inputs: Sequence[tuple[int, ...]],
    scopes: Sequence[str],
    outputs: Sequence[int],
    parts: Sequence[Parts] = (),
) -> Graph:
    """The graph in normal form: without the nodes that no output needs, and with equal nodes without weights on equal inputs made one.

    Args:
        signature: Its inputs are the first calls.
        calls: In topological order.
        inputs: Which calls each reads.
        scopes: Where each comes from.
        outputs: Indices of the outputs.
        parts: Of what each reads.
    """
    first = len(signature.inputs)
    alive = [index < first for index in range(len(calls))]
    for output in outputs:
        alive[output] = True
    for index in range(len(calls) - 1, first - 1, -1):
        if alive[index]:
            for source in inputs[index]:
                alive[source] = True
    nodes: list[Node] = []
    read: list[Parts] = []
    place: list[int] = []
    known: dict[tuple[Call, tuple[int, ...]], int] = {}
    for index, found in enumerate(calls):
        here = len(nodes)
        if not alive[index]:
            place.append(-1)
            continue
        sources = tuple([place[source] for source in inputs[index]])
        if found.unifiable:
            here = known.setdefault((found, tuple(sorted(sources)) if found.spec.commutative else sources), here)
        if here == len(nodes):
            nodes.append(Node(found, sources, scopes[index]))
            read.append(parts[index] if parts else ())
        place.append(here)
    return Graph(
        tuple(nodes), tuple(range(first)), tuple([place[output] for output in outputs]), signature, tuple(read)
    )


def as_tuples(value: Any) -> Any:
    """Lists, as JSON has them, as tuples."""
    return tuple(as_tuples(item) for item in value) if isinstance(value, list) else value
