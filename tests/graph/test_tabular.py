from __future__ import annotations

import itertools
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from archwright.errors import GraphError
from archwright.graph import Graph, GraphBuilder
from archwright.graph.blocks.tabular import (
    ColumnTokens,
    EntryScale,
    MemberHead,
    Members,
    PeriodicEmbedding,
    PiecewiseEmbedding,
    runs,
)
from archwright.graph.blocks.vector import Dense, ResidualBlock
from archwright.graph.module import build, calibrate
from archwright.graph.source import source
from archwright.problem import Signature

COLUMNS = (1, 1, 3, 1, 2)
LAYOUTS = [(), COLUMNS, (3, 5), (4, 1, 1, 1, 1)]
EMBEDDINGS: list[tuple[str, dict[str, Any]]] = [
    ("periodic_embedding", {}),
    ("periodic_embedding", {"width": 2, "frequencies": 5, "sigma": 1.0, "categories": 3}),
    ("piecewise_embedding", {}),
    ("piecewise_embedding", {"width": 1, "bins": 3, "categories": 2}),
]


def rows(count: int = 40, seed: int = 0, columns: tuple[int, ...] = COLUMNS) -> Tensor:
    """Random rows of a table with this layout, eight entries each."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for size in columns or (1,) * 8:
        hot = nn.functional.one_hot(torch.randint(size, (count,), generator=generator), size).float()
        found.append(torch.randn(count, 1, generator=generator) if size == 1 else hot)
    return torch.cat(found, 1)


def network(first: str, attrs: dict[str, Any], columns: tuple[int, ...], members: int = 3, width: int = 2) -> Graph:
    builder = GraphBuilder(Signature(((8,),), (width,), columns=columns))
    value = builder.add(first, [builder.input()], columns=columns, **attrs)
    if first == "column_tokens":
        value = builder.add("attention", [value], heads=1, head_dim=4)
        value = builder.add("mean_tokens", [value])
    value = builder.add("members", [builder.add("entry_scale", [value])], members=members)
    value = builder.add("dense", [value], width=6, norm="batch")
    value = builder.add("residual_block", [value], norm="layer", dropout=0.1)
    return builder.finish([builder.add("member_head", [value], width=width)])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_numbers_and_groups_cover_a_row(columns: list[int]) -> None:
    features, layout = sum(columns), tuple(columns)
    numbers, groups = runs(features, layout, True), runs(features, layout, False)
    covered = [entry for start, stop in numbers + groups for entry in range(start, stop)]
    assert sorted(covered) == list(range(features))
    assert [stop - start for start, stop in groups] == [size for size in columns if size > 1]
    assert all(one[1] < other[0] for one, other in itertools.pairwise(numbers))


def test_a_row_of_another_length_is_refused() -> None:
    builder = GraphBuilder(Signature(((8,),), (2,)))
    with pytest.raises(GraphError, match="rows of 8 entries for columns of 9"):
        builder.add("periodic_embedding", [builder.input()], columns=(1, 8))


@pytest.mark.parametrize("columns", LAYOUTS)
@pytest.mark.parametrize(("name", "attrs"), [*EMBEDDINGS, ("column_tokens", {"width": 4})])
def test_every_layout_is_measured_trained_and_written(name: str, attrs: dict, columns: tuple[int, ...]) -> None:
    graph = network(name, attrs, columns)
    assert Graph.from_json(graph.to_json()) == graph
    module, x = build(graph, 1), rows(columns=columns)
    assert sum(parameter.numel() for parameter in module.parameters()) == graph.cost.params
    calibrate(module, x)
    module.train()(x).square().sum().backward()
    assert all(p.grad is not None for p in module.parameters() if p.numel())
    scope: dict[str, Any] = {"__name__": "exported"}
    exec(compile(source(graph), "model.py", "exec"), scope)
    written = scope["Network"]()
    written.load_state_dict(module.state_dict())
    torch.testing.assert_close(written.eval()(x), module.eval()(x))


def test_periodic_features_are_waves() -> None:
    block, x = PeriodicEmbedding(8, COLUMNS, width=2, frequencies=4), rows()
    out = block(x)
    assert out.shape == (40, 3 + 3 * 2 + 5)
    torch.testing.assert_close(out[:, :3], x[:, [0, 1, 5]])
    wave = torch.cos(x[:, 5:6] * block.frequency[2] + block.phase[2])
    torch.testing.assert_close(out[:, 7:9], wave @ block.weight[2] + block.bias[2])
    torch.testing.assert_close(out[:, 9:], x[:, [2, 3, 4, 6, 7]])


def test_categories_are_looked_up_beside_their_one_hot_entries() -> None:
    block, x = PiecewiseEmbedding(8, COLUMNS, width=1, categories=2), rows()
    out = block(x)
    torch.testing.assert_close(out[:, 3:8], x[:, [2, 3, 4, 6, 7]])
    torch.testing.assert_close(out[:, 8:10], block.tables[0][x[:, 2:5].argmax(1)])
    torch.testing.assert_close(out[:, 10:12], block.tables[1][x[:, 6:8].argmax(1)])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 12), st.booleans())
def test_bins_hold_what_a_number_is(seed: int, bins: int, whole: bool) -> None:
    """The parts of its bins that a number fills, with their sizes, add up to the number."""
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(seed)) * 2
    x = x.round() if whole else x
    block = PiecewiseEmbedding(3, bins=bins)
    block.calibrate(x)
    filled = block.encode(x)[:, :, :-1]
    used = block.left < x.max(0).values[:, None]
    total = block.left[:, 0] + (filled * block.size * used).sum(2)
    torch.testing.assert_close(total, x, atol=1e-4, rtol=1e-4)
    assert ((filled[:, :, 1:] == 0) | (filled[:, :, :-1] == 1) | ~used[:, 1:]).all()


def test_bins_are_quantiles_of_the_training_rows() -> None:
    x = torch.linspace(-1, 1, 101)[:, None] ** 3
    block = PiecewiseEmbedding(1, bins=4)
    calibrate(nn.Sequential(block), x)
    edges = torch.cat([block.left[0], block.left[0, -1:] + block.size[0, -1:]])
    torch.testing.assert_close(edges, torch.tensor([-1.0, -0.125, 0.0, 0.125, 1.0]))
    assert set(block.state_dict()) == {"weight", "bias", "left", "size"}


def test_piecewise_functions_begin_as_straight_lines() -> None:
    block, x = PiecewiseEmbedding(1, width=4), torch.linspace(-3, 3, 7)[:, None]
    torch.testing.assert_close(block(x), x * block.weight[0, -1])


def test_tokens_are_lines_and_categories() -> None:
    block, x = ColumnTokens(8, COLUMNS, width=4), rows()
    tokens = block(x)
    assert tokens.shape == (40, 4, 5)
    torch.testing.assert_close(tokens[:, :, 2], x[:, 5:6] * block.weight[2] + block.bias[2])
    torch.testing.assert_close(tokens[:, :, 4], block.tables[1][x[:, 6:].argmax(1)] + block.bias[4])


def test_scales_begin_at_one() -> None:
    torch.testing.assert_close(EntryScale(8)(rows()), rows())


@pytest.mark.parametrize("block", [Dense(8, 5, norm="layer"), ResidualBlock(8, norm="layer"), ResidualBlock(8)])
def test_each_member_sees_the_shared_layers(block: nn.Module) -> None:
    x = torch.randn(6, 8, 3)
    block.eval()
    torch.testing.assert_close(block(x), torch.stack([block(x[:, :, member]) for member in range(3)], 2))


def test_members_see_the_row_with_signs_of_their_own() -> None:
    block, x = Members(8, 5), rows()
    torch.testing.assert_close(block(x).abs(), x.abs()[:, :, None].expand(-1, -1, 5))
    assert block.weight.abs().eq(1).all()
    assert not block.weight.eq(block.weight[0]).all()


@pytest.mark.parametrize("width", [1, 3])
def test_an_ensemble_answers_with_the_mean_of_its_members(width: int) -> None:
    block, x = MemberHead((4, 5), width), torch.randn(7, 4, 5)
    each = block.train()(x)
    assert each.shape == (7, width, 5)
    answer = block.eval()(x)
    if width == 1:
        torch.testing.assert_close(answer, each.mean(2))
    else:
        torch.testing.assert_close(answer.softmax(1), each.softmax(1).mean(2))
        torch.testing.assert_close(answer.exp().sum(1), torch.ones(7))
    assert block.train()(x * 1e4).isfinite().all()
    assert block.eval()(x * 1e4).isfinite().all()


def test_a_head_of_members_needs_members() -> None:
    builder = GraphBuilder(Signature(((8,),), (2,)))
    with pytest.raises(GraphError, match=r"\(8,\), expected \(features, members\)"):
        builder.add("member_head", [builder.input()], width=2)


def test_one_member_is_a_plain_network() -> None:
    module = build(network("periodic_embedding", {}, COLUMNS, members=1), 0)
    module(rows())
    module.eval()
    head = module.get_submodule("member_head")
    with torch.no_grad():
        plain = head.train()(torch.ones(1, 6, 1))[..., 0].log_softmax(1)
        torch.testing.assert_close(head.eval()(torch.ones(1, 6, 1)), plain)
    assert math.isclose(float(plain.detach().exp().sum()), 1.0, abs_tol=1e-5)


def test_networks_for_tables_are_measured_without_torchs_compiler() -> None:
    code = (
        "import sys; from archwright.space import get_space; from archwright.problem import Signature\n"
        "space = get_space('mlp'); signature = Signature(((8,),), (3,), columns=(1, 1, 3, 1, 2))\n"
        "kept = [a for name, a in space.references.items() if not name.startswith('ft')]\n"
        "[space.graph(a, signature) for a in kept]\n"
        "sys.exit('torch._dynamo.convert_frame' in sys.modules or 'sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
