"""The contract on every space of the zoo, on ordinary and odd shapes."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import numpy as np
import pytest

from archwright.errors import SpaceError
from archwright.problem import Signature
from archwright.space import Space, get_space, list_spaces, op, zoo
from archwright.testing.space import check_space, identities_elsewhere, identity

IMAGES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 23), (1, 1, 1)]
SMALL: dict[str, dict[str, Any]] = {
    "nas-bench-201": {"cells": 1},
    "nasnet": {"cells": 1, "channels": 4},
    "darts": {"cells": 3, "channels": 4},
}


def test_the_zoo() -> None:
    assert list(list_spaces()) == ["mlp", "cnn", "layers", "nas-bench-201", "nasnet", "darts"]
    assert all(description.endswith(".") for description in list_spaces().values())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("nas-bench-201", 15625),
        # two cells of 4 nodes: 8 operations on 2 of 2, 3, 4 and 5 states
        ("darts", (8**8 * 1 * 3 * 6 * 10) ** 2),
        # two cells of 5 blocks: two of 2 to 6 states, two of 13 operations, one of 2 merges
        ("nasnet", ((2 * 3 * 4 * 5 * 6) ** 2 * 13**10 * 2**5) ** 2),
        # six layers of 16 kernels and 4 widths, and a bit for each pair
        ("layers", 64**6 * 2**15),
        # per stage: blocks beyond the first in 2 numbers; kinds 2 x 2 (skip) + 2 (expansion); kernels; widths
        ("cnn", 3 * 4 * (1 + 2 * 6 * 2) * 4 * (3 * 3 * 6 * 2) * (1 + 4 * 3 * 3 * 6 * 2)),
        ("mlp", 3 * 3 * 3 * (5 + 25 + 125 + 625 + 5 * 3)),
    ],
)
def test_sizes(name: str, size: int) -> None:
    assert get_space(name).size == size


@pytest.mark.parametrize("shape", IMAGES)
@pytest.mark.parametrize("name", ["cnn", "layers", "nas-bench-201", "nasnet", "darts"])
def test_contract_on_images(name: str, shape: tuple[int, ...]) -> None:
    space = get_space(name, **SMALL.get(name, {}))
    check_space(space, Signature((shape,), (4,)), range(2), networks=1, other_process=False)


@pytest.mark.parametrize("shape", [(13,), (1,)])
def test_contract_on_vectors(shape: tuple[int, ...]) -> None:
    check_space(get_space("mlp"), Signature((shape,), (1,)), range(6), other_process=shape == (13,))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "layers", "nas-bench-201", "nasnet", "darts"])
def test_contract_at_full_size(name: str) -> None:
    check_space(get_space(name), Signature(((3, 32, 32),), (10,)), range(12), networks=4)


def test_identities_are_stable_across_processes() -> None:
    signature, rng = Signature(((1, 8, 8),), (4,)), np.random.default_rng(1)
    space = get_space("darts", **SMALL["darts"])
    drawn = [space.sample(rng) for _ in range(3)]
    assert identities_elsewhere(space, signature, drawn) == [identity(space, signature, a) for a in drawn]


@pytest.mark.parametrize(("shape", "smallest_map"), list(zip(IMAGES, [4, 7, 8, 5, 1])))
def test_cnn_has_small_and_large_networks_and_keeps_resolution(shape: tuple[int, ...], smallest_map: int) -> None:
    space, rng = get_space("cnn"), np.random.default_rng(0)
    graphs = [space.graph(space.sample(rng), Signature((shape,), (10,))) for _ in range(60)]
    assert min(graph.cost.params for graph in graphs) < 20_000
    assert max(graph.cost.params for graph in graphs) > 500_000
    assert min(min(node.shape[1:]) for graph in graphs for node in graph.nodes if len(node.shape) == 3) == smallest_map


def test_options_change_the_space() -> None:
    assert get_space("cnn", depth=6, widths=[(8,), (16,)]).size < get_space("cnn", depth=6).size
    assert get_space("mlp", depth=1).size == 3 * 3 * 3 * 5
    assert get_space("nas-bench-201", cells=1) != get_space("nas-bench-201")


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"Did you mean 'cnn'"):
        get_space("cnnn")
    with pytest.raises(SpaceError, match=r"no option 'layer'. Did you mean 'layers'"):
        get_space("layers", layer=3)


def theirs(width: int = 4) -> Space:
    """A space of another package."""
    return Space(op("linear", width=width), "theirs")


def test_other_packages_register_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("theirs", "their_package:theirs", zoo._GROUP),
        EntryPoint("bad", "no_such_package:x", zoo._GROUP),
    ]
    monkeypatch.setattr(zoo, "entry_points", lambda group: EntryPoints(points[:1] if group == zoo._GROUP else ()))
    monkeypatch.setattr(EntryPoint, "load", lambda point: theirs)
    assert list_spaces()["theirs"] == "A space of another package."
    assert get_space("theirs", width=7) == theirs(7)
    monkeypatch.undo()
    monkeypatch.setattr(zoo, "entry_points", lambda group: EntryPoints(points[1:]))
    with pytest.raises(SpaceError, match="'bad' of no_such_package:x cannot be loaded"):
        get_space("bad")
