from __future__ import annotations

import copy
import pickle
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archwright.errors import GraphError
from archwright.graph import GraphBuilder
from archwright.graph.module import build, calibrate, seeded
from archwright.problem import Signature


def small() -> GraphBuilder:
    return GraphBuilder(Signature(((3, 4, 4),), (2,)))


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_any_graph_builds_runs_and_trains(draw_graph, batch, data: st.DataObject) -> None:
    graph = draw_graph(data)
    module = build(graph, seed=data.draw(st.integers(0, 9)))
    assert sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad) == graph.cost.params
    result = module(*batch(graph))
    assert result.shape == (3, 3)
    assert torch.isfinite(result).all()
    result.square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_one_seed_gives_one_network_and_leaves_the_global_generator_alone() -> None:
    builder = small()
    value = builder.add("mbconv", [builder.input()], width=4, se=True)
    graph = builder.finish([builder.add("linear", [builder.add("global_avg_pool", [value])], width=2)])
    before = torch.random.get_rng_state()
    first, again, other = build(graph, 0).state_dict(), build(graph, 0).state_dict(), build(graph, 1).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert list(first) == list(other)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_seeded_restores_the_generator_after_an_error() -> None:
    before = torch.random.get_rng_state()
    with pytest.raises(RuntimeError), seeded(3):
        torch.rand(1).reshape(2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_keys_are_named_by_scopes() -> None:
    builder = small()
    value = builder.input()
    for scope in (
        "stem",
        "stage1.block0",
        "stage1.block0",
        "stage1.block0",
        "",
        "",
        "class",
        "forward",
        "7",
        "outputs",
    ):
        value = builder.add("conv_bn", [value], width=3, scope=scope)
    graph = builder.finish(
        [builder.add("linear", [builder.add("global_avg_pool", [value], scope="head")], width=2, scope="head.linear")]
    )
    assert list(dict(build(graph, 0).named_children())) == [
        "stem",
        "stage1_block0_conv_bn",
        "stage1_block0_conv_bn_2",
        "stage1_block0_conv_bn_3",
        "conv_bn",
        "conv_bn_2",
        "layer_class",
        "forward_2",
        "layer_7",
        "outputs_2",
        "head_linear",
    ]


def test_networks_copy_and_pickle() -> None:
    builder = small()
    graph = builder.finish([builder.add("linear", [builder.add("global_avg_pool", [builder.input()])], width=2)])
    module, x = build(graph, 0), torch.ones(1, 3, 4, 4)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(x), module(x))


def test_intermediate_results_are_dropped_after_their_last_use() -> None:
    builder = small()
    value = builder.input()
    for _ in range(4):
        value = builder.add("relu_conv_bn", [value])
    module = build(builder.finish([builder.add("linear", [builder.add("flatten", [value])], width=2)]), 0)
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def watch(layer: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(output))
        most = max(most, sum(ref() is not None for ref in alive))

    for layer in module.children():
        layer.register_forward_hook(watch)
    with torch.no_grad():
        module(torch.ones(1, 3, 4, 4))
    assert len(alive) == 5
    assert most <= 2


def test_the_number_of_inputs_is_checked() -> None:
    builder = small()
    module = build(builder.finish([builder.add("linear", [builder.add("flatten", [builder.input()])], width=2)]), 0)
    with pytest.raises(GraphError, match="Got 2 inputs; expected 1"):
        module(torch.ones(1, 3, 4, 4), torch.ones(1, 3, 4, 4))


class Centred(nn.Module):
    """Subtracts the mean of what it was calibrated with."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))

    def calibrate(self, x: torch.Tensor) -> None:
        self.mean.copy_(x.mean(0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.mean


def test_calibrated_blocks_see_what_they_get() -> None:
    module = nn.Sequential(Centred(3), nn.Flatten(), Centred(3), nn.Dropout())
    x = torch.rand(50, 3) + 5.0
    calibrate(module, x)
    assert module.training
    torch.testing.assert_close(module[0].mean, x.mean(0))
    torch.testing.assert_close(module[2].mean, torch.zeros(3), atol=1e-5, rtol=0)
    module.eval()
    before = module[0].mean.clone()
    module(x + 1)
    assert torch.equal(module[0].mean, before)  # only once
