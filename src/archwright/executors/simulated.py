"""Evaluations on a simulated clock: each takes the seconds that its measurements say."""

from __future__ import annotations

import heapq
import math
from typing import Any, Self

from archwright.errors import EvaluationError, LedgerError
from archwright.executors.base import Job, Update, as_measurement, check_final, overdue, reason, steps
from archwright.problem import Evaluator, Measurement, Problem


class Simulated:
    """Several workers in simulated time, in this process and without threads.

    Evaluations happen at once when they are submitted; what is heard of them, and when, follows the seconds of their measurements. The
    clock goes from one update to the next, and not beyond its limit: what would end later is still running then.

    Args:
        evaluator: What is run: a cheap one, such as a table.
        problem: What it is run for.
        workers: Evaluations at once.
        limit: Seconds at which the clock stops; ``None`` means never.
    """

    def __init__(self, evaluator: Evaluator, problem: Problem, workers: int = 1, limit: float | None = None) -> None:
        self._evaluator, self._problem, self._workers = evaluator, problem, workers
        self._limit = math.inf if limit is None else limit
        self._news: list[tuple[float, int, int, Update]] = []
        self._running: dict[int, float] = {}
        self.now = 0.0

    @property
    def free(self) -> int:
        """How many more jobs can be submitted now."""
        return self._workers - len(self._running)

    @property
    def running(self) -> tuple[int, ...]:
        """The trials that are submitted and not done, in the order of submission."""
        return tuple(self._running)

    def submit(self, job: Job) -> None:
        """Accepts a job.

        Raises:
            EvaluationError: Where no worker is free.
            LedgerError: Where the evaluator cannot store its results.
        """
        if self.free < 1:
            raise EvaluationError(
                f"Got trial {job.trial} while {len(self._running)} are running; expected at most {self._workers} at a time. Call poll() until one is done."
            )
        self._running[job.trial] = self.now
        for count, update in enumerate(self._updates(job)):
            heapq.heappush(self._news, (self.now + update.seconds, job.trial, count, update))

    def _updates(self, job: Job) -> list[Update]:
        """All that will be heard of a job, each with the seconds after which it is."""
        found: list[Update] = []
        last: Measurement | None = None
        seconds, count = 0.0, 0
        try:
            for value in steps(self._evaluator(job.proposal, self._problem, job.seed)):
                last = as_measurement(value, self._problem, seconds)
                seconds, count = last.seconds, count + 1
                if job.seconds is not None and seconds > job.seconds:
                    return [*found, Update(job.trial, "failed", reason=overdue(job), seconds=job.seconds)]
                if count > job.skip:
                    found.append(Update(job.trial, "measured", last, seconds=seconds))
            check_final(last, self._problem)
        except LedgerError:
            raise
        except Exception as error:
            return [*found, Update(job.trial, "failed", reason=reason(error), seconds=seconds)]
        return [*found, Update(job.trial, "finished", seconds=seconds)]

    def poll(self, timeout: float | None = None) -> list[Update]:
        """Moves the clock to the next update and returns what is heard by then; ``timeout``, in real seconds, has no effect.

        Nothing where nothing runs, or the clock has reached its limit.
        """
        if not self._news:
            return []
        self.now = min(max(self.now, self._news[0][0]), self._limit)
        heard = []
        while self._news and self._news[0][0] <= self.now:
            heard.append(heapq.heappop(self._news)[3])
            if heard[-1].kind != "measured":
                del self._running[heard[-1].trial]
        return heard

    def stop(self, trial: int, reason: str, grace: float = 0.0) -> None:
        """Ends a trial now: the next poll gives ``stopped``. Nothing happens where it is not running."""
        if trial not in self._running:
            return
        update = Update(trial, "stopped", reason=reason, seconds=self.now - self._running[trial])
        self._news = [news for news in self._news if news[1] != trial]
        self._news.append((self.now, trial, 0, update))
        heapq.heapify(self._news)

    def close(self) -> None:
        """Ends everything that still runs, without updates."""
        self._news.clear()
        self._running.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
