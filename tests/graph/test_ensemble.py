"""Ensembles as graphs: one network whose outputs are the weighted mean of its members'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from archwright.errors import GraphError
from archwright.graph import Graph
from archwright.graph.ensemble import ensemble, ensemble_state
from archwright.graph.module import build
from archwright.graph.source import source
from archwright.problem import Signature
from archwright.space import get_space

LAWS = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def drawn(draw_graph: Callable[..., Graph], data: st.DataObject) -> list[Graph]:
    """Random graphs of one signature, perhaps with repetitions."""
    graphs = [draw_graph(data, 5) for _ in range(3)]
    alike = [graph for graph in graphs if graph.signature == graphs[0].signature]
    return data.draw(st.lists(st.sampled_from(alike), min_size=1, max_size=4))


def networks(graphs: Sequence[Graph]) -> list[nn.Module]:
    return [build(graph, seed).eval() for seed, graph in enumerate(graphs)]


def shares(count: int) -> tuple[float, ...]:
    raw = np.arange(1, count + 1)
    return tuple(float(one) for one in raw / raw.sum())


def averaged(outputs: list[torch.Tensor], weights: Sequence[float], logits: bool) -> torch.Tensor:
    parts = [out.double().softmax(1) if logits else out.double() for out in outputs]
    mean = sum(weight * part for weight, part in zip(weights, parts))
    assert isinstance(mean, torch.Tensor)
    return mean.log() if logits else mean


@LAWS
@given(data=st.data(), logits=st.booleans())
def test_the_output_is_the_weighted_mean_of_the_members(
    data: st.DataObject, logits: bool, draw_graph: Any, batch: Any
) -> None:
    graphs = drawn(draw_graph, data)
    weights = shares(len(graphs))
    whole, members = ensemble(graphs, weights, logits=logits), networks(graphs)
    state = ensemble_state(whole, graphs, [member.state_dict() for member in members])
    inputs = batch(whole)
    namespace: dict[str, Any] = {"__name__": "ensemble_source"}
    exec(compile(source(whole), "ensemble_source", "exec"), namespace)
    with torch.no_grad():
        expected = averaged([member(*inputs) for member in members], weights, logits)
        for network in (build(whole, 99), namespace["Network"]()):
            network.load_state_dict(state)
            found = network.eval()(*inputs)
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    assert Graph.from_json(whole.to_json()) == whole


@LAWS
@given(data=st.data())
def test_an_ensemble_costs_at_most_its_members(data: st.DataObject, draw_graph: Any) -> None:
    graphs = drawn(draw_graph, data)
    whole = ensemble(graphs, shares(len(graphs)), logits=True)
    assert whole.cost.params == sum(graph.cost.params for graph in graphs)
    assert whole.cost.flops <= sum(graph.cost.flops for graph in graphs)
    averaging = 4 * whole.nodes[whole.outputs[0]].shape[0]
    memory = sum(graph.cost.activation_bytes for graph in graphs)
    assert whole.cost.activation_bytes <= memory + averaging


def test_each_position_of_a_text_is_averaged_on_its_own() -> None:
    space = get_space("rnn-cell", nodes=2, width=8, embedding=4)
    signature = Signature(((6,),), (5,), (6,))
    rng = np.random.default_rng(0)
    graphs = [space.graph(space.sample(rng), signature) for _ in range(2)]
    whole, members = ensemble(graphs, (0.25, 0.75), logits=True), networks(graphs)
    network = build(whole, 0).eval()
    network.load_state_dict(ensemble_state(whole, graphs, [one.state_dict() for one in members]))
    x = torch.from_numpy(rng.integers(0, 5, (4, 6)).astype(np.float32))
    with torch.no_grad():
        expected = averaged([member(x) for member in members], (0.25, 0.75), logits=True)
        np.testing.assert_allclose(network(x).numpy(), expected.numpy(), atol=1e-6)
    assert whole.nodes[whole.outputs[0]].shape == (5, 6)


def test_extreme_logits_stay_finite() -> None:
    from archwright.graph.blocks.functions import ensemble_mean

    far = torch.tensor([[1e4, -1e4]])
    assert torch.isfinite(ensemble_mean(far, -far, weights=(0.5, 0.5), logits=True)).all()


def test_members_of_two_signatures_and_weights_that_are_no_shares_are_refused() -> None:
    space, rng = get_space("mlp"), np.random.default_rng(0)
    one, two = (space.graph(space.sample(rng), Signature(((width,),), (3,))) for width in (4, 5))
    with pytest.raises(GraphError, match="one signature"):
        ensemble([one, two], (0.5, 0.5), logits=True)
    with pytest.raises(GraphError, match="Got no networks"):
        ensemble([], (), logits=True)
    for weights in ((0.5,), (0.5, 0.6), (0.0, 1.0)):
        with pytest.raises(GraphError, match="a sum of 1"):
            ensemble([one, one], weights, logits=True)
