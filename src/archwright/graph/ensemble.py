"""Several networks as one: on the same inputs, their predictions averaged. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from archwright.errors import GraphError
from archwright.graph.graph import Graph, assemble
from archwright.graph.names import names
from archwright.graph.shapes import call, input_call

Weights = TypeVar("Weights")


def ensemble(graphs: Sequence[Graph], weights: Sequence[float], *, logits: bool) -> Graph:
    """Compose networks into one whose outputs are the weighted mean of theirs.

    Nodes of the first network have scopes that begin with ``member1``, and so on. Equal nodes
    without weights on the same inputs are one.

    Args:
        graphs: The members, all with the same signature.
        weights: The share of each, above 0; the shares sum to 1.
        logits: Whether the outputs are logits. Their probabilities are averaged then, and the
            output is the logarithm of the mean.

    Raises:
        GraphError: If the members have different signatures, or the weights are no shares.
    """
    if not graphs or any(graph.signature != graphs[0].signature for graph in graphs):
        got = ", ".join(dict.fromkeys(str(graph.signature) for graph in graphs)) or "no networks"
        raise GraphError(f"Got {got} for an ensemble; expected networks with one signature.")
    shares = len(weights) == len(graphs) and min(weights) > 0 and abs(sum(weights) - 1) < 1e-9
    if not shares:
        raise GraphError(
            f"Got the weights {tuple(weights)} for {len(graphs)} networks; "
            "expected one above 0 for each, and a sum of 1."
        )
    signature = graphs[0].signature
    calls = [input_call(index, shape) for index, shape in enumerate(signature.inputs)]
    inputs: list[tuple[int, ...]] = [()] * len(calls)
    scopes = [""] * len(calls)
    ends: list[list[int]] = []
    for number, graph in enumerate(graphs, start=1):
        place = list(graph.inputs)
        for _, node in graph.operations():
            place.append(len(calls))
            calls.append(node.call)
            inputs.append(tuple([place[source] for source in node.inputs]))
            scopes.append(".".join(filter(None, (f"member{number}", node.scope))))
        ends.append([place[output] for output in graph.outputs])
    attributes = (("weights", tuple(weights)), ("logits", logits))
    outputs = []
    for sources in zip(*ends, strict=True):
        outputs.append(len(calls))
        shapes = tuple([calls[source].shape for source in sources])
        calls.append(call("ensemble_mean", attributes, shapes, "ensemble"))
        inputs.append(sources)
        scopes.append("ensemble")
    return assemble(signature, calls, inputs, scopes, outputs)


def ensemble_state(
    whole: Graph, graphs: Sequence[Graph], states: Sequence[Mapping[str, Weights]]
) -> dict[str, Weights]:
    """Return the state dict of an ensemble from those of its members.

    Args:
        whole: What :func:`ensemble` made.
        graphs: Its members, in the same order.
        states: The state dict of each.
    """
    slots = iter(_stateful(whole))
    state: dict[str, Weights] = {}
    for graph, own in zip(graphs, states, strict=True):
        renamed = dict(zip(_stateful(graph), slots, strict=False))
        for key, value in own.items():
            layer, _, rest = key.partition(".")
            state[f"{renamed[layer]}.{rest}"] = value
    return state


def _stateful(graph: Graph) -> list[str]:
    """Names of the nodes that are never made one with others: all that have weights."""
    labelled = zip(names(graph), graph.nodes, strict=True)
    return [name for name, node in labelled if node.op != "input" and not node.call.unifiable]
