from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st

from archwright.graph import Graph, GraphBuilder
from archwright.problem import Signature

torch.set_num_threads(1)

IMAGE_OPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("conv_bn_relu", {"width": 6}),
    ("conv_bn_relu", {"width": 4, "kernel": 5, "stride": 2, "activation": "silu"}),
    ("conv_bn", {"width": 6, "kernel": (1, 3)}),
    ("sep_conv_bn", {"width": 6, "stride": 2}),
    ("mbconv", {"width": 6, "expansion": 2, "se": True}),
    ("conv_pool_bn", {"width": 6, "pool": 2}),
    ("convnext", {"kernel": 3, "expansion": 2, "se": True}),
    ("whitening", {}),
    ("patch_conv", {"width": 6}),
    ("relu_conv_bn", {"kernel": 1}),
    ("sep_conv", {}),
    ("dil_conv", {}),
    ("fact_conv", {"kernel": 3}),
    ("factorized_reduce", {}),
    ("basic_block", {"width": 4, "stride": 2}),
    ("max_pool", {"kernel": 2, "stride": 2}),
    ("avg_pool", {}),
    ("patch_embed", {"width": 6, "patch": 2}),
    ("attention", {"heads": 2, "head_dim": 3}),
    ("ffn", {"ratio": 1.5}),
    ("layer_norm", {}),
    ("relu", {}),
    ("identity", {}),
    ("none", {}),
)


@pytest.fixture(scope="session")
def draw_graph() -> Callable[..., Graph]:
    """Draws random valid graphs: any DAG of image operations and merges, of one or two inputs, ending in a classifier."""

    def draw(data: st.DataObject, largest: int = 9) -> Graph:
        inputs = data.draw(st.integers(1, 2), label="inputs")
        builder = GraphBuilder(Signature(((3, 6, 5), (2, 4, 4))[:inputs], (3,)))
        values = [builder.input(index) for index in range(inputs)]
        for index in range(data.draw(st.integers(1, largest), label="nodes")):
            scope = f"part{index // 3}.node{index}"
            if data.draw(st.booleans(), label="merge"):
                chosen = data.draw(st.lists(st.sampled_from(values), min_size=1, max_size=3), label="merged")
                how = data.draw(st.sampled_from(["add", "mul", "mean", "concat"]), label="how")
                values.append(builder.merge(chosen, how, scope, pad=data.draw(st.booleans(), label="pad")))
            else:
                name, attrs = data.draw(st.sampled_from(IMAGE_OPS), label="op")
                values.append(builder.add(name, [data.draw(st.sampled_from(values), label="of")], scope=scope, **attrs))
        last = builder.merge(values[-2:], "add", "last") if len(values) > 1 else values[-1]
        pooled = builder.add("global_avg_pool", [last], scope="head")
        return builder.finish([builder.add("linear", [pooled], scope="head", width=3)])

    return draw


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped where there is none."""
    folder = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real data: set ARCHWRIGHT_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def batch() -> Callable[[Graph], tuple[torch.Tensor, ...]]:
    """Random inputs for a graph."""

    def make(graph: Graph, size: int = 3) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(7)
        return tuple(torch.randn(size, *shape, generator=generator) for shape in graph.signature.inputs)

    return make
