"""Runs the searches of a suite that are not recorded yet, in parallel processes."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from archwright.bench.cases import Case, Suite, TableCase
from archwright.bench.code import code_of
from archwright.bench.run import Trajectory, run_case
from archwright.bench.specs import Spec, parse_strategy
from archwright.bench.store import BenchStore, Setting
from archwright.bench.suites import get_suite
from archwright.bench.training import run_training
from archwright.errors import ArchwrightError
from archwright.problem import Budget
from archwright.runtime import worker_environment


class Job(NamedTuple):
    """A search to be run.

    Attributes:
        setting: What it has in common with others.
        seed: Its seed.
        code: Digest of its strategy's code.
        budget: What it may spend.
        data: Folder of the tables.
        folder: Folder of the benchmarks, where searches that train keep their runs.
    """

    setting: Setting
    seed: int
    code: str
    budget: Budget
    data: str | None
    folder: str


class Failure(NamedTuple):
    """A search that could not be run, and why."""

    job: Job
    reason: str


def data_digest(case: Case, data: str | None) -> str:
    """Digest of what a case's results depend on in its table; empty where that is the seed alone.

    Raises:
        DataError: Where the table is missing; says how to get it.
    """
    if not isinstance(case, TableCase):
        return ""
    table = case.load(data, 0)
    seconds = () if case.seconds is None else (case.seconds,)
    return table.digest((*case.metrics.values(), *case.report.values(), *seconds))


def plan(
    suite: Suite,
    specs: Sequence[Spec],
    seeds: Sequence[int],
    store: BenchStore,
    *,
    name: str | None = None,
    budget: Budget | None = None,
    at_once: int = 1,
    data: str | None = None,
    cases: Sequence[str] = (),
) -> tuple[list[Job], int]:
    """The searches that are not recorded yet, seed by seed, and how many are.

    Args:
        suite: What is run.
        specs: Strategies.
        seeds: Seeds.
        store: Where records are; those of an older code of a strategy do not count.
        name: How the suite is found by :func:`get_suite`; default: its own name.
        budget: What a search may spend; default: the case's own.
        at_once: Evaluations at once in a search.
        data: Folder of the tables.
        cases: Names of cases; default: all.
    """
    jobs, known = [], 0
    for case in [suite.case(one) for one in cases] or suite.cases:
        digest = data_digest(case, data)
        for spec in specs:
            spent = budget or case.budget
            setting = Setting(name or suite.name, case.name, spec.text, str(spent), at_once, digest)
            code = code_of(spec.strategy)
            done = store.done(setting, code) & set(seeds)
            known += len(done)
            jobs += [Job(setting, seed, code, spent, data, str(store.folder)) for seed in seeds if seed not in done]
    return sorted(jobs, key=lambda job: job.seed), known


def run(job: Job) -> tuple[Setting, int, str, Trajectory]:
    """Runs a search; what it returns is its record."""
    setting = job.setting
    case, spec = get_suite(setting.suite).case(setting.case), parse_strategy(setting.strategy)
    if isinstance(case, TableCase):
        trajectory = run_case(case, spec.strategy, job.seed, job.budget, setting.workers, job.data)
    else:
        words = f"{case.name}-{setting.strategy}-{setting.budget}-{setting.workers}-{job.code[:6]}-seed{job.seed}"
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", words)
        folder = Path(job.folder) / "runs"
        trajectory = run_training(case, spec, job.seed, job.budget, setting.workers, folder, name)
    return setting, job.seed, job.code, trajectory


def execute(
    jobs: Sequence[Job], store: BenchStore, processes: int, heard: Callable[[Job], None] = lambda job: None
) -> list[Failure]:
    """Runs searches and records each as soon as it has ended.

    What was recorded stays, whatever happens; the same jobs planned again are those that were not.

    Args:
        jobs: What is run.
        store: Where it is recorded.
        processes: How many run at once, each in a process of its own; 1 runs them here.
        heard: Called after each.

    Returns:
        The searches that failed.
    """
    failures = []
    for job, result in _here(jobs) if processes == 1 else _parallel(jobs, processes):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            store.add([result])
        heard(job)
    return failures


Done = tuple[Job, tuple[Setting, int, str, Trajectory] | Failure]


def _here(jobs: Sequence[Job]) -> Iterator[Done]:
    for job in jobs:
        yield job, _attempt(job)


def _attempt(job: Job) -> tuple[Setting, int, str, Trajectory] | Failure:
    try:
        return run(job)
    except ArchwrightError as error:
        return Failure(job, str(error))


def _parallel(jobs: Sequence[Job], processes: int) -> Iterator[Done]:
    for name, value in worker_environment().items():
        os.environ.setdefault(name, value)
    left = iter(jobs)
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _enter_worker) as pool:
        running: dict[Future[tuple[Setting, int, str, Trajectory] | Failure], Job] = {}
        try:
            while True:
                for job in left:
                    running[pool.submit(_attempt, job)] = job
                    if len(running) >= 4 * processes:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _enter_worker() -> None:
    """Leaves Ctrl-C to the process that waits, and ends where that one has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
