"""What expressions mean: the graphs they become."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from archwright.errors import GraphError, SpaceError
from archwright.graph import Graph
from archwright.problem import Signature
from archwright.space import (
    DOWN,
    OUTPUTS,
    STRIDE,
    WIDTH,
    Expression,
    Space,
    chain,
    choice,
    dag,
    get_space,
    list_spaces,
    op,
    parallel,
    repeat,
    shared,
    take,
)

IMAGE = Signature(((3, 16, 12),), (5,))
HEAD = chain(op("global_avg_pool"), op("linear", width=OUTPUTS, name="head"))
CONV = op("conv_bn", width=4, kernel=1, name="conv")


def graph(expression: Expression, choices: dict[str, Any] | None = None, signature: Signature = IMAGE) -> Graph:
    space = Space(expression)
    return space.graph(space.architecture(choices or {}), signature)


def operations(graph: Graph) -> list[str]:
    return [str(node.op) for _, node in graph.operations()]


def shapes(graph: Graph, name: str) -> list[tuple[int, ...]]:
    return [node.shape for _, node in graph.operations() if node.op == name]


def test_scopes_say_where_a_node_comes_from() -> None:
    made = graph(chain(repeat(shared("cell", dag(1, ops=CONV)), 2, name="stage"), HEAD))
    scopes = [node.scope for _, node in made.operations()]
    assert scopes == ["stage.cell0.edge0_1", "stage.cell1.edge0_1", "global_avg_pool", "head"]


def test_down_never_goes_below_four() -> None:
    pools = repeat(op("max_pool", kernel=DOWN, stride=DOWN), 5)
    sizes = shapes(graph(chain(pools, HEAD), signature=Signature(((1, 33, 16),), (2,))), "max_pool")
    assert sizes == [(1, 17, 8), (1, 9, 4)]


@pytest.mark.parametrize(("least", "halvings"), [(1, 3), (2, 2), (3, 1), (4, 1), (5, 0)])
def test_down_halves_to_any_least_map(least: int, halvings: int) -> None:
    layers = repeat(op("conv_pool_bn", width=2, pool=DOWN[least]), 4)
    sizes = shapes(graph(chain(layers, HEAD), signature=Signature(((1, 9, 12),), (2,))), "conv_pool_bn")
    assert sizes[-1][1] == 9 // 2**halvings


STRIDED = op("relu_conv_bn", kernel=1, stride=STRIDE)


def strides(graph: Graph) -> list[int]:
    return [dict(node.attrs)["stride"] for _, node in graph.operations() if node.op == "relu_conv_bn"]


def test_a_reduction_cell_strides_where_it_reads_its_inputs() -> None:
    made = graph(chain(parallel(CONV, op("identity"), merge=None), dag(2, inputs=2, ops=STRIDED, stride=2), HEAD))
    assert strides(made) == [2, 2, 2, 2, 1]
    assert {node.shape[1:] for _, node in made.operations() if node.op == "relu_conv_bn"} == {(8, 6)}


def test_strides_reach_dags_inside_dags() -> None:
    inner = dag(1, ops=STRIDED, stride=STRIDE)
    assert strides(graph(chain(dag(2, ops=inner, stride=2), HEAD))) == [2, 2, 1]


def test_width_is_that_of_the_dag() -> None:
    cell = dag(1, ops=chain(op("conv_bn", width=7, kernel=1), op("adapt", width=WIDTH)))
    made = graph(chain(CONV, cell, cell, HEAD))
    assert shapes(made, "conv_bn") == [(4, 16, 12), (7, 16, 12), (4, 16, 12), (7, 16, 12), (4, 16, 12)]


def test_several_inputs_and_outputs() -> None:
    signature = Signature(((3, 8, 8), (6,)), (5, 2))
    image, table = chain(take(0), CONV, op("global_avg_pool")), chain(take(1), op("dense", width=4))
    heads = [op("linear", width=OUTPUTS[index], name=f"head{index}") for index in (0, 1)]
    expression = chain(parallel(image, table, merge=choice("add", "concat")), parallel(*heads, merge=None))
    made = graph(expression, {"parallel0.merge": "concat"}, signature)
    assert [made.nodes[output].shape for output in made.outputs] == [(5,), (2,)]
    assert shapes(made, "concat") == [(8,)]


def test_hierarchical_motifs() -> None:
    primitives = choice(op("none"), op("identity"), op("sep_conv", kernel=3), op("max_pool"))
    motifs = [
        shared(f"motif{index}", dag(2, ops=primitives, merge="concat", node=op("adapt", width=WIDTH)))
        for index in range(2)
    ]
    top = shared("top", dag(3, ops=choice(op("none"), *motifs), merge="concat", node=op("adapt", width=WIDTH)))
    space, rng = Space(chain(CONV, top, HEAD)), np.random.default_rng(0)
    # each edge of the top is one of three, so the motifs in use are none (1 way), the first (2^6 - 1), the second, or both
    assert space.size == 1 + 2 * (2**6 - 1) * 4**3 + (3**6 - 2 * 2**6 + 1) * 4**6
    for _ in range(10):
        architecture = space.sample(rng)
        made = space.graph(architecture, IMAGE)
        assert made.nodes[made.outputs[0]].shape == (5,)
        assert {address.split(".")[0] for address, _ in architecture.choices} <= {"top", "motif0", "motif1"}


def test_rules_of_zoph_and_le() -> None:
    space = get_space("layers", layers=3, strides=(1, 2))
    plain = {
        f"layers.node{n}.{key}": value for n in (1, 2, 3) for key, value in (("kernel", "(1, 3)"), ("width", "24"))
    }
    chosen = {**plain, "layers.node1.stride": "1", "layers.node2.stride": "2", "layers.node3.stride": "1"}
    none = {"layers.node2.from1": "no", "layers.node3.from1": "no", "layers.node3.from2": "no"}
    alone = space.graph(space.architecture({**chosen, **none}), IMAGE)
    assert [node.inputs for _, node in alone.operations() if node.op == "conv_bn_relu"] == [(0,)] * 3
    assert shapes(alone, "pad") == [(24, 16, 12)]
    assert shapes(alone, "concat") == [(72, 16, 12)]
    some = {"layers.node2.from1": "no", "layers.node3.from1": "yes", "layers.node3.from2": "yes"}
    joined = space.graph(space.architecture({**chosen, **some}), IMAGE)
    assert operations(joined) == [
        "conv_bn_relu",
        "conv_bn_relu",
        "pad",
        "concat",
        "conv_bn_relu",
        "global_avg_pool",
        "linear",
    ]
    assert shapes(joined, "conv_bn_relu")[-1] == (24, 16, 12)


def test_loose_ends_are_concatenated() -> None:
    space = get_space("nasnet", cells=1, blocks=2)
    cell = {"left.from": "0", "left.op": "conv_1x1", "right.from": "1", "right.op": "conv_3x3", "merge": "concat"}
    choices = {
        f"{kind}.node{n}.{key}": value
        for kind in ("normal", "reduction")
        for n in (2, 3)
        for key, value in cell.items()
    }
    made = space.graph(space.architecture(choices), IMAGE)
    assert shapes(made, "concat")[:3] == [(32, 16, 12)] * 3
    used = space.graph(space.architecture({**choices, "normal.node3.left.from": "2"}), IMAGE)
    assert len(used) == len(made) - 3


def test_a_users_module_is_an_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import Tensor, nn

    class Gate(nn.Module):
        def __init__(self, in_shape: tuple[int, ...], groups: int, bias: bool = True) -> None:
            super().__init__()
            self.conv = nn.Conv2d(in_shape[0], in_shape[0], 1, groups=groups, bias=bias)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.conv(x).sigmoid()

    space = Space(chain(CONV, op(Gate, groups=choice(1, 2, 4)), HEAD))
    assert [info.address for info in space.choices()] == ["Gate.groups"]
    sizes = [space.graph(architecture, IMAGE).cost.params for architecture in space.architectures()]
    assert [before - after for before, after in pairwise(sizes)] == [8, 4]
    with pytest.raises(SpaceError, match=r"has no attribute 'group'. Did you mean 'groups'"):
        op(Gate, group=2)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (chain(CONV, op("linear", width=OUTPUTS, name="head")), r"head.*linear.*\(4, 16, 12\)"),
        (chain(HEAD, op("conv_bn", width=3, name="late")), r"late.*conv_bn.*\(5,\)"),
        (chain(CONV, op("conv_bn", width=WIDTH)), "At conv_bn: WIDTH stands outside any dag"),
        (chain(CONV, parallel(take(1), CONV), HEAD), r"At parallel.take: take\(1\), but only 1 value"),
        (chain(dag(1, inputs=2, name="cell"), HEAD), r"At cell: a dag with inputs=2 got 1 value"),
        (chain(op("global_avg_pool"), op("linear", width=OUTPUTS[1])), r"At linear: OUTPUTS\[1\], but the task has 1"),
        (chain(op("global_avg_pool"), op("linear", width=4)), r"\(4,\).*5"),
        (
            chain(parallel(CONV, CONV.__class__("conv_bn", (("width", 2),)), merge=None), op("relu"), HEAD),
            "relu.*2 inputs",
        ),
    ],
)
def test_impossible_shapes_name_the_place(expression: Expression, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        graph(expression)


@pytest.mark.parametrize("name", [name for name in list_spaces() if name != "mlp"])
def test_what_is_remembered_is_what_is_built(name: str) -> None:
    space, rng = get_space(name), np.random.default_rng(7)
    signature = Signature(((9,),), (4,), (9,)) if name == "rnn-cell" else IMAGE
    for _ in range(4):
        architecture = space.sample(rng)
        first = space.graph(architecture, signature)
        assert space.graph(architecture, signature) == first
        assert pickle.loads(pickle.dumps(space)).graph(architecture, signature) == first
