"""One evaluation at a time, in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Self

from archwright.errors import EvaluationError, LedgerError
from archwright.executors.base import Job, Update, as_measurement, check_final, overdue, reason, steps
from archwright.problem import Evaluator, Measurement, Problem


class Serial:
    """Runs each evaluation step by step inside :meth:`poll`, which calls the user's function itself: no frame lies between.

    A deadline or a stop takes effect at the next measurement; a function that never returns can only be interrupted by Ctrl-C
    (``KeyboardInterrupt`` passes through). Where that is not enough, use :class:`~archwright.executors.Processes`.

    Args:
        evaluator: What is run.
        problem: What it is run for.
    """

    def __init__(self, evaluator: Evaluator, problem: Problem) -> None:
        self._evaluator, self._problem = evaluator, problem
        self._job: Job | None = None
        self._steps: Iterator[Any] | None = None
        self._last: Measurement | None = None
        self._count, self._seconds = 0, 0.0
        self._stopping: str | None = None

    @property
    def free(self) -> int:
        """How many more jobs can be submitted now: one or none."""
        return int(self._job is None)

    @property
    def running(self) -> tuple[int, ...]:
        """The trial that is submitted and not done."""
        return () if self._job is None else (self._job.trial,)

    def submit(self, job: Job) -> None:
        """Accepts a job.

        Raises:
            EvaluationError: Where one is running.
        """
        if self._job is not None:
            raise EvaluationError(
                f"Got trial {job.trial} while trial {self._job.trial} is running; expected at most one at a time. Call poll() until it is done."
            )
        self._job, self._steps, self._last, self._count, self._seconds, self._stopping = job, None, None, 0, 0.0, None

    def poll(self, timeout: float | None = None) -> list[Update]:
        """Runs until the next measurement that is not known yet, or the end of the trial; ``timeout`` has no effect.

        Raises:
            LedgerError: Where the evaluator cannot store its results: no other trial could either.
        """
        job = self._job
        if job is None:
            return []
        if self._stopping is not None:
            return [self._done("stopped", self._stopping)]
        begun = time.perf_counter()
        spent = self._seconds
        try:
            if self._steps is None:
                self._steps = steps(self._evaluator(job.proposal, self._problem, job.seed))
            while True:
                value = next(self._steps)
                self._seconds = spent + time.perf_counter() - begun
                self._last = as_measurement(value, self._problem, self._seconds)
                self._count += 1
                if self._count > job.skip:
                    break
        except StopIteration:
            self._seconds = spent + time.perf_counter() - begun
            try:
                check_final(self._last, self._problem)
            except EvaluationError as error:
                return [self._done("failed", str(error))]
            return [self._done("finished")]
        except LedgerError:
            raise
        except Exception as error:
            self._seconds = spent + time.perf_counter() - begun
            return [self._done("failed", reason(error))]
        measured = Update(job.trial, "measured", self._last, seconds=self._seconds)
        if job.seconds is not None and self._seconds > job.seconds:
            return [measured, self._done("failed", overdue(job))]
        return [measured]

    def _done(self, kind: Any, why: str | None = None) -> Update:
        assert self._job is not None
        update = Update(self._job.trial, kind, reason=why, seconds=self._seconds)
        self._end()
        return update

    def _end(self) -> None:
        generator, self._job, self._steps, self._last = self._steps, None, None, None
        close = getattr(generator, "close", None)
        if close is not None:
            close()

    def stop(self, trial: int, reason: str, grace: float = 0.0) -> None:
        """Ends the trial early: the next poll gives ``stopped``. Nothing happens where it is not running."""
        if trial in self.running:
            self._stopping = reason

    def close(self) -> None:
        """Ends what runs, without an update."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
