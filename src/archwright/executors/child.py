"""A worker process as its parent sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import connection
from pathlib import Path
from typing import Final

import msgspec

from archwright.executors.base import Job

COMMAND: Final = "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from archwright.executors.worker import main; main({}, {}, {})"


class Task:
    """A submitted job and what happened to it so far."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.spent = float(job.proposal.why.get("spent", 0.0))
        self.attempts = 1
        self.lost = 0.0
        self.begun: float | None = None
        self.stopping: str | None = None
        self.stop_by = float("inf")

    def begin_again(self, seconds: float) -> None:
        """Counts the seconds of an attempt that was lost, for the job as well."""
        self.lost += seconds
        why = {**self.job.proposal.why, "spent": self.spent + self.lost}
        self.job = msgspec.structs.replace(self.job, proposal=msgspec.structs.replace(self.job.proposal, why=why))

    @property
    def due(self) -> float:
        """When its time is up, by the monotonic clock."""
        limit = float("inf") if self.begun is None or self.job.seconds is None else self.begun + self.job.seconds
        return min(limit, self.stop_by)


class Child:
    """A worker process, its pipe, and the task it works on."""

    def __init__(self, folder: Path, number: int, environment: Mapping[str, str]) -> None:
        self.pipe, theirs = connection.Pipe(duplex=True)
        self.output = folder / f"{number}.txt"
        self.ready, self.broken = False, ""
        self.task: Task | None = None
        self.born = time.monotonic()
        bound = threading.current_thread() is threading.main_thread()
        command = [sys.executable, "-c", COMMAND.format(theirs.fileno(), os.getpid(), bound)]
        with open(folder / "evaluator", "rb") as evaluator, open(self.output, "wb") as output, theirs:
            self.process = subprocess.Popen(
                command,
                stdin=evaluator,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, **environment},
                process_group=0,
            )

    def kill(self) -> None:
        """Ends the process, and those it started, now."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.pipe.close()

    def cause(self) -> str:
        """How the process died, in a sentence."""
        code = self.process.returncode
        if code is not None and code < 0:
            guess = ", perhaps because memory ran out" if -code == signal.SIGKILL else ""
            text = f"The worker was killed by signal {-code} ({signal.strsignal(-code)}){guess}."
        else:
            text = f"The worker exited with status {code}."
        said = [line.strip() for line in self.output.read_text(errors="replace")[-2000:].splitlines() if line.strip()]
        return f"{text} Its last line was: {said[-1]:.300}" if said else text
