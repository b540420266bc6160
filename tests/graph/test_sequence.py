"""Blocks on sequences: the recurrent cell against a step-by-step reference, shapes, costs, source."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from archwright.errors import GraphError
from archwright.graph import Graph, GraphBuilder
from archwright.graph.blocks.mixed_cell import MixedRecurrentCell
from archwright.graph.blocks.sequence import CELL_ACTIVATIONS, Embedding, RecurrentCell, VariationalDropout
from archwright.graph.draw import svg
from archwright.graph.latency import entry
from archwright.graph.module import build, seeded
from archwright.graph.source import source
from archwright.problem import Signature

SIGNATURE = Signature(((7,),), (5,), (7,))
SETTINGS = {"act1": "relu", "from2": 0, "act2": "identity", "from3": 1, "act3": "sigmoid", "from4": 1, "act4": "tanh"}


def graph_of(nodes: int = 4, **settings: Any) -> Graph:
    builder = GraphBuilder(SIGNATURE)
    value = builder.add("embedding", [builder.input()], symbols=5, width=3)
    value = builder.add("variational_dropout", [value], rate=0.2)
    value = builder.add("recurrent_cell", [value], width=6, nodes=nodes, **settings)
    return builder.finish([builder.add("positionwise_linear", [value], width=5)])


def reference(cell: RecurrentCell, x: Tensor, sources: list[int], activations: list[str]) -> Tensor:
    """The cell written out: one sample, one step, one state after the other."""
    functions = {"tanh": np.tanh, "relu": lambda v: np.maximum(v, 0), "identity": lambda v: v}
    functions["sigmoid"] = sigmoid = lambda v: 1 / (1 + np.exp(-v))
    given, hidden = (layer.weight.detach().double().numpy() for layer in (cell.input, cell.hidden))
    weights = [layer.weight.detach().double().numpy() for layer in cell.nodes]
    outputs = np.zeros((len(x), cell.width, x.shape[2]))
    for row, sample in enumerate(x.double().numpy()):
        state = np.zeros(cell.width)
        for step in range(x.shape[2]):
            gate, new = np.split(given @ sample[:, step] + hidden @ state, 2)
            states = [state + sigmoid(gate) * (np.tanh(new) - state)]
            for weight, read, name in zip(weights, sources, activations):
                gate, new = np.split(weight @ states[read], 2)
                states.append(states[read] + sigmoid(gate) * (functions[name](new) - states[read]))
            state = np.mean(states[1:], axis=0)
            outputs[row, :, step] = state
    return torch.from_numpy(outputs)


def test_a_cell_is_what_it_is_step_by_step() -> None:
    with seeded(0):
        cell, x = RecurrentCell(3, 6, 4, **SETTINGS), torch.randn(2, 3, 5)
    expected = reference(cell, x, [0, 0, 1, 1], ["relu", "identity", "sigmoid", "tanh"])
    torch.testing.assert_close(cell(x).double(), expected, atol=1e-6, rtol=1e-5)
    chain = RecurrentCell(3, 6, 3)
    expected = reference(chain, x, [0, 1, 2], ["tanh"] * 3)
    torch.testing.assert_close(chain(x).double(), expected, atol=1e-6, rtol=1e-5)


def test_a_step_sees_nothing_of_later_ones() -> None:
    module = build(graph_of(**SETTINGS), 0).eval()
    x = torch.randint(5, (3, 7)).float()
    changed = x.clone()
    changed[:, 4:] = 4 - changed[:, 4:]
    before, after = module(x), module(changed)
    torch.testing.assert_close(before[:, :, :4], after[:, :, :4])
    assert not torch.equal(before[:, :, 4:], after[:, :, 4:])


def test_shapes_and_costs() -> None:
    graph = graph_of(**SETTINGS)
    costs = {node.call.spec.name: node.call.cost for node in graph.nodes}
    assert [node.shape for node in graph.nodes] == [(7,), (3, 7), (3, 7), (6, 7), (5, 7)]
    assert costs["recurrent_cell"].params == 12 * 3 + 5 * 12 * 6
    assert costs["recurrent_cell"].flops == 2 * 7 * costs["recurrent_cell"].params, "each weight once a step"
    assert costs["embedding"].params == 15
    assert costs["positionwise_linear"].flops == 2 * 7 * 6 * 5
    assert graph.cost.params == sum(parameter.numel() for parameter in build(graph, 0).parameters())
    assert Graph.from_json(graph.to_json()) == graph
    assert graph.fingerprint != graph_of(**{**SETTINGS, "act2": "tanh"}).fingerprint


def test_activations_that_training_keeps_are_foreseen() -> None:
    graph = graph_of(**SETTINGS)
    module, x, kept = build(graph, 0).train(), torch.zeros(64, 7), {}
    own = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = module(x)
    bytes_kept = sum(size for pointer, size in kept.items() if pointer not in own) / 64
    assert bytes_kept < 3 * graph.cost.activation_bytes < 4 * bytes_kept, out.shape


def test_what_a_cell_refuses() -> None:
    for settings, message in (
        ({"from2": 2}, "node 2 reads state 2, expected one of 0 to 1"),
        ({"act1": "gelu"}, "unknown activation 'gelu', expected one of tanh, relu"),
        ({"act5": "tanh"}, "got act5 in a cell of 4 nodes"),
        ({"from1": 1}, "no attribute|unknown attribute 'from1'"),
    ):
        with pytest.raises(GraphError, match=message):
            graph_of(**settings)
    graph_of(from2=1)  # known by now: mistakes are found all the same
    with pytest.raises(GraphError, match="node 2 reads state 2"):
        graph_of(from2=2, act1="relu")


def test_the_latency_of_a_cell_does_not_depend_on_its_settings() -> None:
    one, other = (graph_of(**settings).nodes[3].call for settings in (SETTINGS, {}))
    assert one is not other
    assert entry(one) == entry(other) == "recurrent_cell(nodes=4, width=6) 3x7"


def test_the_source_of_a_cell_stands_alone_and_agrees() -> None:
    graph = graph_of(**SETTINGS)
    text = source(graph)
    assert 'RecurrentCell(\n            3, width=6, nodes=4, act1="relu", from2=0, act2="identity",' in text
    assert "mixed" not in text.lower()
    space: dict[str, Any] = {"__name__": "exported"}
    exec(compile(text, "model.py", "exec"), space)
    module, other = build(graph, 1).eval(), space["Network"]().eval()
    other.load_state_dict(module.state_dict())
    x = torch.randint(5, (3, 7)).float()
    torch.testing.assert_close(other(x), module(x))
    assert "recurrent cell" in svg(graph)


def test_dropout_is_the_same_at_every_step() -> None:
    with seeded(0):
        dropped = VariationalDropout(0.5).train()(torch.ones(8, 6, 5))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == dropped[:, :, :1]).all()


def test_symbols_are_looked_up() -> None:
    layer = Embedding(4, 3)
    out = layer(torch.tensor([[0.0, 3.0], [2.0, 2.0]]))
    torch.testing.assert_close(out[0, :, 1], layer.table.weight[3])
    assert out.shape == (2, 3, 2)


def test_a_network_of_sequences_is_measured_without_torchs_compiler() -> None:
    code = (
        "import sys; from archwright.space import get_space; from archwright.problem import Signature\n"
        "space = get_space('rnn-cell', dropout=0.1)\n"
        "space.graph(space.fill(lambda address, count: 0), Signature(((9,),), (5,), (9,)))\n"
        "sys.exit('torch._dynamo.convert_frame' in sys.modules or 'sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_mixed_cell_without_a_mixture_is_the_cell() -> None:
    plain, mixed = RecurrentCell(3, 6, 4, **SETTINGS), MixedRecurrentCell(3, 6, 4, **SETTINGS)
    mixed.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 5)
    torch.testing.assert_close(mixed(x), plain(x))


def mixed_reference(cell: MixedRecurrentCell, x: Tensor, p: list[Tensor], q: list[Tensor]) -> Tensor:
    """The sum of DARTS written out, term by term."""
    state, outputs = torch.zeros(len(x), cell.width, dtype=x.dtype), []
    for step in range(x.shape[2]):
        gate, new = (cell.input(x[:, :, step]) + cell.hidden(state)).chunk(2, 1)
        states = [state + gate.sigmoid() * (new.tanh() - state)]
        for layer, reads, acts in zip(cell.nodes, p, q):
            total = torch.zeros_like(state)
            for weight, read in zip(reads, states):
                gate, new = layer(read).chunk(2, 1)
                for strength, function in zip(acts, CELL_ACTIVATIONS.values()):
                    total = total + weight * strength * (read + gate.sigmoid() * (function(new) - read))
            states.append(total)
        state = torch.stack(states[1:]).mean(0)
        outputs.append(state)
    return torch.stack(outputs, 2)


@pytest.mark.parametrize("normal", [True, False])
def test_a_mixture_is_the_sum_within_each_step_and_so_are_its_gradients(normal: bool) -> None:
    with seeded(0):
        cell, x = MixedRecurrentCell(3, 4, 3).double(), torch.randn(2, 3, 4, dtype=torch.float64)
        p = [torch.rand(node, dtype=torch.float64) for node in (1, 2, 3)]
        q = [torch.rand(4, dtype=torch.float64) for _ in range(3)]
    if normal:
        p, q = ([value / value.sum() for value in values] for values in (p, q))
    results = []
    for written_out in (True, False):
        reads, acts = ([value.clone().requires_grad_() for value in values] for values in (p, q))
        if written_out:
            out = mixed_reference(cell, x, reads, acts)
        else:
            cell.mixed = {f"act{node}": list(zip(CELL_ACTIVATIONS, q)) for node, q in enumerate(acts, 1)}
            cell.mixed |= {f"from{node}": list(enumerate(p)) for node, p in enumerate(reads, 1)}
            out = cell(x)
        wanted = [*reads, *acts, cell.hidden.weight, *(layer.weight for layer in cell.nodes)]
        results.append((out, *torch.autograd.grad(out.square().sum(), wanted)))
    for expected, found in zip(*results):
        torch.testing.assert_close(found, expected)
        assert found.abs().sum() > 0
