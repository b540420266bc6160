"""The published NAS-Bench-201 (Dong and Yang 2020): parameters and multiply-adds exactly, function classes."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from archwright.graph import Graph, GraphBuilder, Value
from archwright.problem import Signature

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
OPS = (
    ("none", {}),
    ("identity", {}),
    ("relu_conv_bn", {"kernel": 1}),
    ("relu_conv_bn", {"kernel": 3}),
    ("avg_pool", {}),
)
PUBLISHED = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP = 0, 1


@pytest.fixture(scope="module")
def table(shared_data: Path) -> dict[str, np.ndarray]:
    path = shared_data / "benchmarks" / "nas-bench-201.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the real data")
    return dict(np.load(path))


def cell(builder: GraphBuilder, value: Value, ops: tuple[int, ...]) -> Value:
    states = [value]
    for target in (1, 2, 3):
        edges = [(source, OPS[op]) for (source, end), op in zip(EDGES, ops) if end == target]
        states.append(
            builder.merge([builder.add(name, [states[source]], **attrs) for source, (name, attrs) in edges], "add")
        )
    return states[3]


def network(ops: tuple[int, ...]) -> Graph:
    builder = GraphBuilder(Signature(((3, 32, 32),), (10,)))
    value = builder.add("conv_bn", [builder.input()], width=16)
    for width in (16, 32, 64):
        if width > 16:
            value = builder.add("basic_block", [value], width=width, stride=2)
        for _ in range(5):
            (value,) = builder.template(
                ("nas-bench-201 test", ops), [value], lambda values: [cell(builder, values[0], ops)]
            )
    value = builder.add("global_avg_pool", [builder.add("bn_relu", [value])])
    return builder.finish([builder.add("linear", [value], width=10)])


def single(ops: tuple[int, ...]) -> Graph:
    builder = GraphBuilder(Signature(((16, 8, 8),), (16,)))
    return builder.finish([cell(builder, builder.input(), ops)])


def nothing_removed(ops: np.ndarray) -> bool:
    """Whether every edge that is not none lies on a path from the input to the output."""
    forward, backward = {0}, {3}
    edges = [(source, target) for (source, target), op in zip(EDGES, ops) if op != NONE]
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        forward |= {target} if source in forward else set()
    for source, target in sorted(edges, reverse=True):
        backward |= {source} if target in backward else set()
    return bool(edges) and all(source in forward and target in backward for source, target in edges)


def expression(ops: np.ndarray) -> str:
    """The published way to write a cell as a string, with parentheses around sums, and terms that are zero left out."""
    states = ["x"]
    for target in (1, 2, 3):
        edges = [(states[source], op) for (source, end), op in zip(EDGES, ops) if end == target]
        terms = sorted(text if op == SKIP else f"({text})@{op}" for text, op in edges if op != NONE and text != "0")
        states.append("0" if not terms else terms[0] if len(terms) == 1 else f"({'+'.join(terms)})")
    return states[3]


def published(ops: np.ndarray) -> str:
    """The string whose 6,466 values are the published classes: it knows a sum of zeros only where it has one term."""
    states = ["x"]
    for target in (1, 2, 3):
        edges = [(states[source], op) for (source, end), op in zip(EDGES, ops) if end == target]
        terms = [
            "#" if op == NONE or text == "#" else text if op == SKIP else f"({text})@{PUBLISHED[op]}"
            for text, op in edges
        ]
        states.append("+".join(sorted(terms)))
    return states[3]


def test_parameters_and_multiply_adds_are_the_published_ones(table: dict[str, np.ndarray]) -> None:
    """Where nothing is removed; elsewhere the published numbers also count operations that compute nothing."""
    rng = np.random.default_rng(0)
    checked = 0
    for index in rng.permutation(len(table["ops"]))[:600]:
        if nothing_removed(table["ops"][index]):
            cost = network(tuple(map(int, table["ops"][index]))).cost
            assert cost.params == table["c10_params"][index]
            assert cost.flops == 2 * table["c10_macs"][index]
            checked += 1
    assert checked > 200


def test_the_fingerprint_refines_the_published_classes_up_to_terms_that_are_zero(table: dict[str, np.ndarray]) -> None:
    """Of the published 6,466 classes some differ only in terms that are zero, such as x and x + conv(0); those are one here.

    Kept apart here although one class there: cells whose strings agree but where an operation is shared in one and duplicated in the other.
    """
    strings = defaultdict(set)
    for ops in table["ops"]:
        strings[single(tuple(map(int, ops))).fingerprint].add(expression(ops))
    assert all(len(found) == 1 for found in strings.values())
    assert len(strings) == 6147
    assert len({text for found in strings.values() for text in found}) == 5773


def test_the_published_classes_are_those_of_the_string_described(table: dict[str, np.ndarray]) -> None:
    pairs = {(published(ops), int(number)) for ops, number in zip(table["ops"], table["isomorphism_class"])}
    assert len(pairs) == 6466 == len({text for text, _ in pairs}) == len({number for _, number in pairs})


def test_without_zeros_the_fingerprint_refines_the_published_classes(table: dict[str, np.ndarray]) -> None:
    classes = defaultdict(set)
    for ops, number in zip(table["ops"], table["isomorphism_class"]):
        if NONE not in ops:
            classes[single(tuple(map(int, ops))).fingerprint].add(int(number))
    assert len(classes) > 2000
    assert all(len(found) == 1 for found in classes.values())
