from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from archwright.bench import ContestCase, Files, contest
from archwright.bench.contest import Entry, core_sets, fits, hold, parse_method, parse_methods
from archwright.errors import BudgetError, EvaluationError, StrategyError
from archwright.problem import Budget

CORES = sorted(os.sched_getaffinity(0))
BUDGET = Budget(seconds=30.0)


def case(modality="tabular", prepare=lambda data, folder: Files("train.csv", "test.csv", "y")):
    return ContestCase("made-up", prepare, modality, "accuracy", (BUDGET,), ("boosting",), "boosting")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program of the test's own in the place of every method for tables."""

    def write(text):
        path = tmp_path / "program.py"
        path.write_text("import json, os, sys, time\n" + textwrap.dedent(text))
        for name in ("boosting", "sklearn-mlp"):
            monkeypatch.setitem(contest.SCRIPTS, name, (path, "tabular"))

    return write


def entry(folder, method="boosting", seed=0, workers=1, budget=BUDGET):
    return Entry(case(), parse_method(method), seed, budget, workers, None, folder)


def test_each_runs_on_a_core_of_its_own_with_one_thread(tmp_path, program):
    program(
        """
        time.sleep(0.3)
        (core,) = os.sched_getaffinity(0)
        print(json.dumps({"accuracy": 0.5, "core": core, "threads": int(os.environ["OMP_NUM_THREADS"])}))
        """
    )
    before = os.sched_getaffinity(0)
    count = min(2, len(CORES))
    found = dict(hold([entry(tmp_path, seed=seed) for seed in range(4)], count))
    assert sorted(found) == [0, 1, 2, 3]
    assert {one.final["core"] for one in found.values()} == set(CORES[:count])
    assert all(one.final["test accuracy"] == 0.5 and one.final["threads"] == 1 for one in found.values())
    assert all(0.3 <= one.seconds[0] < 30 for one in found.values())
    assert os.sched_getaffinity(0) == before


def test_cores_are_not_shared():
    assert core_sets(1, len(CORES)) == [CORES]
    sets = core_sets(len(CORES), 1)
    assert sorted(core for one in sets for core in one) == CORES
    with pytest.raises(BudgetError, match=f"2 at once of {len(CORES)} cores each; this process may use"):
        core_sets(2, len(CORES))


def test_a_method_gets_the_files_its_time_its_seed_and_its_options(tmp_path, program, monkeypatch):
    program("json.dump(sys.argv[1:], open('words.json', 'w')); print(json.dumps({'accuracy': 1}))")
    monkeypatch.chdir(tmp_path)
    ((_, found),) = hold([entry(tmp_path, "boosting(depth=3)", seed=7)], 1)
    words = ["boosting", "train.csv", "test.csv", "y", "30", "--kind", "classification", "--seed", "7", "--depth", "3"]
    assert found.final == {"test accuracy": 1.0}
    assert json.loads((tmp_path / "words.json").read_text()) == words


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ValueError('no such column')", "ValueError: no such column"),
        ("print('about 90 percent')", "about 90 percent"),
        ("print(json.dumps({'r2': 0.5}))", "r2"),
        ("print(json.dumps({'accuracy': 0.5}), flush=True); os._exit(3)", "accuracy"),
        ("", "(nothing)"),
    ],
)
def test_a_method_that_fails_says_why(tmp_path, program, text, reason):
    program(text)
    ((_, found),) = hold([entry(tmp_path)], 1)
    assert isinstance(found, EvaluationError)
    assert reason in str(found)
    assert "output.txt" in str(found)


def test_one_that_does_not_end_is_ended_with_all_it_started(tmp_path, program, monkeypatch):
    program(
        """
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
        open(os.path.join(os.path.dirname(sys.argv[0]), "pid"), "w").write(str(child.pid))
        time.sleep(100)
        """
    )
    monkeypatch.setattr(contest, "GRACE", 2.0)
    ((_, found),) = hold([entry(tmp_path, budget=Budget(seconds=1.0))], 1)
    assert "of a budget of 1 s, and was ended" in str(found)
    assert ended(int((tmp_path / "pid").read_text()))


def test_what_runs_is_ended_with_the_contest(tmp_path, program):
    program("open(os.path.join(os.path.dirname(sys.argv[0]), 'pid'), 'w').write(str(os.getpid())); time.sleep(100)")
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, {tests!r}); import test_contest as t\n"
        "t.contest.SCRIPTS['boosting'] = (Path({program!r}), 'tabular')\n"
        "list(t.hold([t.entry(Path({folder!r}))], 1))"
    ).format(tests=os.path.dirname(__file__), program=str(tmp_path / "program.py"), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert ended(int((tmp_path / "pid").read_text()))


def ended(pid, within=10.0):
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_an_unlimited_budget_is_an_error(tmp_path):
    ((_, found),) = hold([entry(tmp_path, budget=Budget(trials=3))], 1)
    assert "expected a time" in str(found)


def test_methods_are_strategies_and_programs():
    methods = parse_methods("auto, hand-made(width=0.75), optuna:TPESampler, boosting")
    assert [one.text for one in methods] == ["auto", "hand-made(width=0.75)", "optuna:TPESampler", "boosting"]
    assert [fits(one, case("image")) for one in methods] == [True, True, True, False]
    assert [fits(one, case("tabular")) for one in methods] == [True, False, True, True]
    codes = [one.code for one in methods]
    assert codes[0] == codes[2]
    assert len(set(codes)) == 3
    with pytest.raises(StrategyError, match="Or one of the methods hand-made, boosting"):
        parse_method("hand-mad")


def test_what_is_said_of_code_does_not_change_its_digest(tmp_path):
    from archwright.bench.code import code_of_files

    texts = {"plain": "def f(x):\n    return x\n", "said": 'def f(x):\n    "It."\n    # so\n    return (x)\n'}
    for name, text in {**texts, "other": "def f(x):\n    return -x\n"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    plain, said, other = (code_of_files(tmp_path / f"{name}.py") for name in ("plain", "said", "other"))
    assert plain == said != other


@pytest.mark.slow
@pytest.mark.parametrize("method", ["boosting", "boosting-tuned", "sklearn-mlp", "random"])
def test_methods_for_tables_answer(tmp_path, method):
    rng = np.random.default_rng(0)
    lines = [f"{x:.3f},{'abc'[n % 3]},{int(x > 0)}" for n, x in enumerate(rng.normal(size=400))]
    for name, part in (("train", lines[:300]), ("test", [*lines[300:-1], "0.9,new,1"])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["x,kind,y", *part]))
    files = Files(str(tmp_path / "train.csv"), str(tmp_path / "test.csv"), "y")
    one = Entry(case(prepare=lambda *_: files), parse_method(method), 0, Budget(seconds=40.0), 1, None, tmp_path)
    ((_, found),) = hold([one], 1)
    assert found.final["test accuracy"] > 0.9
    assert (found.final["rows"], found.final["test_rows"]) == (300, 100)


@pytest.mark.slow
def test_the_hand_made_network_learns_digits_in_its_time(tmp_path):
    from archwright.bench import get_suite

    digits = get_suite("value").case("digits")
    one = Entry(digits, parse_method("hand-made"), 0, Budget(seconds=25.0), 1, None, tmp_path)
    ((_, found),) = hold([one], 1)
    assert found.final["test accuracy"] > 0.9
    assert json.loads(json.dumps(found.final))["rows"] == 1437
