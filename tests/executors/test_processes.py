from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from archwright.errors import EvaluationError
from archwright.executors import Processes, child, processes
from archwright.problem import Problem


def wait_until_gone(pids: list[int], seconds: float = 10.0) -> list[int]:
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(map(lives, pids)):
        time.sleep(0.02)
    return [pid for pid in pids if lives(pid)]


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def started(others: list[psutil.Process]) -> list[psutil.Process]:
    """The children of this process besides others, such as those that libraries leave in the background."""
    return [process for process in psutil.Process().children() if process not in others]


def kinds(updates: list[Any]) -> list[str]:
    return [update.kind for update in updates]


def test_two_hundred_jobs_go_through_two_workers_quickly(workloads: ModuleType, problem: Problem, run: Any) -> None:
    others = psutil.Process().children()
    with Processes(workloads.number, problem, 2) as executor:
        run(executor, 2)
        overheads = []
        for _ in range(10):
            begun = time.perf_counter()
            news = run(executor, 20)
            overheads.append((time.perf_counter() - begun) / 20)
        mine = started(others)
    assert len(news) == 20
    for trial, updates in news.items():
        assert kinds(updates) == ["measured", "finished"]
        assert updates[0].measurement.values == {"accuracy": trial + trial / 1000}
    assert min(overheads) < 0.001  # 0.2 ms on a quiet machine
    assert 1 <= len(mine) <= 2
    assert not wait_until_gone([process.pid for process in mine])
    assert not [process for process in psutil.Process().children() if process in mine]  # no zombies


def test_workers_see_their_environment_and_nothing_else_of_ours(
    workloads: ModuleType, problem: Problem, run: Any
) -> None:
    with Processes(workloads.environment, problem, 1, {"ARCHWRIGHT_TEST_NUMBER": "0.25"}) as executor:
        values = run(executor, 1)[0][0].measurement.values
    assert values.pop("pid") != os.getpid()
    assert values == {"accuracy": 0.25, "stdin": 0.0, "torch": 0.0, "ignores_interrupt": 1.0}
    assert "ARCHWRIGHT_TEST_NUMBER" not in os.environ


def test_functions_of_a_script_or_notebook_travel_by_value(problem: Problem, run: Any) -> None:
    offset = 0.25
    with Processes(lambda *_: offset, problem, 1) as executor:
        assert run(executor, 1)[0][0].measurement.values == {"accuracy": 0.25}


def test_errors_fail_the_trial_and_the_worker_goes_on(workloads: ModuleType, problem: Problem, run: Any) -> None:
    others = psutil.Process().children()
    with Processes(workloads.boom, problem, 1) as executor:
        news = run(executor, 3)
        assert len(started(others)) == 1
    assert [kinds(updates) for updates in news.values()] == [["failed"]] * 3
    assert "ValueError: option 2 (executor_workloads.py:" in news[2][0].reason


@pytest.mark.parametrize("how", ["kill", "crash", "exit", "sys.exit"])
def test_a_worker_that_dies_once_costs_nothing_but_time(
    how: str, workloads: ModuleType, problem: Problem, run: Any, tmp_path: Path
) -> None:
    with Processes(workloads.Dies(tmp_path, how, 1), problem, 1) as executor:
        news = run(executor, 2)
    for trial in (0, 1):
        assert kinds(news[trial]) == ["measured"] * 4 + ["finished"]
        assert [update.measurement.values["accuracy"] for update in news[trial][:4]] == [0.0, 0.1, 0.2, 0.3]
        assert news[trial][-1].seconds > 0.05  # the lost attempt counts
        assert (tmp_path / f"{trial}.attempts").read_text() == "xx"


def test_a_trial_whose_worker_died_goes_on_from_what_it_left(
    workloads: ModuleType, problem: Problem, run: Any, tmp_path: Path
) -> None:
    with Processes(workloads.GoesOn(tmp_path, "kill", 1), problem, 1) as executor:
        news = run(executor, 1)
    assert kinds(news[0]) == ["measured"] * 4 + ["finished"]
    assert [update.measurement.epoch for update in news[0][:4]] == [0, 1, 2, 3]
    seconds = [update.measurement.seconds for update in news[0][:4]]
    assert seconds[:2] == [1.0, 1.0]
    assert seconds[2] == seconds[3] > 1.15  # the attempt that was lost counts in full, for time may be limited
    assert (tmp_path / "epochs").read_text() == "01" + "123"


@pytest.mark.parametrize(
    ("how", "cause"), [("kill", "signal 9 (Killed), perhaps because memory ran out"), ("exit", "status 3")]
)
def test_a_worker_that_dies_twice_fails_the_trial(
    how: str, cause: str, workloads: ModuleType, problem: Problem, run: Any, tmp_path: Path
) -> None:
    with Processes(workloads.Dies(tmp_path, how, 2), problem, 2) as executor:
        news = run(executor, 1)
    assert kinds(news[0]) == ["measured"] * 2 + ["failed"]
    assert cause in news[0][-1].reason
    assert "2 times" in news[0][-1].reason
    assert "going down" in news[0][-1].reason
    assert (tmp_path / "0.attempts").read_text() == "xx"


def test_an_idle_worker_that_was_killed_is_replaced(workloads: ModuleType, problem: Problem, run: Any) -> None:
    others = psutil.Process().children()
    with Processes(workloads.number, problem, 1) as executor:
        run(executor, 1)
        for process in started(others):
            process.kill()
        assert kinds(run(executor, 2)[1]) == ["measured", "finished"]


def test_a_hanging_trial_fails_at_its_deadline_and_is_not_repeated(
    workloads: ModuleType, problem: Problem, run: Any
) -> None:
    with Processes(workloads.hang, problem, 2) as executor:
        begun = time.monotonic()
        news = run(executor, 2, seconds=0.3)
        assert time.monotonic() - begun < 10
    for trial in (0, 1):
        assert kinds(news[trial]) == ["measured", "failed"]
        assert news[trial][1].reason == "It took longer than the 0.3 s it was given."
        assert 0.3 <= news[trial][1].seconds < 5


def test_a_stop_takes_effect_between_measurements_and_keeps_the_worker(
    workloads: ModuleType, problem: Problem, job: Any
) -> None:
    with Processes(workloads.slow, problem, 1) as executor:
        executor.submit(job(0))
        executor.poll(30)
        workers = psutil.Process().children()
        executor.stop(5, "not running")
        executor.stop(0, "hopeless")
        assert executor.free == 0
        updates = executor.poll(30)
        assert [(update.kind, update.reason) for update in updates] == [("stopped", "hopeless")]
        assert executor.free == 1
        executor.submit(job(1))
        assert executor.poll(30)[0].kind == "measured"
        assert psutil.Process().children() == workers


def test_a_stop_that_is_not_heard_is_enforced(
    workloads: ModuleType, problem: Problem, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.3)
    with Processes(workloads.hang, problem, 1) as executor:
        executor.submit(job(0))
        assert kinds(executor.poll(30)) == ["measured"]
        executor.stop(0, "hopeless")
        assert [(update.kind, update.reason) for update in executor.poll(30)] == [("stopped", "hopeless")]


def test_what_cannot_be_sent_is_refused_at_once(problem: Problem) -> None:
    lock = threading.Lock()
    with pytest.raises(EvaluationError, match="cannot be sent to worker processes: TypeError: cannot pickle"):
        Processes(lambda *_: float(lock.locked()), problem, 1)


def test_what_cannot_be_loaded_is_an_error_and_no_endless_loop(
    workloads: ModuleType, problem: Problem, run: Any
) -> None:
    with (
        Processes(workloads.Unloadable(), problem, 1) as executor,
        pytest.raises(EvaluationError, match=r"Workers cannot start: (.|\n)*no number"),
    ):
        run(executor, 1)


def test_workers_that_cannot_start_are_an_error_with_their_output(
    workloads: ModuleType, problem: Problem, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "COMMAND", "raise SystemExit('no such luck')")
    with (
        Processes(workloads.number, problem, 2) as executor,
        pytest.raises(EvaluationError, match=r"status 1.*no such luck"),
    ):
        run(executor, 2)


def test_slots_are_kept(workloads: ModuleType, problem: Problem, job: Any) -> None:
    with Processes(workloads.slow, problem, 1) as executor:
        executor.submit(job(0))
        with pytest.raises(EvaluationError, match="at most 1"):
            executor.submit(job(1))
        begun = time.monotonic()
        while time.monotonic() - begun < 0.2:
            executor.poll(0.01)
        assert time.monotonic() - begun < 2
    with pytest.raises(EvaluationError, match="0 workers"):
        Processes(workloads.slow, problem, 0)


def test_closing_ends_also_what_the_evaluator_started(
    workloads: ModuleType, problem: Problem, job: Any, tmp_path: Path
) -> None:
    file = tmp_path / "pids"
    with Processes(workloads.Spawns(file), problem, 1) as executor:
        executor.submit(job(0))
        while not file.exists() or not file.read_text():
            executor.poll(0.05)
    pids = [int(pid) for pid in file.read_text().split()]
    assert len(pids) == 2
    assert not wait_until_gone(pids)


SCRIPT = """
    import time
    from types import SimpleNamespace
    from archwright.executors import Job, Processes
    from archwright.problem import *

    def evaluator(proposal, problem, seed):
        yield 0.25
        time.sleep({nap})

    problem = Problem(SimpleNamespace(name="toy"), Signature(((3,),), (2,)), (Objective("accuracy"),))
    with Processes({evaluator}, problem, 2) as executor:
        for trial in range(2):
            executor.submit(Job(trial, Proposal(Architecture((("a", 0),))), 0))
        while executor.running:
            for update in executor.poll(30):
                print(update.trial, update.kind, update.reason, flush=True)
"""


def script(folder: Path, evaluator: str = "evaluator", nap: float = 0.0) -> Path:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(SCRIPT).format(evaluator=evaluator, nap=nap))
    return path


def test_a_script_without_a_main_guard_works(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, script(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    expected = ["0 finished None", "0 measured None", "1 finished None", "1 measured None"]
    assert sorted(done.stdout.splitlines()) == expected, done.stderr


def test_a_module_that_starts_a_search_when_imported_is_told_so(tmp_path: Path) -> None:
    path = script(tmp_path, evaluator="__import__('script').evaluator")
    command = [sys.executable, "-c", "import script"]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "__main__" in done.stderr.splitlines()[-1]


def test_workers_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, script(tmp_path, nap=600)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert sorted(parent.stdout.readline() for _ in range(2)) == ["0 measured None\n", "1 measured None\n"]
    workers = [process.pid for process in psutil.Process(parent.pid).children()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert not wait_until_gone(workers)
