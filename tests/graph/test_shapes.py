from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archwright.errors import GraphError
from archwright.graph.measure import make_block
from archwright.graph.ops import get_op
from archwright.graph.shapes import call

STRIDED = {
    "conv_bn_relu": {"width": 4},
    "conv_bn": {"width": 4},
    "sep_conv_bn": {"width": 4},
    "mbconv": {"width": 4, "expansion": 2},
    "relu_conv_bn": {"width": 4},
    "sep_conv": {"width": 4},
    "dil_conv": {"width": 4},
    "fact_conv": {"width": 4},
    "max_pool": {},
    "avg_pool": {},
}


class Attention(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.query = nn.Linear(features, features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.query(x) @ x.transpose(1, 2)).mean(2)


class Pair(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(STRIDED)),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 3),
)
def test_maps_shrink_to_the_ceiling_of_size_by_stride(
    name: str, height: int, width: int, kernel: int, stride: int
) -> None:
    attrs = (*STRIDED[name].items(), ("kernel", kernel), ("stride", stride))
    assert call(name, attrs, ((4, height, width),)).shape == (4, -(-height // stride), -(-width // stride))


@settings(deadline=None, max_examples=30)
@given(
    name=st.sampled_from(["max_pool", "avg_pool"]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    kernel=st.sampled_from([2, 4]),
    stride=st.integers(1, 4),
)
def test_even_pools_too(name: str, height: int, width: int, kernel: int, stride: int) -> None:
    found = call(name, (("kernel", kernel), ("stride", stride)), ((2, height, width),))
    assert found.shape == (2, -(-height // stride), -(-width // stride))
    ones = torch.ones(1, 2, height, width)
    assert torch.equal(make_block(found.spec, found.attrs, found.inputs)(ones), torch.ones(1, *found.shape))


def test_costs_are_those_of_the_closed_formulas() -> None:
    conv = call("conv_bn_relu", (("width", 8), ("kernel", 3), ("stride", 2)), ((4, 10, 10),))
    assert conv.cost.params == 4 * 8 * 9 + 2 * 8
    assert conv.cost.flops == 2 * 4 * 8 * 9 * 5 * 5
    assert conv.cost.activation_bytes == 3 * 4 * 8 * 5 * 5
    depthwise = call("sep_conv_bn", (("width", 8),), ((4, 10, 10),))
    assert depthwise.cost.flops == 2 * 100 * (4 * 9 + 4 * 8)
    linear = call("linear", (("width", 7),), ((5,),))
    assert (linear.cost.params, linear.cost.flops, linear.cost.activation_bytes) == (42, 70, 28)
    assert call("add", (), ((5,), (5,))).cost.as_dict() == {"params": 0, "flops": 0, "activation_bytes": 20}
    attention = call(Attention, (), ((6, 6),))
    assert (attention.shape, attention.cost.params, attention.cost.flops) == ((6,), 36, 2 * 36 * 6 + 2 * 36 * 6)


def test_the_cost_of_attention_counts_its_products() -> None:
    tokens, width, inner = 6 * 5, 8, 2 * 3
    found = call("attention", (("heads", 2), ("head_dim", 3)), ((8, 6, 5),))
    assert found.cost.flops == 2 * tokens * (4 * width * inner + 2 * tokens * inner)
    assert found.cost.params == 2 * width + 3 * (width + 1) * inner + (inner + 1) * width
    hidden = call("ffn", (("ratio", 1.5),), ((8, 6, 5),))
    assert hidden.cost.flops == 2 * tokens * 2 * width * 12


def test_measuring_a_transformer_loads_no_compiler() -> None:
    code = (
        "import sys; from archwright.graph.shapes import call;"
        "[call(op, (('width', 8),) if op == 'patch_embed' else (), ((8, 17, 23),))"
        " for op in ('patch_embed', 'attention', 'ffn', 'layer_norm')];"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_measured_cost_is_that_of_the_real_module() -> None:
    for name, attrs in {
        **STRIDED,
        "factorized_reduce": {"width": 4},
        "basic_block": {"width": 6},
        "bn_relu": {},
        "dropout": {},
        "patch_embed": {"width": 6, "patch": 2},
        "attention": {"heads": 2, "head_dim": 3},
        "ffn": {"ratio": 1.5},
        "layer_norm": {},
        "conv_pool_bn": {"width": 6, "pool": 2},
        "convnext": {"expansion": 2, "se": True},
        "whitening": {},
        "patch_conv": {"width": 6},
    }.items():
        found = call(name, tuple(attrs.items()), ((4, 5, 6),))
        module = make_block(found.spec, found.attrs, found.inputs)
        seen: list[torch.Tensor] = []
        for leaf in module.modules():
            if not list(leaf.children()) and not isinstance(leaf, nn.Identity):
                leaf.register_forward_hook(lambda layer, inputs, output, seen=seen: seen.append(output))
        result = module(torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0)))
        assert tuple(result.shape[1:]) == found.shape, name
        assert sum(parameter.numel() for parameter in module.parameters()) == found.cost.params, name
        total = sum(output[0].numel() for output in seen) + (0 if seen[-1] is result else result[0].numel())
        assert 4 * total == found.cost.activation_bytes, name


def test_equal_calls_are_one_object_also_after_pickling() -> None:
    first = call("conv_bn", (("width", 4), ("kernel", 3)), ((2, 4, 4),))
    assert call("conv_bn", (("kernel", 3), ("width", 4.0), ("stride", True)), ((2, 4, 4),)) is first
    assert pickle.loads(pickle.dumps(first)) is first
    assert call("conv_bn", (("width", 4), ("kernel", 5)), ((2, 4, 4),)).digest != first.digest


def test_only_what_has_no_weights_and_no_chance_in_it_is_unified() -> None:
    assert call("avg_pool", (), ((2, 4, 4),)).unifiable
    assert not call("avg_pool", (("bn", True),), ((2, 4, 4),)).unifiable
    assert not call("relu_conv_bn", (("affine", False),), ((2, 4, 4),)).unifiable
    assert not call("dropout", (), ((2,),)).unifiable


@pytest.mark.parametrize(
    ("op", "attrs", "inputs", "message"),
    [
        ("conv_bn", (("width", 4), ("kernel", 2)), ((2, 4, 4),), "even kernel"),
        ("conv_bn", (("width", 4),), ((2,),), r"inputs of shape \(2,\)"),
        ("dense", (("width", 4), ("norm", "nor")), ((2,),), "unknown norm 'nor'"),
        ("conv_bn_relu", (("width", 4), ("activation", "rleu")), ((2, 4, 4),), "unknown activation 'rleu'"),
        ("linear", (("width", 4),), ((2,), (2,)), "got 2 inputs, expected 1"),
        ("linear", (("width", 0),), ((2,),), "empty shape"),
        ("linear", (("width", [4]),), ((2,),), "cannot be hashed"),
        ("linear", (("width", object),), ((2,),), "expected numbers, strings"),
        (Pair, (), ((2,),), "returned tuple, expected one tensor"),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_errors_name_the_place_the_operation_and_the_shapes(
    op: object, attrs: tuple, inputs: tuple, message: str
) -> None:
    with pytest.raises(GraphError, match=message) as caught:
        call(op, attrs, inputs, scope="stage1.block0")
    assert "At 'stage1.block0': operation " in str(caught.value)
    assert get_op(op).name in str(caught.value)
