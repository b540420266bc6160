"""Evaluators that workers can import: some behave, some do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archwright.errors import EvaluationError
from archwright.problem import INTERIM, Measurement, Proposal


def option(proposal: Proposal) -> int:
    return proposal.architecture.choices[0][1]


def number(proposal: Proposal, problem: Any, seed: int) -> float:
    return option(proposal) + seed / 1000


def stream(proposal: Proposal, problem: Any, seed: int) -> Iterator[Measurement]:
    for epoch in range(1, 4):
        yield Measurement({"accuracy": epoch / 10}, epoch=epoch)


def slow(proposal: Proposal, problem: Any, seed: int) -> Iterator[dict[str, float]]:
    for epoch in range(200):
        yield {"accuracy": epoch / 200}
        time.sleep(0.05)


def hang(proposal: Proposal, problem: Any, seed: int) -> Iterator[dict[str, float]]:
    yield {"accuracy": 0.1}
    time.sleep(600)


def boom(proposal: Proposal, problem: Any, seed: int) -> float:
    raise ValueError(f"option {option(proposal)}")


def refused(proposal: Proposal, problem: Any, seed: int) -> float:
    raise EvaluationError("The loss is not finite at step 3.")


def environment(proposal: Proposal, problem: Any, seed: int) -> dict[str, float]:
    return {
        "accuracy": float(os.environ["ARCHWRIGHT_TEST_NUMBER"]),
        "pid": float(os.getpid()),
        "stdin": float(len(sys.stdin.read())),
        "torch": float("torch" in sys.modules),
        "ignores_interrupt": float(signal.getsignal(signal.SIGINT) is signal.SIG_IGN),
    }


class Dies:
    """Ends its process in one of several ways after two measurements; the first ``times`` times, counted in a file."""

    def __init__(self, folder: Path, how: str, times: int) -> None:
        self.folder, self.how, self.times = folder, how, times

    def __call__(self, proposal: Proposal, problem: Any, seed: int) -> Iterator[dict[str, float]]:
        attempts = self.folder / f"{option(proposal)}.attempts"
        with attempts.open("a") as file:
            file.write("x")
        for epoch in range(4):
            if epoch == 2 and attempts.stat().st_size <= self.times:
                time.sleep(0.15)
                print("going down", flush=True)
                if self.how == "exit":
                    os._exit(3)
                if self.how == "sys.exit":
                    sys.exit(4)
                os.kill(os.getpid(), signal.SIGKILL if self.how == "kill" else signal.SIGSEGV)
            yield {"accuracy": epoch / 10}


class GoesOn(Dies):
    """Dies once, and goes on from what it left after its first measurement."""

    def __call__(self, proposal: Proposal, problem: Any, seed: int) -> Iterator[Measurement]:  # type: ignore[override]
        first = int(proposal.resume or 0)
        left = {0: {INTERIM: "1"}}
        for epoch, values in enumerate(super().__call__(proposal, problem, seed)):
            if epoch >= first:
                with (self.folder / "epochs").open("a") as file:
                    file.write(str(epoch))
                yield Measurement(values, epoch, 1.0 + proposal.why.get("spent", 0.0), left.get(epoch, {}))


class Unloadable:
    """Can be pickled but not unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)

    def __call__(self, proposal: Proposal, problem: Any, seed: int) -> float:
        return 0.0


class Spawns:
    """Starts a process that outlives it, unless somebody cares."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, proposal: Proposal, problem: Any, seed: int) -> float:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.file.write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
        return 0.0
