"""From distributions to architectures: the most probable one, and what a DARTS cell reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from archwright.problem import Architecture
from archwright.space import OUTPUTS, Space, chain, choice, get_space, op, parallel, repeat, shared
from archwright.supernet.edges import edges_of, kinds_of, likeliest, strengths_of

Chances = dict[str, NDArray[np.floating[Any]]]

CELL = get_space("darts", cells=2, channels=4, nodes=2)
FLAT = Space(
    chain(
        op("dense", width=choice(4, 8, 16), activation=choice("relu", "tanh"), name="first"),
        choice(
            op("identity", name="skip"),
            op("dense", width=4, name="dense"),
            op("layer_norm", name="norm"),
            name="second",
        ),
        op("linear", width=OUTPUTS),
    ),
    "flat",
)


def drawn(space: Space, seed: int = 0, skip: tuple[str, ...] = ()) -> Chances:
    rng = np.random.default_rng(seed)
    return {
        info.address: rng.dirichlet(np.ones(len(info.labels)))
        for info in space.choices()
        if not info.address.endswith(skip)
    }


def probability(architecture: Architecture, chances: Chances) -> float:
    return float(np.prod([chances[address][option] for address, option in architecture.choices]))


def find(
    space: Space,
    chances: Chances,
    count: int = 1,
    feasible: Callable[[Architecture], bool] = lambda architecture: True,
) -> list[Architecture]:
    return likeliest(space, edges_of(space), chances, feasible, np.random.default_rng(0), count)


@pytest.mark.parametrize("seed", range(5))
def test_the_likeliest_is_that_of_all(seed: int) -> None:
    chances = drawn(FLAT, seed)
    ranked = sorted(FLAT.architectures(), key=lambda a: -probability(a, chances))
    assert find(FLAT, chances) == ranked[:1]
    assert find(FLAT, chances, 5) == ranked[:5]
    assert find(FLAT, chances, 99) == ranked
    assert len(ranked) == 18


@pytest.mark.parametrize("seed", range(5))
def test_the_likeliest_that_is_feasible(seed: int) -> None:
    chances = drawn(FLAT, seed)
    ranked = sorted(FLAT.architectures(), key=lambda a: -probability(a, chances))
    allowed = set(ranked[3::2])
    assert find(FLAT, chances, 3, allowed.__contains__) == ranked[3:9:2]
    assert find(FLAT, chances, 1, allowed.__contains__) == ranked[3:4]
    assert find(FLAT, chances, 1, lambda architecture: False) == []


def test_what_is_feasible_is_found_where_all_is_settled() -> None:
    space = get_space("nas-bench-201")
    sure: Chances = {info.address: np.array([1e-9, 1e-9, 1e-9, 1.0, 1e-9]) for info in space.choices()}
    (found,) = find(space, sure, 1, lambda architecture: sum(o == 3 for _, o in architecture.choices) <= 3)
    assert sum(option == 3 for _, option in found.choices) == 3, "as much as can be of what was settled"


def test_nothing_is_an_operation_like_any_where_all_edges_are_read() -> None:
    space = get_space("nas-bench-201")
    assert edges_of(space) == {}
    chances: Chances = {info.address: np.array([0.6, 0.1, 0.1, 0.1, 0.1]) for info in space.choices()}
    assert set(find(space, chances)[0].as_dict().values()) == {0}


def test_an_edge_that_is_read_has_an_operation() -> None:
    chances = {
        info.address: np.array([0.6, 0.02, 0.02, 0.2, 0.1, 0.02, 0.02, 0.02])
        for info in CELL.choices()
        if info.address not in edges_of(CELL)
    }
    for architecture in find(CELL, chances, 4):
        operations = {a: option for a, option in architecture.choices if a not in edges_of(CELL)}
        assert len(operations) == 8
        assert 0 not in operations.values()


def test_edges_with_the_strongest_operations_are_read() -> None:
    edges = edges_of(CELL)
    assert edges.keys() == {"normal.node3.inputs", "reduction.node3.inputs"}
    for seed in range(8):
        chances = drawn(CELL, seed, ("inputs",))
        chosen = find(CELL, chances)[0].as_dict()
        for address, edge in edges.items():
            cell = address.split(".")[0]
            strength = [float(np.delete(chances[f"{cell}.edge{source}_3"], 0).max()) for source in range(3)]
            assert edge.slots[chosen[address]] == tuple(sorted(np.argsort(strength)[1:].tolist()))
            for source in edge.slots[chosen[address]]:
                best = 1 + int(np.argmax(np.delete(chances[f"{cell}.edge{source}_3"], 0)))
                assert chosen[f"{cell}.edge{source}_3"] == best


def test_weights_of_edges_count_too() -> None:
    chances = drawn(CELL, 0, ("inputs",))
    for info in CELL.choices():
        if info.address in chances:
            chances[info.address] = np.full(8, 1 / 8)
    edge = edges_of(CELL)["normal.node3.inputs"]
    for weak in range(3):
        weights = np.full(3, 0.45)
        weights[weak] = 0.1
        chosen = find(CELL, chances | {edge.strengths: weights})[0].as_dict()
        assert weak not in edge.slots[chosen["normal.node3.inputs"]]


def test_reads_with_chances_of_their_own_follow_these() -> None:
    chances = drawn(CELL, 1)
    address = "reduction.node3.inputs"
    for option in range(3):
        chances[address] = np.eye(3)[option] * 0.8 + 0.1
        assert find(CELL, chances)[0].as_dict()[address] == option


def test_edges_tell_their_operations() -> None:
    edge = edges_of(CELL)["normal.node3.inputs"]
    assert edge.slots == ((0, 1), (0, 2), (1, 2))
    assert edge.sets[1] == ("normal.edge0_3", "normal.edge2_3")
    assert edge.strengths in strengths_of(CELL)
    assert set(edge.none) == {f"normal.edge{edge}" for edge in ("0_2", "1_2", "0_3", "1_3", "2_3")}
    assert set(edge.none.values()) == {frozenset({0})}


def test_a_dag_without_operations_on_edges() -> None:
    space = Space(
        chain(
            op("conv_bn", width=4, name="stem"),
            parallel(op("identity", name="a"), op("relu", name="b"), merge="add"),
            op("global_avg_pool"),
            op("linear", width=choice(4, 8), name="middle"),
            op("linear", width=OUTPUTS),
        )
    )
    assert edges_of(space) == strengths_of(space) == {}
    assert find(space, {"middle.width": np.array([0.2, 0.8])})[0].choices == (("middle.width", 1),)


def test_weights_of_edges_have_names_and_numbers() -> None:
    assert strengths_of(CELL) == {
        f"{cell}.node{node}:edges": count for cell in ("normal", "reduction") for node, count in ((2, 2), (3, 3))
    }
    assert strengths_of(get_space("nas-bench-201")) == {"cell.node2:edges": 2, "cell.node3:edges": 3}
    assert strengths_of(get_space("cnn")) == {}
    pairs = strengths_of(get_space("nasnet", blocks=2))
    assert pairs == {f"{cell}.node{node}:edges": 2 * node for cell in ("normal", "reduction") for node in (2, 3)}


def test_kinds_of_the_cnn_space() -> None:
    kinds = kinds_of(get_space("cnn", depth=2, widths=((4, 8), (8, 16))))
    space = get_space("cnn", depth=2, widths=((4, 8), (8, 16)))
    assert kinds.keys() == {info.address for info in space.choices()}
    found = {kind: {a for a, k in kinds.items() if k == kind} for kind in set(kinds.values())}
    assert found.keys() == {"operation", "repeat", "width", "kernel", "activation", "expansion", "patch", "se"}
    assert {"stem.width", "stage0.width", "stage1.width"} == found["width"]
    assert found["activation"] == {"activation"}
    assert {"stem", "stage0.entry", "stage0.block", "pool", "classifier"} <= found["operation"]
    assert all(address.endswith("more") for address in found["repeat"])


def test_kinds_of_the_mobilenet_space() -> None:
    space = get_space("mobilenet")
    kinds = kinds_of(space)
    assert kinds.keys() == {info.address for info in space.choices()}
    assert sorted(set(kinds.values())) == ["expansion", "kernel", "repeat"]
    for address, kind in kinds.items():
        assert address.rsplit(".", 1)[-1] == kind or kind == "repeat"
    assert sum(kind == "repeat" for kind in kinds.values()) == 3
    assert set(kinds_of(get_space("mobilenet", variant="proxyless")).values()) == {"operation"}


def test_kinds_of_dags() -> None:
    kinds = kinds_of(get_space("nasnet", blocks=2))
    assert {kinds[a] for a in kinds if a.endswith("from")} == {"reads"}
    assert {kinds[a] for a in kinds if a.endswith("merge")} == {"merge"}
    assert set(kinds.values()) == {"reads", "merge", "operation"}
    cell = shared(
        "cell", parallel(op("relu", name="a"), op("identity", name="b"), merge=choice("add", "mul"), name="p")
    )
    space = Space(chain(op("conv_bn", width=4), repeat(cell, 2), op("global_avg_pool"), op("linear", width=OUTPUTS)))
    assert list(kinds_of(space).values()) == ["merge"]
