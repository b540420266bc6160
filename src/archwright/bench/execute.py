"""Runs what is not recorded yet of a suite, in parallel processes."""

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

from archwright.bench.cases import Case, ContestCase, Suite, TableCase
from archwright.bench.contest import Entry, fits, hold, parse_method, prepared
from archwright.bench.run import Trajectory, run_case
from archwright.bench.specs import Spec, parse_strategy
from archwright.bench.store import BenchStore, Setting
from archwright.bench.suites import get_suite
from archwright.bench.training import run_training
from archwright.errors import ArchwrightError, BudgetError
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
        specs: Strategies, or methods of a contest; none: those that each contest runs by default.
        seeds: Seeds.
        store: Where records are; those of an older code of a strategy do not count.
        name: How the suite is found by :func:`get_suite`; default: its own name.
        budget: What a search may spend; default: the case's own.
        at_once: Evaluations at once in a search; in a contest, the cores of a method.
        data: Folder of the tables.
        cases: Names of cases; default: all.
    """
    jobs, known = [], 0
    for case in [suite.case(one) for one in cases] or suite.cases:
        digest = data_digest(case, data)
        for spent, spec in _each(case, specs, budget, data, store):
            setting = Setting(name or suite.name, case.name, spec.text, str(spent), at_once, digest)
            done = store.done(setting, spec.code) & set(seeds)
            known += len(done)
            jobs += [
                Job(setting, seed, spec.code, spent, data, str(store.folder)) for seed in seeds if seed not in done
            ]
    return sorted(jobs, key=lambda job: job.seed), known


def _each(
    case: Case, specs: Sequence[Spec], budget: Budget | None, data: str | None, store: BenchStore
) -> Iterator[tuple[Budget, Spec]]:
    """Budgets and strategies of a case; in a contest the methods that take its data, by default its own.

    Raises:
        DataError: If the data of a contest are missing.
    """
    if not isinstance(case, ContestCase):
        yield from ((budget or case.budget, spec) for spec in specs)
        return
    prepared(case, data, store.folder)
    methods = list(specs) or [parse_method(text) for text in case.methods]
    for spent in [budget] if budget else case.budgets:
        yield from ((spent, method) for method in methods if fits(method, case))


def run(job: Job) -> tuple[Setting, int, str, Trajectory]:
    """Runs a search; what it returns is its record."""
    setting = job.setting
    case, spec = get_suite(setting.suite).case(setting.case), parse_strategy(setting.strategy)
    if isinstance(case, ContestCase):
        raise BudgetError(f"The suite {setting.suite!r} runs whole methods, several beside each other; use execute.")
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
        processes: How many run at once, each in a process of its own; 1 runs searches here.
        heard: Called after each.

    Returns:
        The searches that failed.
    """
    failures = []
    contest = bool(jobs) and get_suite(jobs[0].setting.suite).is_contest
    way = _contests if contest else _parallel if processes > 1 else _here
    for job, result in way(jobs, processes):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            store.add([result])
        heard(job)
    return failures


Done = tuple[Job, tuple[Setting, int, str, Trajectory] | Failure]


def _here(jobs: Sequence[Job], processes: int) -> Iterator[Done]:
    for job in jobs:
        yield job, _attempt(job)


def _contests(jobs: Sequence[Job], processes: int) -> Iterator[Done]:
    suites = {job.setting.suite: get_suite(job.setting.suite) for job in jobs}
    entries = []
    for job in jobs:
        one = job.setting
        case, method = suites[one.suite].case(one.case), parse_method(one.strategy)
        assert isinstance(case, ContestCase)
        entries.append(Entry(case, method, job.seed, job.budget, one.workers, job.data, Path(job.folder)))
    for number, found in hold(entries, processes):
        job = jobs[number]
        if isinstance(found, ArchwrightError):
            yield job, Failure(job, str(found))
        else:
            yield job, (job.setting, job.seed, job.code, found)


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
