from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import GraphError
from archwright.graph import Graph, GraphBuilder
from archwright.problem import Signature


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_json_and_pickle_give_the_same_graph(draw_graph, data: st.DataObject) -> None:
    graph = draw_graph(data)
    for copy in (Graph.from_json(graph.to_json()), pickle.loads(pickle.dumps(graph))):
        assert copy == graph
        assert copy.fingerprint == graph.fingerprint
        assert copy.cost == graph.cost
    assert Graph.from_json(graph.to_json()).to_json() == graph.to_json()


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_graph_is_in_topological_order_and_every_node_is_needed(draw_graph, data: st.DataObject) -> None:
    graph = draw_graph(data)
    assert [graph.nodes[index].op for index in graph.inputs] == ["input"] * len(graph.signature.inputs)
    read = {source for node in graph.nodes for source in node.inputs} | set(graph.outputs) | set(graph.inputs)
    assert read == set(range(len(graph)))
    for index, node in enumerate(graph.nodes):
        assert all(source < index for source in node.inputs)
        assert tuple(graph.nodes[source].shape for source in node.inputs) == node.call.inputs
    assert graph.cost.params == sum(node.call.cost.params for node in graph.nodes)


def test_a_users_class_round_trips_by_its_qualified_name() -> None:
    builder = GraphBuilder(Signature(((3, 4, 4),), (3,)))
    graph = builder.finish([builder.add(torch.nn.BatchNorm2d, [builder.input()], momentum=0.2)])
    assert '"torch.nn.modules.batchnorm:BatchNorm2d"' in graph.to_json()
    assert Graph.from_json(graph.to_json()) == graph


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"inputs": [[3]], "sizes": [2], "nodes": [["linear", {"width": 2}, [5], ""]], "outputs": [1]}',
        '{"inputs": [[3]], "sizes": [2], "nodes": [["liner", {"width": 2}, [0], ""]], "outputs": [1]}',
        '{"inputs": [[3]], "sizes": [2], "nodes": [["linear", {"width": 2}, [0], ""]], "outputs": [9]}',
        '{"inputs": [[3]], "sizes": [2], "nodes": [["nowhere:Linear", {"width": 2}, [0], ""]], "outputs": [1]}',
    ],
)
def test_what_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(GraphError):
        Graph.from_json(text)
