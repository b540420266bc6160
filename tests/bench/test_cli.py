from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from archwright.cli.app import app
from archwright.errors import LedgerError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    done = run(
        "run", "synthetic", "--strategies", STRATEGIES, "--seeds", "6", "--workers", "1", *CASE, "--store", str(folder)
    )
    assert "12 searches run, 0 known before" in done
    again = done[done.index("archwright bench table") :].split("--store")[0]
    assert again.split() == ["archwright", "bench", "table", "synthetic", "--budget", "'60", "trials'"]
    return str(folder)


CASE = ("--case", "mixed-5x6", "--budget", "60 trials")
STRATEGIES = "random,evolution(population=5,sample=2)"


def run(*words, code=0):
    done = CliRunner().invoke(app, ["bench", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_suites_are_listed():
    listed = run("suites")
    for name in ("nas-bench-201-published", "hw-nas-bench", "synthetic", "training"):
        assert name in listed


def test_a_table_compares_with_the_reference(store):
    table = run("table", "synthetic", "--budget", "60 trials", "--store", store)
    assert "mixed-5x6: value (%), compared with random" in table
    assert table.index("50 ") < table.index("60 trials")
    assert table.count("random ") >= 3
    assert table.count("/") >= 4


def test_a_table_for_machines(store):
    found = [
        json.loads(line)
        for line in run("table", "synthetic", "--budget", "60 trials", "--json", "--store", store).splitlines()
    ]
    ends = [row for row in found if "summary" in row and row["evaluations"] is None]
    assert {row["strategy"] for row in ends} == {"random", "evolution(population=5,sample=2)"}
    assert all(row["summary"]["count"] == 6 for row in ends)
    assert sum("cpu" in row for row in found) == 2


def test_a_plot(store, tmp_path):
    assert "Drawn" in run(
        "plot", "synthetic", "--budget", "60 trials", "-o", str(tmp_path / "out.html"), "--store", store
    )
    assert (tmp_path / "out.html").stat().st_size > 2000


def test_the_same_command_runs_nothing(store):
    again = run(
        "run", "synthetic", "--strategies", STRATEGIES, "--seeds", "6", "--workers", "1", *CASE, "--store", store
    )
    assert "0 searches run, 12 known before" in again


def test_what_is_not_recorded_says_what_is(store):
    with pytest.raises(
        LedgerError,
        match=r"There are, with these options: .*random \(--budget .60 trials. --at-once 1\).*archwright bench run synthetic",
    ):
        run("table", "synthetic", "--store", store)


def test_a_search_that_fails_is_told(store):
    out = run(
        "run",
        "synthetic",
        "--strategies",
        "random(uniform=true)",
        "--seeds",
        "1",
        "--workers",
        "1",
        *CASE,
        "--store",
        store,
    )
    assert "1 searches run" in out


CONTEST = """
from archwright.bench import ContestCase, Files, Suite
from archwright.problem import Budget
files = lambda data, folder: Files({train!r}, {test!r}, "y")
case = ContestCase("made-up", files, "tabular", "accuracy", (Budget(seconds=20.0),), ("boosting", "sklearn-mlp"), "boosting")
SUITE = Suite("made-up", "Made up.", (case,))
"""


@pytest.fixture
def contest(tmp_path):
    """A suite file with a small table, and the words that choose a store."""
    for name, count in (("train", 60), ("test", 20)):
        rows = [f"{n % 10},{int(n % 10 > 4)}" for n in range(count)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["x,y", *rows]))
    text = CONTEST.format(train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    (tmp_path / "suite.py").write_text(text)
    return str(tmp_path / "suite.py"), "--store", str(tmp_path / "store")


def put(folder, suite, method, seed, accuracy, seconds=10.0, budget="20s"):
    from archwright.bench import Trajectory
    from archwright.bench.contest import parse_method
    from archwright.bench.store import BenchStore, Setting

    final = {"test accuracy": accuracy, "rows": 60.0, "test_rows": 20.0}
    setting = Setting(suite, "made-up", method, budget)
    record = (setting, seed, parse_method(method).code, Trajectory((), (), (seconds,), final=final))
    BenchStore(folder).add([record])


def test_a_contest_is_told_by_budget_with_what_is_missing_and_over_time(contest, tmp_path):
    suite, *store = contest
    for seed in range(3):
        put(store[1], suite, "boosting", seed, 0.8 + seed / 100)
        put(store[1], suite, "random", seed, 0.85, 20.2 + seed)
        put(store[1], suite, "boosting", seed, 0.9, 30.0, "30s")
        put(store[1], suite, "random", seed, 0.92, 30.0, "30s")
    put(store[1], suite, "sklearn-mlp", 1, 0.7)
    shown = run("table", suite, *store)
    assert shown.count("made-up: test accuracy (%), compared with boosting") == 2
    assert shown.index("20s") < shown.index("30s")
    assert "+4.00 [+1.52, +6.48]" in shown
    assert "3/0/0" in shown
    assert "sklearn-mlp has no answer for seeds 0, 2" in shown
    (over,) = [line.split() for line in shown.splitlines() if line.startswith("random") and "21.2" in line]
    assert over[:4] == ["random", "21.2", "22.2", "2"]
    found = [json.loads(line) for line in run("table", suite, "--json", *store).splitlines()]
    assert {one["over"] for one in found if one.get("method") == "random"} == {0, 2}
    assert "Drawn" in run("plot", suite, "-o", str(tmp_path / "out.svg"), *store)
    assert "minutes" in (tmp_path / "out.svg").read_text()


def test_what_is_recorded_of_a_contest_is_not_run_again(contest):
    suite, *store = contest
    for method in ("boosting", "sklearn-mlp"):
        for seed in range(3):
            put(store[1], suite, method, seed, 0.8)
    out = run("run", suite, *store, "--workers", "1")
    assert "0 to run, 0.0 core-hours at most" in out
    assert "0 searches run, 6 known before" in out


@pytest.mark.slow
def test_a_contest_that_was_killed_goes_on_and_tells_what_fails(contest):
    import os
    import signal
    import subprocess
    import sys
    import time

    from archwright.bench.store import BenchStore

    suite, *store = contest
    words = ["run", suite, *store, "--methods", "boosting,boosting(wrong=1)", "--seeds", "2", "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "archwright", "bench", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while not (os.path.exists(f"{store[1]}/contests") and BenchStore(store[1]).settings(suite)):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    out = run(*words, code=1)
    assert "1 known before" in out
    assert "1 searches run" in out
    assert "boosting(wrong=1) on made-up, 20s, seed 0: " in out
    assert "unrecognized arguments: --wrong 1" in out
    assert "2" in run("table", suite, *store)
