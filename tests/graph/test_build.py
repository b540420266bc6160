from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archwright.errors import GraphError
from archwright.graph import GraphBuilder, Value
from archwright.graph.module import build
from archwright.problem import Signature

SHAPES = st.one_of(st.tuples(st.integers(1, 5)), st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 7)))


class Both(nn.Module):
    """Reads two values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * self.scale + y


def image_builder(units: int = 2) -> tuple[GraphBuilder, Value]:
    builder = GraphBuilder(Signature(((3, 8, 8),), (units,)))
    return builder, builder.input()


def names(graph) -> list[str]:
    return [node.call.spec.name for _, node in graph.operations()]


@settings(deadline=None, max_examples=60)
@given(
    shapes=st.lists(SHAPES, min_size=1, max_size=3),
    how=st.sampled_from(["add", "mul", "mean", "concat"]),
    pad=st.booleans(),
)
def test_any_merge_of_images_and_vectors_is_valid(shapes: list[tuple[int, ...]], how: str, pad: bool) -> None:
    builder = GraphBuilder(Signature(tuple(shapes), (2,)))
    merged = builder.merge([builder.input(index) for index in range(len(shapes))], how, pad=pad)
    images = [shape for shape in shapes if len(shape) == 3]
    if len(images) == len(shapes) and len(shapes) > 1:
        size = max if how == "concat" and pad else min
        assert merged.shape[1:] == (size(shape[1] for shape in images), size(shape[2] for shape in images))
    assert merged.shape[0] == (sum if how == "concat" else max)(shape[0] for shape in shapes)
    value = builder.add("global_avg_pool", [merged]) if len(merged.shape) == 3 else merged
    module = build(builder.finish([builder.add("linear", [value], width=2)]), 0)
    assert module.eval()(*(torch.ones(2, *shape) for shape in shapes)).shape == (2, 2)
    zeros = builder.merge([builder.zeros(shape) for shape in shapes], how, pad=pad)
    assert zeros == Value(merged.shape, -1)


@settings(deadline=None, max_examples=40)
@given(source=SHAPES, target=SHAPES, pad=st.booleans())
def test_any_image_or_vector_adapts_to_any_other(source: tuple[int, ...], target: tuple[int, ...], pad: bool) -> None:
    builder = GraphBuilder(Signature((source,), (target[0],)))
    value = builder.adapt(builder.input(), target, pad=pad)
    module = build(builder.finish([value]), 0)
    assert module.eval()(torch.ones(2, *source)).shape == (2, *target)


def test_adapting_does_nothing_more_than_needed() -> None:
    builder, x = image_builder(3)
    assert builder.adapt(x, x.shape) is x
    for target, expected in (
        ((3, 4, 4), ["resize"]),
        ((5, 8, 8), ["conv_bn"]),
        ((5, 4, 4), ["resize", "conv_bn"]),
        ((3,), ["global_avg_pool"]),
    ):
        builder = GraphBuilder(Signature(((3, 8, 8),), target[:1]))
        assert names(builder.finish([builder.adapt(builder.input(), target)])) == expected


def test_identity_is_its_input_and_reduces_where_the_shape_changes() -> None:
    builder, x = image_builder(6)
    assert builder.add("identity", [x]) is x
    reduced = builder.add("identity", [x], width=6, stride=2)
    assert reduced.shape == (6, 4, 4)
    assert builder.add("none", [x], width=6, stride=2) == Value((6, 4, 4), -1)
    assert names(builder.finish([reduced])) == ["factorized_reduce"]
    with pytest.raises(GraphError, match="got 2 inputs, expected 1"):
        builder.add("identity", [x, x])


def test_zeros_compute_nothing() -> None:
    builder, x = image_builder()
    nothing = builder.add("conv_bn_relu", [builder.add("none", [builder.add("conv_bn", [x], width=4)])], width=4)
    assert nothing == Value((4, 8, 8), -1)
    live = builder.add("conv_bn", [x], width=4)
    assert builder.merge([nothing, live], "add") == live
    assert builder.merge([live], "mean") == live
    assert builder.merge([nothing, live], "concat").shape == (8, 8, 8)
    graph = builder.finish(
        [builder.add("linear", [builder.add("global_avg_pool", [builder.merge([live, nothing], "mul")])], width=2)]
    )
    assert names(graph) == ["conv_bn", "global_avg_pool", "linear"]


def test_a_classifier_that_reads_nothing_still_trains() -> None:
    builder, x = image_builder()
    nothing = builder.add("none", [builder.add("conv_bn", [x], width=4)])
    graph = builder.finish([builder.add("linear", [builder.add("global_avg_pool", [nothing])], width=2)])
    assert names(graph) == ["zeros", "linear"]
    module = build(graph, 0)
    module(torch.ones(5, 3, 8, 8)).sum().backward()
    assert module.get_parameter("linear.bias").grad is not None


def test_an_output_of_nothing_is_zeros() -> None:
    builder, _ = image_builder()
    graph = builder.finish([builder.zeros((2,))])
    assert torch.equal(build(graph, 0)(torch.ones(4, 3, 8, 8)), torch.zeros(4, 2))


def test_concatenated_zeros_keep_their_channels() -> None:
    builder, x = image_builder(5)
    graph = builder.finish([builder.merge([builder.zeros((2, 8, 8)), x], "concat")])
    result = build(graph, 0)(torch.ones(1, 3, 8, 8))
    assert result[0, :, 0, 0].tolist() == [0, 0, 1, 1, 1]


def test_a_users_operation_reads_zeros_beside_a_value() -> None:
    builder, x = image_builder(3)
    graph = builder.finish([builder.add(Both, [x, builder.zeros(x.shape)])])
    torch.testing.assert_close(build(graph, 0)(torch.ones(1, 3, 8, 8)), torch.ones(1, 3, 8, 8))
    assert builder.add(Both, [builder.zeros(x.shape), builder.zeros(x.shape)]).is_zeros


def test_what_no_output_needs_is_not_in_the_graph_and_equal_functions_are_one() -> None:
    builder, x = image_builder(3)
    builder.add("conv_bn", [x], width=9)
    pools = [builder.add("avg_pool", [x]), builder.add("avg_pool", [x]), builder.add("avg_pool", [x], kernel=5)]
    convs = [builder.add("conv_bn", [pool], width=3) for pool in pools]
    sums = [builder.merge([convs[0], convs[1]], "add"), builder.merge([convs[1], convs[0]], "add")]
    graph = builder.finish([builder.merge([*sums, convs[2]], "mul")])
    assert sorted(names(graph)) == ["add", "avg_pool", "avg_pool", "conv_bn", "conv_bn", "conv_bn", "mul"]
    noise = [builder.add("dropout", [x]), builder.add("dropout", [x])]
    assert names(builder.finish([builder.merge(noise, "add")])) == ["dropout", "dropout", "add"]


def test_a_template_replays_what_was_emitted() -> None:
    def cell(builder: GraphBuilder, inputs: Sequence[Value], scope: str) -> list[Value]:
        left = builder.add("conv_bn", [inputs[0]], width=3, scope=f"{scope}.left")
        return [
            builder.merge([left, builder.add("avg_pool", [inputs[1]], scope=f"{scope}.right")], "add", scope),
            builder.zeros((3, 8, 8)),
            inputs[1],
        ]

    graphs = []
    for with_template in (False, True, True):
        builder, x = image_builder(3)
        values: Sequence[Value] = [x, x]
        for index in range(4):
            scope = f"cell{index}"
            if with_template:
                values = builder.template(
                    "test cell", values[:2], lambda inputs, b=builder, s=scope: cell(b, inputs, s), scope
                )
            else:
                values = cell(builder, values[:2], scope)
            assert values[1].is_zeros
            values = [values[0], values[2]]
        graphs.append(builder.finish([values[0]]))
    assert graphs[0] == graphs[1] == graphs[2]
    assert [node.scope for node in graphs[2].nodes] == [node.scope for node in graphs[0].nodes]


def test_a_template_may_hold_zeros_that_became_a_node() -> None:
    def emit(builder: GraphBuilder, values: Sequence[Value], scope: str) -> list[Value]:
        return [builder.merge([values[0], builder.zeros((3, 8, 8))], "concat", f"{scope}.concat")]

    graphs = []
    for scope in ("cell0", "cell1", "cell0"):
        builder, x = image_builder(6)
        stem = builder.add("conv_bn", [x], width=3, scope="stem")
        graphs.append(
            builder.finish(
                builder.template("zeros test", [stem], lambda values, b=builder, s=scope: emit(b, values, s), scope)
            )
        )
    assert graphs[0] == graphs[2]
    assert [node.scope for node in graphs[1].nodes] == ["", "stem", "cell1.concat.zeros", "cell1.concat"]
    assert torch.equal(build(graphs[1], 0)(torch.ones(1, 3, 8, 8))[0, 3:], torch.zeros(3, 8, 8))


def test_a_template_may_read_nothing_but_its_inputs() -> None:
    builder, x = image_builder(3)
    other = builder.add("conv_bn", [x], width=3)
    with pytest.raises(GraphError, match="expected only its inputs"):
        builder.template("stray", [x], lambda values: [builder.merge([values[0], other], "add")])


def test_several_inputs_and_outputs() -> None:
    builder = GraphBuilder(Signature(((3, 4, 4), (5,)), (2, 7)))
    image = builder.add("global_avg_pool", [builder.add("conv_bn_relu", [builder.input(0)], width=4)])
    both = builder.merge([image, builder.input(1)], "concat")
    graph = builder.finish([builder.add("linear", [both], width=2), builder.add("linear", [image], width=7)])
    first, second = build(graph, 0)(torch.ones(3, 3, 4, 4), torch.ones(3, 5))
    assert (first.shape, second.shape) == ((3, 2), (3, 7))


def test_wrong_uses_are_named() -> None:
    builder, x = image_builder()
    with pytest.raises(GraphError, match=r"Got outputs of shape \(3, 8, 8\); expected 1 of 2 units"):
        builder.finish([x])
    with pytest.raises(GraphError, match="expected 1 of 2 units"):
        builder.finish([])
    with pytest.raises(GraphError, match="Got the input 1; expected one of the 1 inputs"):
        builder.input(1)
    with pytest.raises(GraphError, match="got the merge 'sum'"):
        builder.merge([x, x], "sum")
    with pytest.raises(GraphError, match="got no values to merge"):
        builder.merge([], "add", "stage1")
    with pytest.raises(GraphError, match="cannot adapt the shape"):
        builder.adapt(x, (3, 8))
    with pytest.raises(GraphError, match=r"cannot add the shapes \(3, 8, 8\), \(3, 8\)"):
        builder.merge([x, Value((3, 8), 0)], "add")
