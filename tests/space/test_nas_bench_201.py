"""Our NAS-Bench-201 against the published table."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from archwright.errors import ArchitectureError
from archwright.problem import Architecture, Signature
from archwright.space.zoo.nas_bench_201 import OPS, architecture, from_ops, nas_bench_201, to_ops, to_string

DATA = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
CIFAR = Signature(((3, 32, 32),), (10,))
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
CONVS = {2: 1, 3: 9}


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    path = DATA / "benchmarks" / "nas-bench-201.npz"
    if not path.exists():
        pytest.skip("needs the published table: set ARCHWRIGHT_TEST_DATA to the folder of test data")
    return dict(np.load(path))


def idle(ops: list[int]) -> list[int]:
    """The operations on edges that no path from input to output uses."""
    forward, backward = {0}, {3}
    for (source, target), code in sorted(zip(EDGES, ops), key=lambda pair: pair[0][1]):
        forward |= {target} if code and source in forward else set()
    for (source, target), code in sorted(zip(EDGES, ops), reverse=True):
        backward |= {source} if code and target in backward else set()
    return [code for (source, target), code in zip(EDGES, ops) if source not in forward or target not in backward]


def connected(ops: list[int]) -> bool:
    reached = {0}
    for (source, target), code in sorted(zip(EDGES, ops), key=lambda pair: pair[0][1]):
        reached |= {target} if code and source in reached else set()
    return 3 in reached


def check_costs(table: dict[str, np.ndarray], indices: np.ndarray) -> int:
    """Parameters and MACs equal the published ones, which count idle edges too; returns how many have none."""
    space, whole = nas_bench_201(), 0
    for index in indices:
        ops = table["ops"][index].tolist()
        if not connected(ops):
            continue
        cost = space.graph(from_ops(ops), CIFAR).cost
        unused = [CONVS[code] for code in idle(ops) if code in CONVS]
        params = 5 * sum(size * width**2 + 2 * width for size in unused for width in (16, 32, 64))
        macs = 5 * 3 * sum(size * 16**2 * 32**2 for size in unused)
        assert cost.params + params == table["c10_params"][index], to_string(from_ops(ops))
        assert cost.flops / 2 + macs == table["c10_macs"][index], to_string(from_ops(ops))
        whole += not unused
    return whole


def without_zeros(ops: list[int]) -> tuple[object, ...]:
    """The sum a cell computes, nested, terms sorted and zeros left out, skips replaced by what they copy."""
    states: list[tuple[object, ...]] = [("x",)]
    for target in (1, 2, 3):
        terms: list[object] = []
        for (source, end), code in zip(EDGES, ops):
            if end == target and OPS[code] == "skip_connect":
                terms.extend(states[source])
            elif end == target and OPS[code] != "none" and states[source]:
                terms.append((OPS[code], states[source]))
        states.append(tuple(sorted(terms, key=repr)))
    return states[3]


def check_classes(table: dict[str, np.ndarray], indices: np.ndarray) -> int:
    """Equal fingerprints mean equal functions; returns the number of fingerprints."""
    space, functions = nas_bench_201(), defaultdict(set)
    for index in indices:
        ops = table["ops"][index].tolist()
        functions[space.graph(from_ops(ops), CIFAR).fingerprint].add(without_zeros(ops))
    assert all(len(found) == 1 for found in functions.values())
    return len(functions)


def test_costs_are_the_published_ones(table: dict[str, np.ndarray]) -> None:
    assert check_costs(table, np.random.default_rng(0).choice(15625, 600, replace=False)) > 300


def test_equal_fingerprints_mean_equal_functions(table: dict[str, np.ndarray]) -> None:
    assert check_classes(table, np.arange(0, 15625, 25)) < 625


@pytest.mark.slow
def test_all_cells(table: dict[str, np.ndarray]) -> None:
    everything = np.arange(15625)
    assert check_costs(table, everything) == 11308
    assert check_classes(table, everything) == 6147


def test_the_table_lists_the_space(table: dict[str, np.ndarray]) -> None:
    listed = {from_ops(ops.tolist()) for ops in table["ops"]}
    assert listed == set(nas_bench_201().architectures())


def test_notations_invert() -> None:
    space, rng = nas_bench_201(), np.random.default_rng(0)
    for _ in range(20):
        cell = space.sample(rng)
        assert from_ops(to_ops(cell)) == cell
        assert architecture(to_string(cell)) == cell
    labels = dict(space.describe(from_ops([0, 1, 2, 3, 4, 0])))
    assert list(labels.values()) == ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "none"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|none~0|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|conv~2|",
        "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ArchitectureError, match="Got the cell"):
        architecture(text)


@pytest.mark.parametrize("ops", [[], [0] * 5, [0, 0, 0, 0, 0, 5], [-1, 0, 0, 0, 0, 0]])
def test_other_codes_are_refused(ops: list[int]) -> None:
    with pytest.raises(ArchitectureError, match="six indices"):
        from_ops(ops)


def test_a_cell_is_what_the_space_lists() -> None:
    cell = architecture("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|")
    nas_bench_201().validate(cell)
    assert isinstance(cell, Architecture)
    assert len(nas_bench_201().graph(cell, CIFAR)) == 1 + 15 + 6
