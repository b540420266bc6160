"""Evaluations in worker processes that may hang, crash or run out of memory without harm to the search.

Why not ``multiprocessing`` or ``concurrent.futures``: their spawned workers run the user's script again (a script without a main guard
then starts itself over and over; a notebook's functions are not found), and a killed worker breaks a pool or leaves a shared queue
locked. Here a worker is a plain ``python -c`` with one pipe of its own; the evaluator goes to it once, by cloudpickle, which carries
functions defined in a script or notebook by value.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing import connection
from pathlib import Path
from typing import Any, Final, Self

import cloudpickle  # type: ignore[import-untyped]

from archwright.errors import EvaluationError, LedgerError
from archwright.executors.base import Job, Update, overdue, refuse_in_worker
from archwright.executors.child import Child, Task
from archwright.problem import Evaluator, Problem

START_SECONDS: Final = 120.0
"""How long a worker may take to start and load the evaluator."""

GRACE_SECONDS: Final = 10.0
"""How long a stopped trial may take to reach its next measurement before its worker is killed."""

ATTEMPTS: Final = 2
"""How often a trial is begun whose worker dies."""


class Processes:
    """Runs up to ``workers`` evaluations at once, each in a process of its own that is used again for the next.

    A worker that dies is replaced, and its trial is begun once more (from what it left to go on from), then failed with the cause. A trial past its deadline fails and its
    worker is killed. Workers ignore Ctrl-C, see no standard input, and die with this process. What they print is kept aside; its last
    line becomes part of the reason where one dies. POSIX only (Linux, macOS).

    Args:
        evaluator: What is run. Sent to each worker once.
        problem: What it is run for. Sent along.
        workers: How many processes.
        environment: Environment variables of the workers, in addition to those of this process.

    Raises:
        EvaluationError: Where the evaluator or the problem cannot be sent to another process.
    """

    def __init__(
        self, evaluator: Evaluator, problem: Problem, workers: int, environment: Mapping[str, str] | None = None
    ) -> None:
        refuse_in_worker()
        if os.name != "posix":
            raise EvaluationError(
                "Worker processes need Linux or macOS. Use one worker here, or the Windows Subsystem for Linux."
            )
        if workers < 1:
            raise EvaluationError(f"Got {workers} workers; expected 1 or more.")
        self._limit, self._environment = workers, dict(environment or {})
        self._workers: list[Child] = []
        self._tasks: dict[int, Task] = {}
        self._updates: list[Update] = []
        self._born, self._failures = 0, 0
        self._unstored: str | None = None
        content = pickle.dumps(sys.path) + _pickled(evaluator, problem)
        self._folder = tempfile.TemporaryDirectory(prefix="archwright-")
        (Path(self._folder.name) / "evaluator").write_bytes(content)

    @property
    def free(self) -> int:
        """How many more jobs can be submitted now."""
        return self._limit - len(self._tasks)

    @property
    def running(self) -> tuple[int, ...]:
        """The trials that are submitted and not done."""
        return tuple(self._tasks)

    def submit(self, job: Job) -> None:
        """Hands a job to a worker, starting one where none is idle.

        Raises:
            EvaluationError: Where no slot is free.
        """
        if self.free < 1 or job.trial in self._tasks:
            raise EvaluationError(
                f"Got trial {job.trial} while trials {self.running} are running; expected another one, at most {self._limit} at a time."
            )
        self._tasks[job.trial] = task = Task(job)
        self._assign(task)

    def _assign(self, task: Task) -> None:
        for worker in [worker for worker in self._workers if worker.task is None]:
            if worker.process.poll() is None:
                break
            self._discard(worker)
        else:
            self._born += 1
            worker = Child(Path(self._folder.name), self._born, self._environment)
            self._workers.append(worker)
        worker.task = task
        task.begun = time.monotonic() if worker.ready else None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died just now: poll() sees that
            worker.pipe.send(task.job)

    def poll(self, timeout: float | None = None) -> list[Update]:
        """News since the last call, waiting up to ``timeout`` seconds (``None``: for as long as something runs) for the first.

        Raises:
            EvaluationError: Where workers cannot start or load the evaluator.
            LedgerError: Where the evaluator cannot store its results: no other trial could either.
        """
        until = float("inf") if timeout is None else time.monotonic() + timeout
        wait = 0.0
        while True:
            by_pipe = {worker.pipe: worker for worker in self._workers}
            for pipe in connection.wait(list(by_pipe), wait) if by_pipe else ():
                self._receive(by_pipe[pipe])  # type: ignore[index]
            self._watch()
            now = time.monotonic()
            if self._updates or self._unstored or not self._tasks or now >= until:
                break
            nearest = min(task.due for task in self._tasks.values())
            wait = max(
                0.0, min(1.0, until - now, nearest - now)
            )  # a look once a second finds a worker whose children keep its pipe open
        if self._unstored and not self._updates:  # what others have finished is told first
            raise LedgerError(self._unstored)
        updates, self._updates = self._updates, []
        return updates

    def _receive(self, worker: Child) -> None:
        try:
            while worker in self._workers and worker.pipe.poll():
                self._hear(worker, *worker.pipe.recv())
        except (EOFError, OSError):
            self._bury(worker)

    def _hear(self, worker: Child, kind: str, content: Any) -> None:
        task = worker.task
        if kind == "ready":
            worker.ready, self._failures = True, 0
            if task is not None:
                task.begun = time.monotonic()
        elif kind == "broken":
            worker.broken = content
        elif kind == "measured" and task is not None:
            trial, measurement, seconds = content
            task.job = task.job.after(measurement)
            if task.stopping is None:
                self._updates.append(Update(trial, "measured", measurement, seconds=task.lost + seconds))
        elif kind == "done" and task is not None:
            _, how, why, seconds = content
            if how == "unstored":
                self._unstored = why
                return
            worker.task = None
            self._finish(task, how, why, seconds)

    def _finish(self, task: Task, how: Any, why: str | None, seconds: float) -> None:
        if task.stopping is not None:
            how, why = "stopped", task.stopping
        del self._tasks[task.job.trial]
        self._updates.append(Update(task.job.trial, how, reason=why, seconds=task.lost + seconds))

    def _watch(self) -> None:
        """Ends what is overdue and buries what died unheard."""
        now = time.monotonic()
        for worker in list(self._workers):
            task = worker.task
            if worker not in self._workers:
                continue
            if worker.process.poll() is not None and not worker.pipe.poll():
                self._bury(worker)
            elif not worker.ready and now - worker.born > START_SECONDS:
                worker.broken = f"It did not start within {START_SECONDS:.0f} s."
                self._bury(worker)
            elif task is not None and now >= task.due:
                self._discard(worker)
                self._finish(
                    task, "failed", task.stopping or overdue(task.job), now - task.begun if task.begun else 0.0
                )

    def _bury(self, worker: Child) -> None:
        """Cleans up after a worker that died, and begins its trial once more or fails it."""
        self._discard(worker)
        task = worker.task
        seconds = time.monotonic() - task.begun if task is not None and task.begun else 0.0
        if not worker.ready:
            self._failures += 1
            if self._failures >= ATTEMPTS:
                raise EvaluationError(f"Workers cannot start: {worker.broken.strip() or worker.cause()}")
        elif task is not None:
            task.attempts += 1
        if task is None:
            return
        if task.stopping is not None or task.attempts > ATTEMPTS:
            self._finish(task, "failed", f"{worker.cause()} This happened {ATTEMPTS} times.", seconds)
        else:
            task.begin_again(seconds)
            self._assign(task)

    def _discard(self, worker: Child) -> None:
        worker.kill()
        self._workers.remove(worker)

    def stop(self, trial: int, reason: str, grace: float = GRACE_SECONDS) -> None:
        """Ends a trial early: at its next measurement, or by force after ``grace`` seconds. Nothing happens where it is not running."""
        task = self._tasks.get(trial)
        if task is None or task.stopping is not None:
            return
        task.stopping, task.stop_by = reason, time.monotonic() + grace
        for worker in self._workers:
            if worker.task is task:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    worker.pipe.send(trial)

    def close(self) -> None:
        """Ends all workers, whatever they are doing, without updates."""
        for worker in list(self._workers):
            self._discard(worker)
        self._tasks.clear()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _pickled(evaluator: Evaluator, problem: Problem) -> bytes:
    try:
        content: bytes = cloudpickle.dumps((evaluator, problem))
    except Exception as error:
        raise EvaluationError(
            f"The evaluator ({evaluator!r:.100}) or the problem cannot be sent to worker processes: {type(error).__name__}: {error}. "
            "Expected functions and values that can be pickled: no open files, locks, generators or database connections in them; "
            "open such things inside the evaluator. Or use one worker."
        ) from error
    return content
