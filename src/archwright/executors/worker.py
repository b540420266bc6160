"""What a worker process does: read the evaluator once, then jobs until the pipe closes."""

from __future__ import annotations

import ctypes
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

from archwright.errors import LedgerError
from archwright.executors.base import Job, enter_worker, evaluate, reason

_PR_SET_PDEATHSIG = 1


def main(handle: int, parent: int, bound: bool) -> None:
    """Runs the worker; returns never.

    The evaluator and the problem come as one pickle from the standard input, jobs and stop requests through the pipe. A thread
    listens to the pipe all the time, so that a stop is seen between measurements and the end of the parent at once.

    Args:
        handle: File descriptor of the pipe.
        parent: Process id of the parent.
        bound: Whether the kernel shall end this process with the parent's thread that started it (Linux).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    enter_worker()
    pipe = Connection(handle)
    if bound and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    try:
        evaluator, problem = pickle.load(sys.stdin.buffer)
    except BaseException:
        pipe.send(("broken", traceback.format_exc(limit=-4)))
        os._exit(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    stopped: set[int] = set()
    threading.Thread(target=_listen, args=(pipe, jobs, stopped), daemon=True).start()
    pipe.send(("ready", None))
    while True:
        job = jobs.get()
        pipe.send(("done", _run(job, evaluator, problem, pipe, stopped)))


def _listen(pipe: Connection, jobs: queue.SimpleQueue[Job], stopped: set[int]) -> None:
    try:
        while True:
            message = pipe.recv()
            if isinstance(message, Job):
                stopped.discard(message.trial)
                jobs.put(message)
            else:
                stopped.add(message)
    except (EOFError, OSError):
        os.killpg(
            os.getpgrp(), signal.SIGKILL
        )  # the parent is gone or does not want us: end, with whatever the evaluator started


def _run(
    job: Job, evaluator: Any, problem: Any, pipe: Connection, stopped: set[int]
) -> tuple[int, str, str | None, float]:
    """Evaluates; sends each measurement that is not known yet; returns (trial, how it ended, why, seconds)."""
    begun = time.perf_counter()
    kind, why = "finished", None
    measurements = evaluate(evaluator, job.proposal, problem, job.seed)
    try:
        for number, measurement in enumerate(measurements):
            if job.trial in stopped:
                kind = "stopped"
                break
            if number >= job.skip:
                pipe.send(("measured", (job.trial, measurement, time.perf_counter() - begun)))
    except LedgerError as error:
        kind, why = "unstored", str(error)
    except Exception as error:
        kind, why = "failed", reason(error)
    finally:
        measurements.close()  # type: ignore[attr-defined]
    return job.trial, kind, why, time.perf_counter() - begun
