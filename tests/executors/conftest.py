from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from archwright.executors import Executor, Job, Update
from archwright.problem import Architecture, Objective, Problem, Proposal, Signature


@pytest.fixture
def workloads(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("executor_workloads")


@pytest.fixture
def problem() -> Problem:
    space: Any = SimpleNamespace(name="toy")
    return Problem(space, Signature(((3,),), (2,)), (Objective("accuracy"),))


@pytest.fixture
def run() -> Any:
    def run(
        executor: Executor, count: int, seconds: float | None = None, patience: float = 60.0
    ) -> dict[int, list[Update]]:
        """Carries out that many jobs and returns the updates of each."""
        news: dict[int, list[Update]] = {}
        submitted = 0
        while submitted < count or executor.running:
            while executor.free and submitted < count:
                executor.submit(job(submitted, seconds=seconds))
                submitted += 1
            updates = executor.poll(patience)
            assert updates, f"nothing heard of {executor.running} in {patience} s"
            for update in updates:
                news.setdefault(update.trial, []).append(update)
        return news

    return run


def job(trial: int, **fields: Any) -> Job:
    return Job(trial, Proposal(Architecture((("a", trial),))), seed=trial, **fields)


@pytest.fixture(name="job")
def _job() -> Any:
    return job
