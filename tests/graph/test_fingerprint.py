from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.graph import Graph, GraphBuilder, Value
from archwright.graph.graph import assemble
from archwright.problem import Signature

WIDE = Signature(((3, 4, 4),), (3,))


def relabelled(graph: Graph, rng: np.random.Generator) -> Graph:
    """The same graph in another topological order, with the inputs of commutative nodes shuffled and other scopes."""
    waiting, order = set(range(len(graph.inputs), len(graph))), list(graph.inputs)
    while waiting:
        ready = sorted(node for node in waiting if waiting.isdisjoint(graph.nodes[node].inputs))
        order.append(int(rng.choice(ready)))
        waiting.discard(order[-1])
    place = {node: index for index, node in enumerate(order)}
    inputs = []
    for node in order:
        sources = [place[source] for source in graph.nodes[node].inputs]
        inputs.append(
            tuple(int(source) for source in rng.permutation(sources))
            if graph.nodes[node].call.spec.commutative
            else tuple(sources)
        )
    calls = [graph.nodes[node].call for node in order]
    scopes = [f"other{index}" for index in range(len(order))]
    return assemble(graph.signature, calls, inputs, scopes, [place[output] for output in graph.outputs])


def merged(branches: list[list[tuple[str, dict]]], how: str = "add") -> Graph:
    """Parallel chains on the input, merged."""
    builder = GraphBuilder(WIDE)
    ends: list[Value] = []
    for branch in branches:
        value = builder.input()
        for name, attrs in branch:
            value = builder.add(name, [value], **attrs)
        ends.append(value)
    return builder.finish([builder.merge(ends, how)])


CONV = ("relu_conv_bn", {})
POOL = ("avg_pool", {})


@settings(deadline=None, max_examples=80)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_the_order_of_nodes_and_of_commutative_inputs_and_scopes_do_not_matter(
    draw_graph, data: st.DataObject, seed: int
) -> None:
    graph = draw_graph(data, 14)
    other = relabelled(graph, np.random.default_rng(seed))
    assert other.fingerprint == graph.fingerprint


@settings(deadline=None, max_examples=40)
@given(
    branches=st.lists(
        st.lists(st.sampled_from([CONV, POOL, ("sep_conv", {})]), min_size=1, max_size=3), min_size=2, max_size=6
    ),
    data=st.data(),
)
def test_equal_branches_are_told_apart_in_any_order(branches: list, data: st.DataObject) -> None:
    assert merged(branches).fingerprint == merged(data.draw(st.permutations(branches))).fingerprint


@settings(deadline=None, max_examples=60)
@given(
    first=st.lists(st.lists(st.sampled_from([CONV, POOL]), min_size=1, max_size=2), min_size=2, max_size=4),
    second=st.lists(st.lists(st.sampled_from([CONV, POOL]), min_size=1, max_size=2), min_size=2, max_size=4),
)
def test_sums_of_different_branches_differ(first: list, second: list) -> None:
    def canonical(branches: list) -> list:
        return sorted([name for name, _ in branch] for branch in branches)

    assert (merged(first).fingerprint == merged(second).fingerprint) == (canonical(first) == canonical(second))


def test_one_node_used_twice_is_not_two_nodes() -> None:
    builder = GraphBuilder(WIDE)
    conv = builder.add("relu_conv_bn", [builder.input()])
    shared = builder.finish([builder.merge([conv, conv], "add")])
    assert shared.fingerprint != merged([[CONV], [CONV]]).fingerprint
    builder = GraphBuilder(WIDE)
    conv = builder.add("relu_conv_bn", [builder.input()])
    ends = [builder.add("avg_pool", [conv]), builder.add("max_pool", [conv])]
    shared = builder.finish([builder.merge(ends, "add")])
    assert shared.fingerprint != merged([[CONV, POOL], [CONV, ("max_pool", {})]]).fingerprint
    assert merged([[POOL], [POOL]]).fingerprint == merged([[POOL], [POOL], []][:2]).fingerprint


def test_which_of_two_equal_nodes_is_shared_with_what_matters() -> None:
    def pairs(edges: list[tuple[int, int]]) -> Graph:
        builder = GraphBuilder(WIDE)
        nodes = [builder.add("relu_conv_bn", [builder.input()]) for _ in range(6)]
        ends = [builder.add("sep_conv", [builder.merge([nodes[a], nodes[b]], "add")]) for a, b in edges]
        return builder.finish([builder.merge(ends, "add")])

    ring = [(index, (index + 1) % 6) for index in range(6)]
    triangles = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
    assert pairs(ring).fingerprint != pairs(triangles).fingerprint
    rng = np.random.default_rng(0)
    for edges in (ring, triangles):
        expected = pairs(edges).fingerprint
        for _ in range(5):
            places = rng.permutation(6)
            shuffled = [edges[index] for index in rng.permutation(6)]
            assert pairs([(int(places[b]), int(places[a])) for a, b in shuffled]).fingerprint == expected


def test_attributes_shapes_outputs_and_merges_matter() -> None:
    graphs = [
        merged([[CONV]]),
        merged([[("relu_conv_bn", {"kernel": 5})]]),
        merged([[("relu_conv_bn", {"dilation": 2})]]),
        merged([[CONV], []]),
        merged([[CONV], []], "mul"),
        merged([[CONV], [CONV]]),
        merged([[CONV], [CONV], [CONV]]),
        merged([[CONV, CONV]]),
        merged([[CONV, POOL]]),
        merged([[POOL, CONV]]),
        merged([[]]),
    ]
    builder = GraphBuilder(replace_shape(WIDE))
    graphs.append(builder.finish([builder.add("relu_conv_bn", [builder.input()])]))
    builder = GraphBuilder(Signature(((3, 4, 4), (3, 4, 4)), (3, 3)))
    ends = [builder.add("relu_conv_bn", [builder.input(0)]), builder.add("relu_conv_bn", [builder.input(1)])]
    graphs += [
        builder.finish(ends),
        builder.finish(ends[::-1]),
        builder.finish([ends[0], ends[0]]),
        builder.finish([builder.input(0), ends[1]]),
    ]
    assert len({graph.fingerprint for graph in graphs}) == len(graphs)


def replace_shape(signature: Signature) -> Signature:
    return Signature(((3, 5, 5),), signature.outputs)


def test_a_segment_is_hashed_alike_wherever_it_stands() -> None:
    chain = [CONV, POOL, CONV]
    whole = merged([chain])
    assert whole.fingerprint == replace(whole).fingerprint
    for order in itertools.permutations(range(3)):
        assert (merged([[chain[index] for index in order]]).fingerprint == whole.fingerprint) == (
            order in ((0, 1, 2), (2, 1, 0))
        )


def test_it_is_stable_across_processes_and_hash_seeds() -> None:
    code = (
        "from archwright.graph import GraphBuilder; from archwright.problem import Signature\n"
        "b = GraphBuilder(Signature(((3, 4, 4),), (3,))); x = b.input()\n"
        "convs = [b.add('relu_conv_bn', [x]) for _ in range(3)]\n"
        "print(b.finish([b.merge([*convs, b.add('avg_pool', [x])], 'add')]).fingerprint)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert found == merged([[POOL], [CONV], [CONV], [CONV]]).fingerprint
