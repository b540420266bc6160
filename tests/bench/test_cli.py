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
