from __future__ import annotations

import pytest
import torch
from torch import nn

from archwright.graph import GraphBuilder
from archwright.graph.blocks.attention import Attention, FeedForward
from archwright.graph.blocks.image import ConvPoolBN
from archwright.graph.module import build, calibrate
from archwright.graph.ops import REQUIRED, ops
from archwright.problem import Signature

MAPS = ((3, 1, 1), (4, 2, 3), (3, 7, 8))
VALUES = {"width": 6, "height": 3, "shape": (4,)}
IMAGE = [name for name, spec in ops().items() if spec.arity == 1 and spec.kind in ("conv", "pool", "norm")]
VARIANTS = [
    ("mbconv", {"width": 4, "expansion": 1}),
    ("mbconv", {"width": 3, "se": True}),
    ("conv_pool_bn", {"width": 4, "pool": 2, "kernel": 5}),
    ("convnext", {"kernel": 3, "expansion": 2, "se": True}),
    ("whitening", {"patch": 3}),
    ("patch_conv", {"width": 5, "patch": 4, "activation": "gelu"}),
    ("max_pool", {"bn": True, "kernel": 2}),
    ("avg_pool", {"bn": True, "kernel": 2}),
    ("factorized_reduce", {"width": 1}),
    ("factorized_reduce", {"width": 5, "stride": 3}),
    ("basic_block", {"width": 3, "stride": 1}),
    ("resize", {"height": 5, "width": 2}),
    ("patch_embed", {"width": 5, "patch": 3}),
    ("attention", {"heads": 2, "head_dim": 3}),
    ("attention", {"heads": 1, "head_dim": 8}),
    ("ffn", {"ratio": 1.5}),
    ("ffn", {"ratio": 0.1}),
    *(
        ("conv_bn_relu", {"width": 2, "activation": name})
        for name in ("none", "gelu", "silu", "hardswish", "leaky_relu", "elu", "tanh", "sigmoid")
    ),
]


def variants() -> list[tuple[str, dict]]:
    cases = [*VARIANTS]
    for name in IMAGE:
        required = {key: VALUES[key] for key, value in ops()[name].attributes.items() if value is REQUIRED}
        cases.append((name, required))
        if "stride" in ops()[name].attributes:
            cases.append((name, {**required, "stride": 2}))
    return cases


def network(name: str, attrs: dict, shape: tuple[int, ...]) -> nn.Module:
    builder = GraphBuilder(Signature((shape,), (2,)))
    value = builder.add("conv_bn", [builder.input()], width=shape[0], kernel=1)
    value = builder.add(name, [value], **attrs)
    if len(value.shape) == 3:
        value = builder.add("global_avg_pool", [value])
    graph = builder.finish([builder.add("linear", [value], width=2)])
    module = build(graph, seed=1)
    assert sum(parameter.numel() for parameter in module.parameters()) == graph.cost.params
    return module


@pytest.mark.parametrize(("name", "attrs"), variants(), ids=lambda case: str(case))
def test_every_operation_trains_on_every_map_and_in_every_number_format(name: str, attrs: dict) -> None:
    for shape in MAPS:
        module = network(name, attrs, shape)
        x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
        loss = nn.functional.cross_entropy(module(x), torch.tensor([0, 1, 0, 1]))
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
        assert all(parameter.grad is not None for parameter in module.parameters())
        module.eval()
        with torch.no_grad():
            plain = module(x)
            last = module.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
            torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-5)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                assert torch.isfinite(module(x)).all()


@pytest.mark.parametrize("name", [name for name, spec in ops().items() if spec.kind == "activation"])
def test_activations_keep_the_shape(name: str) -> None:
    assert network(name, {}, (3, 2, 3))(torch.zeros(2, 3, 2, 3)).shape == (2, 2)


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_dense_layers_train(norm: str) -> None:
    builder = GraphBuilder(Signature(((5,),), (1,)))
    value = builder.add("dense", [builder.input()], width=8, norm=norm, dropout=0.5, activation="gelu")
    module = build(builder.finish([builder.add("linear", [value], width=1, bias=False)]), seed=0)
    module(torch.ones(3, 5)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_pools_are_those_of_torch_where_the_map_divides() -> None:
    x = torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    for name, reference in (("max_pool", nn.functional.max_pool2d), ("avg_pool", nn.functional.avg_pool2d)):
        builder = GraphBuilder(Signature(((3, 8, 6),), (3,)))
        graph = builder.finish([builder.add(name, [builder.input()], kernel=2, stride=2)])
        torch.testing.assert_close(build(graph, 0)(x), reference(x, 2))


def test_resize_averages_all_positions_alike_where_the_map_divides() -> None:
    x = torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    builder = GraphBuilder(Signature(((3, 8, 6),), (3,)))
    module = build(builder.finish([builder.adapt(builder.input(), (3, 4, 2))]), 0)
    torch.testing.assert_close(module(x), nn.functional.adaptive_avg_pool2d(x, (4, 2)))


def test_the_residual_of_mbconv_stands_only_where_shapes_agree() -> None:
    for width, stride, residual in ((3, 1, True), (3, 2, False), (4, 1, False)):
        module = network("mbconv", {"width": width, "stride": stride}, (3, 4, 4))
        assert module.get_submodule("mbconv").residual is residual


@pytest.mark.parametrize(
    ("shape", "patch", "tokens"),
    [
        ((1, 28, 28), 4, (7, 7)),
        ((3, 17, 23), 4, (5, 6)),
        ((2, 1, 1), 4, (1, 1)),
        ((1, 2, 9), 4, (1, 3)),
        ((1, 5, 6), 1, (5, 6)),
    ],
)
def test_patches_cover_the_map(shape: tuple[int, ...], patch: int, tokens: tuple[int, int]) -> None:
    builder = GraphBuilder(Signature((shape,), (6,)))
    value = builder.add("patch_embed", [builder.input()], width=6, patch=patch)
    assert value.shape == (6, *tokens)
    block = build(builder.finish([value]), 0)
    x = torch.zeros(1, *shape, requires_grad=True)
    block(x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).all()


def test_attention_is_that_of_torch() -> None:
    block = Attention(6, heads=2, head_dim=3).eval()
    reference = nn.MultiheadAttention(6, 2, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([block.q.weight, block.k.weight, block.v.weight]))
        reference.in_proj_bias.copy_(torch.cat([block.q.bias, block.k.bias, block.v.bias]))
    reference.out_proj = block.out
    x = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    tokens = block.norm(x.flatten(2).transpose(1, 2))
    expected = reference(tokens, tokens, tokens)[0].transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(block(x), x + expected)


def test_fewer_heads_and_hidden_features_are_leading_slices() -> None:
    x = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    cases = [
        (Attention(6, 3, 4), Attention(6, 2, 4), "out.weight"),
        (FeedForward(6, 4), FeedForward(6, 1.5), "project.weight"),
    ]
    for large, small, last in cases:
        given = large.state_dict()
        small.load_state_dict(
            {key: given[key][tuple(map(slice, value.shape))] for key, value in small.state_dict().items()}
        )
        given[last][:, small.state_dict()[last].shape[1] :] = 0
        torch.testing.assert_close(small(x), large(x))


def test_whitening_decorrelates_patches_of_the_training_rows() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 3, 12, 12, generator=generator)
    x = torch.nn.functional.avg_pool2d(x, 3, 1) @ torch.randn(10, 10, generator=generator)
    builder = GraphBuilder(Signature(((3, 10, 10),), (24,)))
    value = builder.add("whitening", [builder.input()], activation="none")
    assert value.shape == (24, 9, 9)
    module = build(builder.finish([builder.add("global_max_pool", [value])]), 0)
    block = module.get_submodule("whitening")
    before = block.weight.clone()
    torch.testing.assert_close(before[:12].flatten(1) @ before[:12].flatten(1).T, torch.eye(12))
    calibrate(module, x)
    outputs = block(x).transpose(0, 1).flatten(1)
    moments = outputs[:12] @ outputs[:12].T / outputs.shape[1]
    torch.testing.assert_close(moments, torch.diag(moments.diagonal()), atol=1e-2, rtol=0)
    assert moments.diagonal().max() < 1.001
    assert moments.diagonal().max() > 0.99
    torch.testing.assert_close(outputs[12:], -outputs[:12])
    calibrate(module, 10 * x)
    torch.testing.assert_close(moments.diagonal(), block(10 * x)[:, :12].square().mean((0, 2, 3)))


def test_a_pooled_convolution_begins_as_the_identity_on_its_first_channels() -> None:
    block = ConvPoolBN((3, 7, 7), 5, pool=2).eval()
    x = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    expected = nn.functional.gelu(block.bn(nn.functional.pad(nn.functional.max_pool2d(x, 2), (0,) * 4 + (0, 2))))
    torch.testing.assert_close(block(x)[:, :3], expected[:, :3])
    assert block(x).shape == (2, 5, 3, 3)


def test_a_scaled_linear_layer_is_a_linear_one_times_a_constant() -> None:
    builder = GraphBuilder(Signature(((5,),), (3,)))
    module = build(builder.finish([builder.add("scaled_linear", [builder.input()], width=3, scale=0.5)]), 0)
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    weight = module.get_parameter("scaled_linear.weight")
    torch.testing.assert_close(module(x), 0.5 * x @ weight.T)
