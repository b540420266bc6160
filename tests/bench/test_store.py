from __future__ import annotations

import sqlite3

import pytest

from archwright.bench import Trajectory
from archwright.bench.store import BenchStore, Setting, default_folder
from archwright.errors import LedgerError

SETTING = Setting("synthetic", "mixed-8x4", "random", "150 trials")


def trajectory(rows):
    return Trajectory(
        tuple(rows), tuple((row / 10,) for row in rows), tuple(float(row) for row in rows), 2, 1, "done", 0.5
    )


def test_what_is_recorded_is_read_again(tmp_path):
    store = BenchStore(tmp_path)
    store.add([(SETTING, 3, "c0", trajectory([1, 2])), (SETTING, 1, "c0", trajectory([4]))])
    assert list(BenchStore(tmp_path).read(SETTING).items()) == [(1, trajectory([4])), (3, trajectory([1, 2]))]


def test_scores_that_json_does_not_know_survive(tmp_path):
    store = BenchStore(tmp_path)
    odd = Trajectory((1,), ((float("-inf"), float("nan")),), (float("inf"),), final={"test accuracy": 0.5})
    store.add([(SETTING, 0, "c0", odd)])
    found = store.read(SETTING)[0]
    assert str(found) == str(odd)


def test_settings_do_not_mix(tmp_path):
    store = BenchStore(tmp_path)
    others = [
        Setting("synthetic", "mixed-8x4", "random", "100 trials"),
        Setting("synthetic", "mixed-8x4", "random", "150 trials", 2),
        Setting("synthetic", "mixed-8x4", "random", "150 trials", 1, "data"),
        Setting("synthetic", "mixed-5x6", "random", "150 trials"),
        Setting("other", "mixed-8x4", "random", "150 trials"),
    ]
    for number, setting in enumerate([SETTING, *others]):
        store.add([(setting, 0, "c0", trajectory([number]))])
    assert store.read(SETTING) == {0: trajectory([0])}
    assert store.settings("synthetic") == [SETTING, *others[:4]]


def test_records_of_an_older_code_are_run_again_and_replaced(tmp_path):
    store = BenchStore(tmp_path)
    store.add([(SETTING, seed, "old", trajectory([seed])) for seed in range(3)])
    assert store.done(SETTING) == {0, 1, 2}
    assert store.done(SETTING, "new") == set()
    store.add([(SETTING, 1, "new", trajectory([9]))])
    assert store.done(SETTING, "new") == {1}
    assert store.read(SETTING)[1] == trajectory([9])
    assert len(store.read(SETTING)) == 3


def test_a_store_is_only_made_by_a_run(tmp_path):
    with pytest.raises(LedgerError, match=r"no benchmarks in .*absent yet"):
        BenchStore(tmp_path / "absent", create=False)
    assert not (tmp_path / "absent").exists()
    (tmp_path / "bench.db").write_text("something else, long enough to be no database at all")
    with pytest.raises(LedgerError, match="cannot be used"):
        BenchStore(tmp_path)


def test_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHWRIGHT_BENCH", str(tmp_path))
    assert default_folder() == tmp_path
    assert default_folder("here").name == "here"


def test_a_record_waits_for_the_disk(tmp_path):
    store = BenchStore(tmp_path)
    store.add([(SETTING, 0, "c0", trajectory([1]))])
    with sqlite3.connect(tmp_path / "bench.db") as connection:
        assert connection.execute("pragma synchronous").fetchone()[0] == 2
        assert connection.execute("pragma journal_mode").fetchone()[0] == "delete"
