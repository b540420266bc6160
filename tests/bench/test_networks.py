from __future__ import annotations

from archwright.bench import networks as module
from archwright.bench.networks import networks
from archwright.bench.places import cache_folder
from archwright.problem import Architecture, Signature
from archwright.space import Space
from archwright.space.zoo.nas_bench_201 import from_ops, nas_bench_201

SIGNATURE = Signature(((3, 8, 8),), (10,))
CELLS = [from_ops([3, edge, 0, 1, 2, 3]).choices for edge in range(5)]


def test_rows_are_those_of_the_graphs_and_are_computed_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    space = nas_bench_201(4, 1)
    found = networks(space, CELLS, SIGNATURE)
    for choices, row in zip(CELLS, found):
        graph = space.graph(Architecture(choices), SIGNATURE)
        assert (row.fingerprint, row.cost) == (graph.fingerprint, graph.cost)
    monkeypatch.setattr(Space, "graph", None)
    assert networks(space, CELLS, SIGNATURE) == found


def test_what_was_kept_for_other_networks_or_by_other_code_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    networks(nas_bench_201(4, 1), CELLS, SIGNATURE)
    assert networks(nas_bench_201(8, 1), CELLS, SIGNATURE)[0].cost.params > 500
    assert networks(nas_bench_201(4, 1), CELLS[:3], SIGNATURE) == networks(nas_bench_201(4, 1), CELLS, SIGNATURE)[:3]
    assert len(list(cache_folder().glob("*.npz"))) == 3
    monkeypatch.setattr(module, "_code", lambda: "changed")
    networks(nas_bench_201(4, 1), CELLS, SIGNATURE)
    assert len(list(cache_folder().glob("*.npz"))) == 4


def test_a_damaged_file_is_made_again(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = networks(nas_bench_201(4, 1), CELLS, SIGNATURE)
    (file,) = cache_folder().glob("*.npz")
    file.write_bytes(file.read_bytes()[:200])
    assert networks(nas_bench_201(4, 1), CELLS, SIGNATURE) == found


def test_a_folder_that_cannot_be_written_costs_time_only(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(networks(nas_bench_201(4, 1), CELLS, SIGNATURE)) == 5
