from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from archwright.bench import get_suite
from archwright.bench.code import code_of
from archwright.bench.execute import data_digest, execute, plan
from archwright.bench.specs import parse_strategies
from archwright.bench.store import BenchStore
from archwright.problem import Budget
from archwright.strategies import Evolution, Halving, Random

SUITE = get_suite("synthetic")
BUDGET = Budget(trials=10)


def jobs(store, seeds, strategies="random,evolution(population=4,sample=2)", **options):
    options = {"budget": BUDGET, "cases": ["mixed-5x6"], **options}
    return plan(SUITE, parse_strategies(strategies), range(seeds), store, **options)


def test_what_is_known_is_not_run_again(tmp_path):
    store = BenchStore(tmp_path)
    first, known = jobs(store, 3)
    assert (len(first), known) == (6, 0)
    assert execute(first, store, 1) == []
    more, known = jobs(store, 5)
    assert (len(more), known) == (4, 6)
    assert {job.seed for job in more} == {3, 4}
    other, known = jobs(store, 3, budget=Budget(trials=11))
    assert (len(other), known) == (6, 0)


def test_processes_do_not_change_results(tmp_path):
    one, two = BenchStore(tmp_path / "one"), BenchStore(tmp_path / "two")
    execute(jobs(one, 4)[0], one, 1)
    heard = []
    execute(jobs(two, 4)[0], two, 2, heard.append)
    assert len(heard) == 8
    for setting in one.settings("synthetic"):
        mine, other = one.read(setting), two.read(setting)
        assert mine.keys() == other.keys() == set(range(4))
        assert [found.rows for found in mine.values()] == [found.rows for found in other.values()]


def test_a_search_that_fails_is_told_and_not_recorded(tmp_path):
    store = BenchStore(tmp_path)
    found = get_suite("nas-bench-macro")
    planned, _ = jobs(store, 1, "random")
    broken = [planned[0]._replace(setting=planned[0].setting.__class__(found.name, "cifar10", "random", "10 trials"))]
    (failure,) = execute([*broken, *planned], store, 1)
    assert "ARCHWRIGHT_TABLES is not set" in failure.reason
    assert len(store.settings("synthetic")) == 1
    assert store.settings("nas-bench-macro") == []


def test_seeds_come_before_cases_and_strategies(tmp_path):
    planned, _ = jobs(BenchStore(tmp_path), 3, cases=["mixed-5x6", "mixed-14x2"])
    assert [job.seed for job in planned] == [0] * 4 + [1] * 4 + [2] * 4


def test_generated_tables_and_training_have_no_data_but_columns_count_elsewhere(small):
    assert data_digest(get_suite("training").case("digits"), None) == ""
    assert data_digest(small, None) == small.load(None, 0).digest(["seen", "true", "took"])


def test_the_code_of_a_strategy_is_that_of_all_it_is_made_of(tmp_path, monkeypatch):
    codes = [code_of(strategy) for strategy in (Random(), Evolution(), Halving(Random()), Halving(Evolution()))]
    assert len(set(codes)) == 4
    assert code_of(Evolution(5, 2)) == code_of(Evolution())


@pytest.mark.slow
def test_killed_and_run_again_it_goes_on(tmp_path):
    command = [
        *(sys.executable, "-m", "archwright", "bench", "run", "synthetic", "--case", "mixed-5x6"),
        *(
            "--strategies",
            "evolution(population=5,sample=2)",
            "--seeds",
            "400",
            "--workers",
            "2",
            "--store",
            str(tmp_path),
        ),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while recorded(tmp_path) < 20:
        assert time.monotonic() < deadline
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = recorded(tmp_path)
    assert 20 <= before < 400
    ended = time.monotonic() + 20
    while group_alive(process.pid) and time.monotonic() < ended:
        time.sleep(0.1)
    assert not group_alive(process.pid), "workers outlived the run"
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{400 - before} searches run, {before} known before" in done.stdout
    fresh = BenchStore(tmp_path / "fresh")
    setting = BenchStore(tmp_path).settings("synthetic")[0]
    planned = plan(SUITE, parse_strategies(setting.strategy), [0, before, 399], fresh, cases=["mixed-5x6"])[0]
    execute(planned, fresh, 1)
    stored = BenchStore(tmp_path).read(setting)
    assert len(stored) == 400
    assert all(stored[seed].rows == found.rows for seed, found in fresh.read(setting).items())


def recorded(folder):
    if not (folder / "bench.db").exists():
        return 0
    store = BenchStore(folder)
    return sum(len(store.done(setting)) for setting in store.settings("synthetic"))


def group_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
