"""Mixtures: weighted sums of results, and of weights where the options of a choice are slices of one another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.errors import SupernetError
from archwright.problem import Signature
from archwright.space import OUTPUTS, Space, chain, choice, dag, get_space, integer, op, parallel, repeat, shared, take
from archwright.supernet import Supernet
from archwright.supernet.mixing import Mix, weight_of
from archwright.supernet.mixture import mixture_graph

IMAGE = Signature(((2, 8, 8),), (3,))
VECTOR = Signature(((6,),), (3,))
HEAD = op("linear", width=OUTPUTS, name="head")


def tensors(*values: float) -> list[Tensor | None]:
    return [torch.tensor(value) for value in values]


def ones(space: Space) -> dict[str, Tensor]:
    return {info.address: torch.ones(len(info.labels)) / len(info.labels) for info in space.choices()}


def names_of(space: Space, signature: Signature, **options: Any) -> list[str]:
    counts = {info.address: len(info.labels) for info in space.choices()}
    active = {address: tuple(range(count)) for address, count in counts.items()}
    graph, *_ = mixture_graph(space._bound, {}, active, counts, signature, **options)
    return [node.op if isinstance(node.op, str) else node.op.__name__ for _, node in graph.operations()]


def padded(x: Tensor, width: int) -> Tensor:
    return F.pad(x, (0, width - x.shape[1]))


def linear(net: Supernet, path: Any, prefix: str, x: Tensor) -> Tensor:
    state = net.weights_of(path)
    weight = next(value for name, value in state.items() if name.startswith(prefix) and name.endswith("weight"))
    bias = next(value for name, value in state.items() if name.startswith(prefix) and name.endswith("bias"))
    return F.linear(x, weight, bias)


def test_the_weight_of_a_factor() -> None:
    weights = {"a": [*tensors(0.5, 0.2), None, *tensors(0.1)]}
    assert float(weight_of(("a", (1,), False), weights)) == pytest.approx(0.2)
    assert float(weight_of(("a", (0, 3), False), weights)) == pytest.approx(0.6)
    assert float(weight_of(("a", (0, 2, 3), False), weights)) == pytest.approx(0.6)
    assert float(weight_of(("a", (0, 3), True), weights)) == pytest.approx(0.4)


def test_in_training_a_plain_network_is_added_to_each_member_of_an_ensemble() -> None:
    ensemble = chain(op("members", members=4), op("member_head", width=OUTPUTS), name="ensemble")
    space = Space(choice(ensemble, op("linear", width=OUTPUTS, name="plain"), name="network"), "both")
    net, x = Supernet(space, VECTOR), torch.randn(5, 6)
    mixed = net(x, {"network": tensors(0.25, 0.75)})
    each, plain = (net(x, space.at(index)) for index in (0, 1))
    torch.testing.assert_close(mixed, 0.25 * each + 0.75 * plain[:, :, None])
    net.eval()
    each, plain = (net(x, space.at(index)) for index in (0, 1))
    torch.testing.assert_close(net(x, {"network": tensors(0.25, 0.75)}), 0.25 * each + 0.75 * plain)


def test_a_weighted_sum_pads_channels() -> None:
    narrow, wide = torch.randn(3, 2, 4, 4), torch.randn(3, 5, 4, 4)
    terms = ((("a", (0,), False),), (("a", (1,), False), ("b", (0,), True)))
    mix = Mix(terms=terms)
    mix.weights = {"a": tensors(0.3, 0.7), "b": tensors(0.25)}
    expected = 0.7 * 0.75 * wide
    expected[:, :2] += 0.3 * narrow
    torch.testing.assert_close(mix(narrow, wide), expected)
    vectors = Mix(terms=terms)
    vectors.weights = mix.weights
    torch.testing.assert_close(vectors(narrow[:, :, 0, 0], wide[:, :, 0, 0]), expected[:, :, 0, 0])


def test_weights_of_what_is_not_computed_get_a_gradient_and_change_nothing() -> None:
    mix, x = Mix(terms=((("a", (1,), False),),), rest=(("a", (0, 2), False),)), torch.randn(3, 2)
    weights = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
    mix.weights = {"a": list(weights.unbind())}
    out = mix(x)
    torch.testing.assert_close(out, x)
    out.square().sum().backward()
    torch.testing.assert_close(weights.grad, torch.stack([2 * x.sum(), 2 * x.square().sum(), 2 * x.sum()]))


def test_results_of_different_widths_are_padded_and_summed() -> None:
    options = (op("linear", width=3, name="narrow"), op("linear", width=5, name="wide"))
    space = Space(chain(choice(*options, name="kind"), HEAD))
    net, x = Supernet(space, VECTOR), torch.randn(4, 6)
    narrow, wide = (space.fill(lambda address, count, option=option: option) for option in (0, 1))
    hidden = 0.4 * padded(linear(net, narrow, "kind", x), 5) + 0.9 * linear(net, wide, "kind", x)
    torch.testing.assert_close(net(x, {"kind": torch.tensor([0.4, 0.9])}), linear(net, wide, "head", hidden))


@pytest.mark.parametrize("weights", [(0.2, 0.5, 0.3), (0.0, 1.0, 0.0), (2.0, -1.0, 0.5)])
def test_entangled_widths_are_the_padded_sum(weights: tuple[float, ...]) -> None:
    space = Space(chain(op("linear", width=choice(2, 7, 4), name="layer"), HEAD))
    net, x = Supernet(space, VECTOR), torch.randn(4, 6)
    assert "Mix" not in names_of(space, VECTOR), "one operation, and not three"
    paths = list(space.architectures())
    widest = paths[1]
    hidden = sum(
        (weight * padded(linear(net, path, "layer", x), 7) for weight, path in zip(weights, paths)), torch.zeros(4, 7)
    )
    expected = linear(net, widest, "head", hidden)
    torch.testing.assert_close(net(x, {"layer.width": torch.tensor(weights)}), expected, rtol=1e-4, atol=1e-5)


def test_entangled_widths_that_are_left_out() -> None:
    space = Space(chain(op("linear", width=choice(2, 7, 4), name="layer"), HEAD))
    net, x = Supernet(space, VECTOR), torch.randn(4, 6)
    narrow, _, middle = space.architectures()
    hidden = 0.5 * padded(linear(net, narrow, "layer", x), 4) + 0.25 * linear(net, middle, "layer", x)
    expected = linear(net, middle, "head", hidden)
    torch.testing.assert_close(net(x, {"layer.width": [0.5, None, 0.25]}), expected, rtol=1e-4, atol=1e-5)


def test_entangled_kernels_are_a_sum_of_centres() -> None:
    space = Space(
        chain(op("conv_bn", width=4, kernel=choice(1, 5, 3), name="conv"), op("global_avg_pool"), HEAD), "kernels"
    )
    net, x = Supernet(space, IMAGE), torch.randn(4, 2, 8, 8)
    paths = list(space.architectures())
    states = [net.weights_of(path) for path in paths]
    kernel = torch.zeros(4, 2, 5, 5)
    for weight, state in zip((0.2, 0.5, 0.3), states):
        part = state["conv.conv.weight"]
        kernel += weight * F.pad(part, (2 - part.shape[-1] // 2,) * 4)
    hidden = F.batch_norm(F.conv2d(x, kernel, padding=2), None, None, training=True).mean((2, 3))
    expected = F.linear(hidden, states[1]["head.weight"], states[1]["head.bias"])
    found = net(x, {"conv.kernel": torch.tensor([0.2, 0.5, 0.3])})
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_settings_that_are_no_slices_are_computed_apart() -> None:
    space = Space(chain(op("dense", width=5, activation=choice("tanh", "relu"), name="layer"), HEAD))
    net, x = Supernet(space, VECTOR), torch.randn(4, 6)
    assert "Mix" in names_of(space, VECTOR)
    tanh, relu = space.architectures()
    hidden = linear(net, tanh, "layer", x)
    expected = linear(net, tanh, "head", 0.3 * hidden.tanh() + 0.6 * hidden.relu())
    torch.testing.assert_close(net(x, {"layer.activation": torch.tensor([0.3, 0.6])}), expected)
    assert torch.equal(linear(net, relu, "layer", x), hidden)


def test_the_number_of_repetitions_mixes_what_each_gives() -> None:
    space = Space(chain(repeat(op("linear", width=6, name="layer"), integer(1, 3), name="stack"), HEAD))
    net, x = Supernet(space, VECTOR), torch.randn(4, 6)
    (address,) = net.counts
    weights = torch.tensor([0.2, 0.5, 0.3])
    state = net.weights_of(space.fill(lambda address, count: count - 1))
    layers = [name.removesuffix(".weight") for name in state if name.endswith("weight") and "head" not in name]
    assert len(layers) == 3
    hidden, total = x, torch.zeros(4, 6)
    for name, weight in zip(layers, weights):
        hidden = F.linear(hidden, state[f"{name}.weight"], state[f"{name}.bias"])
        total = total + weight * hidden
    expected = F.linear(total, state["head.weight"], state["head.bias"])
    torch.testing.assert_close(net(x, {address: weights}), expected, rtol=1e-4, atol=1e-5)


def test_larger_maps_are_pooled_to_the_smallest() -> None:
    space = Space(
        chain(
            choice(op("identity", name="same"), op("max_pool", kernel=2, stride=2, name="half"), name="size"),
            op("flatten"),
            HEAD,
        )
    )
    assert names_of(space, IMAGE).count("resize") == 1
    net, x = Supernet(space, IMAGE), torch.randn(4, 2, 8, 8)
    half = space.fill(lambda address, count: 1)
    mixed = 0.3 * F.avg_pool2d(x, 2) + 0.7 * F.max_pool2d(x, 2)
    expected = linear(net, half, "head", mixed.flatten(1))
    torch.testing.assert_close(net(x, {"size": torch.tensor([0.3, 0.7])}), expected)
    torch.testing.assert_close(net(x, {"size": torch.tensor([0.0, 1.0])}), net(x, half))


def test_nothing_is_a_zero_in_a_sum() -> None:
    space = get_space("nas-bench-201", cells=1, channels=4)
    net, x = Supernet(space, Signature(((1, 8, 8),), (3,))), torch.randn(4, 1, 8, 8)
    weights: dict[str, Any] = {address: torch.tensor([9.0, 0.0, 0.0, 1.0, 0.0]) for address in net.counts}
    path = space.fill(lambda address, count: 3)
    torch.testing.assert_close(net(x, weights), net(x, path), rtol=1e-4, atol=1e-5)


def test_edges_have_weights_where_these_are_given() -> None:
    space = get_space("nas-bench-201", cells=1, channels=4)
    net, x = Supernet(space, Signature(((1, 8, 8),), (3,))), torch.randn(4, 1, 8, 8)
    skip = dict.fromkeys(net.counts, 1)
    edges = {"cell.node2:edges": torch.tensor([1.0, 0.0]), "cell.node3:edges": torch.tensor([0.0, 0.0, 1.0])}
    none = {"cell.edge1_2": 0, "cell.edge0_3": 0, "cell.edge1_3": 0}
    torch.testing.assert_close(net(x, skip | edges), net(x, skip | none))


@pytest.mark.parametrize("read", [0, 1])
def test_edges_keep_their_weights_where_what_is_read_is_settled(read: int) -> None:
    space = Space(chain(dag(2, edges="pairs", ops=op("linear", width=6), name="cell"), HEAD))
    net, x = Supernet(space, VECTOR), torch.randn(4, 6)
    settled = {"cell.node2.left.from": read, "cell.node2.right.from": 1}
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4])
    path = space.fill(lambda address, count: settled[address])
    state = net.weights_of(path)

    def layer(scope: str, given: Tensor) -> Tensor:
        name = next(n for n in state if scope in n and n.endswith("weight"))
        return F.linear(given, state[name], state[name.removesuffix("weight") + "bias"])

    first = layer("node1_left", x) + layer("node1_right", x)
    second = weights[read] * layer("node2_left", (x, first)[read]) + weights[3] * layer("node2_right", first)
    expected = F.linear(second, state["head.weight"], state["head.bias"])
    torch.testing.assert_close(net(x, settled | {"cell.node2:edges": weights}), expected)


def test_options_that_are_not_active_are_not_computed() -> None:
    space = get_space("nas-bench-201", cells=1, channels=4)
    counts = {info.address: 5 for info in space.choices()}
    signature = Signature(((1, 8, 8),), (3,))
    for active, convolutions in (((0, 1, 2, 3, 4), 36), ((0, 1, 3), 18), ((3,), 18), ((0, 4), 0)):
        graph, *_ = mixture_graph(space._bound, {}, dict.fromkeys(counts, active), counts, signature)
        assert [node.op for _, node in graph.operations()].count("relu_conv_bn") == convolutions


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (
            chain(op("conv_bn", width=4), choice(op("identity"), op("global_avg_pool"), name="c"), op("flatten"), HEAD),
            r"At 'c': cannot mix results of the shapes \(4, 8, 8\), \(4,\); expected all images or all vectors",
        ),
        (
            chain(dag(3, edges="any", merge="mul", node=op("conv_bn", width=4), name="d"), op("global_avg_pool"), HEAD),
            r"At 'd.node2': which states are read cannot be mixed under the merge 'mul'; expected add or concat",
        ),
        (
            chain(
                choice(parallel(op("relu"), op("identity"), merge=None, name="two"), op("relu"), name="c"),
                take(0),
                op("flatten"),
                HEAD,
            ),
            r"At 'c': the options of 'c' give 2, 1 values, which cannot be mixed",
        ),
    ],
)
def test_what_cannot_be_mixed_is_said(space: Any, words: str) -> None:
    made = Space(space)
    net = Supernet(made, IMAGE)
    with pytest.raises(SupernetError, match=words):
        net(torch.zeros(2, 2, 8, 8), ones(made))


def test_mean_of_open_reads_is_refused_too() -> None:
    made = Space(chain(dag(3, edges="any", merge="mean", node=op("conv_bn", width=4)), op("global_avg_pool"), HEAD))
    with pytest.raises(SupernetError, match="under the merge 'mean'"):
        Supernet(made, IMAGE)(torch.zeros(2, 2, 8, 8), ones(made))


def rnn(nodes: int = 3) -> tuple[Space, Signature]:
    return get_space("rnn-cell", nodes=nodes, width=8, embedding=4), Signature(((6,),), (5,), (6,))


def test_a_mixture_of_recurrent_cells_runs_one_cell() -> None:
    space, signature = rnn()
    assert names_of(space, signature) == ["embedding", "recurrent_cell", "positionwise_linear"]


def test_options_of_a_recurrent_cell_that_are_closed_count_for_nothing() -> None:
    space, signature = rnn()
    net, x = Supernet(space, signature), torch.randint(5, (4, 6)).float()
    weights: dict[str, Any] = ones(space)
    weights["cell.act2"] = [0.25, None, 0.5, None]
    weights["cell.from3"] = [None, 1.0, None]
    alike = weights | {"cell.act2": [0.25, 0.0, 0.5, 0.0], "cell.from3": [0.0, 1.0, 0.0]}
    torch.testing.assert_close(net(x, weights), net(x, alike))
    closed = dict.fromkeys(weights, (0,))
    kept = {address: [value[0]] + [None] * (len(value) - 1) for address, value in ones(space).items()}
    torch.testing.assert_close(net(x, ones(space), closed), net(x, kept))
    made = weights | {"cell.act1": 2}
    torch.testing.assert_close(net(x, made), net(x, weights | {"cell.act1": [None, None, 1.0, None]}))


def test_one_choice_for_several_attributes_of_a_cell() -> None:
    act = shared("act", choice("tanh", "relu"))
    space = Space(
        chain(
            op("embedding", symbols=OUTPUTS, width=4),
            op("recurrent_cell", width=8, nodes=2, act1=act, act2=act, from2=choice(0, 1), name="cell"),
            op("positionwise_linear", width=OUTPUTS),
        )
    )
    net, x = Supernet(space, Signature(((6,),), (5,), (6,))), torch.randint(5, (4, 6)).float()
    for path in space.architectures():
        one = {a: F.one_hot(torch.tensor(o), 2).float() for a, o in path.choices}
        torch.testing.assert_close(net(x, one), net(x, path))


def test_cells_of_different_widths_are_computed_apart() -> None:
    space = Space(
        chain(
            op("embedding", symbols=OUTPUTS, width=choice(3, 4)),
            op("recurrent_cell", width=choice(6, 8), nodes=2, act1=choice("tanh", "relu"), name="cell"),
            op("positionwise_linear", width=OUTPUTS),
        )
    )
    net, x = Supernet(space, Signature(((6,),), (5,), (6,))), torch.randint(5, (4, 6)).float()
    for path in space.architectures():
        one = {a: F.one_hot(torch.tensor(o), 2).float() for a, o in path.choices}
        torch.testing.assert_close(net(x, one), net(x, path), atol=1e-6, rtol=1e-5)


def test_gradients_of_a_recurrent_mixture_are_those_of_finite_differences() -> None:
    space, signature = rnn(2)
    net, x = Supernet(space, signature).double(), torch.randint(5, (3, 6)).double()
    addresses = list(ones(space))

    def loss(*weights: Tensor) -> Tensor:
        return net(x, dict(zip(addresses, weights))).square().mean()

    given = [weights.double().requires_grad_() for weights in ones(space).values()]
    assert torch.autograd.gradcheck(loss, given)
