"""Contests: whole methods at equal time on the same rows, each in a process pinned to its cores."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from archwright.bench.cases import ContestCase, Files
from archwright.bench.code import code_of_files, code_of_search
from archwright.bench.run import Trajectory
from archwright.bench.specs import Spec, parse_strategy, separated
from archwright.errors import ArchwrightError, BudgetError, EvaluationError, StrategyError
from archwright.problem import Budget
from archwright.written import named

PROGRAMS: Final = Path(__file__).parent / "contestants"
SEARCH: Final = PROGRAMS / "architecture_search.py"
SCRIPTS: Final = {
    "hand-made": (PROGRAMS / "hand_made.py", "image"),
    "boosting": (PROGRAMS / "table_model.py", "tabular"),
    "boosting-tuned": (PROGRAMS / "table_model.py", "tabular"),
    "sklearn-mlp": (PROGRAMS / "table_model.py", "tabular"),
}
"""Methods that are no searches: the program of each, and the data that it takes."""
PATIENCE: Final = 1.5
"""Times its budget after which a method is ended, with :data:`GRACE` seconds more."""
GRACE: Final = 60.0
WAIT: Final = 0.02


class Script(Spec, frozen=True):
    """A method that is no search: a program with options."""

    @property
    def code(self) -> str:
        """Digest of the program."""
        return code_of_files(SCRIPTS[self.name][0])


class Search(Spec, frozen=True):
    """A search by archwright with a strategy."""

    @property
    def code(self) -> str:
        """Digest of all of archwright that the answer depends on."""
        return code_of_files(SEARCH) + code_of_search()


def parse_method(text: str) -> Spec:
    """Read a method: a strategy, or a program, with its options.

    Raises:
        StrategyError: If it is written in another way, or there is no such method.

    >>> parse_method("hand-made(width=0.75)").text
    'hand-made(width=0.75)'
    """
    try:
        name, options = named(text)
    except ValueError:
        name, options = text, {}
    if name in SCRIPTS:
        return Script(name, options)
    try:
        spec = parse_strategy(text)
    except StrategyError as error:
        raise StrategyError(f"{error} Or one of the methods {', '.join(SCRIPTS)}.") from error
    return Search(spec.name, spec.options)


def parse_methods(text: str) -> list[Spec]:
    """Read several methods, separated by commas."""
    return [parse_method(part) for part in separated(text)]


def fits(spec: Spec, case: ContestCase) -> bool:
    """Whether a method takes data of this kind."""
    return spec.name not in SCRIPTS or SCRIPTS[spec.name][1] == case.modality


@lru_cache(maxsize=64)
def prepared(case: ContestCase, data: str | None, folder: Path) -> Files:
    """The files of a contest, made once in a process.

    Raises:
        DataError: If the data are missing.
    """
    return case.prepare(data, folder.resolve() / "data")


class Entry(NamedTuple):
    """One method in a contest.

    Attributes:
        case: The data.
        spec: The method.
        seed: Its seed.
        budget: Its time.
        workers: Its cores.
        data: Folder of the data.
        folder: Folder of the benchmarks.
    """

    case: ContestCase
    spec: Spec
    seed: int
    budget: Budget
    workers: int
    data: str | None
    folder: Path

    @property
    def name(self) -> str:
        """A name that can be a file's."""
        words = f"{self.case.name}-{self.spec.text}-{self.budget}-{self.workers}-seed{self.seed}"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", words)

    @property
    def seconds(self) -> float:
        """The time.

        Raises:
            BudgetError: If it is not limited.
        """
        if self.budget.seconds is None:
            raise BudgetError(f"Got the budget {self.budget}; expected a time, such as '2m'.")
        return self.budget.seconds


class Contestant:
    """A running method.

    Args:
        entry: The method and its task.
        cores: The cores that it may use.

    Raises:
        ArchwrightError: If it cannot be started.
    """

    def __init__(self, entry: Entry, cores: Sequence[int]) -> None:
        self.entry, self.cores = entry, cores
        self.place = entry.folder.resolve() / "contests" / entry.name
        shutil.rmtree(self.place, ignore_errors=True)  # what was killed starts anew
        command = _command(entry, self.place)
        launched = [str(PROGRAMS / "launch.py"), ",".join(map(str, cores)), str(os.getpid())]
        threads = {name: str(len(cores)) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        with (self.place / "output.txt").open("wb") as output:
            self.begun = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, *launched, sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | threads,
                start_new_session=True,
            )

    def result(self) -> Trajectory | None:
        """What it answered; ``None`` while it runs.

        Raises:
            ArchwrightError: If it failed, gave no answer, or took far too long.
        """
        took = time.monotonic() - self.begun
        if self._process.poll() is None:
            limit = PATIENCE * self.entry.seconds + GRACE
            if took > limit:
                self.kill()
                raise EvaluationError(
                    f"It had not ended after {took:.0f} s of a budget of {self.entry.seconds:g} s, and was ended."
                )
            return None
        self.kill()  # whatever it left running
        lines = (self.place / "output.txt").read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "(nothing)")
        told = (_answer(line) for line in reversed(lines) if self._process.returncode == 0)
        answer = next((found for found in told if self.entry.case.metric in found), {})
        if self.entry.case.metric not in answer:
            raise EvaluationError(f"{last} (More in {self.place / 'output.txt'}.)")
        final = {f"test {self.entry.case.metric}": answer.pop(self.entry.case.metric), **answer}
        return Trajectory((), (), (took,), ended="answered", final=final)

    def kill(self) -> None:
        """End its processes, if any is left."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()


def hold(entries: Sequence[Entry], at_once: int) -> Iterator[tuple[int, Trajectory | ArchwrightError]]:
    """Run methods, as many at once as asked for, each on cores of its own.

    Args:
        entries: What is run, in this order.
        at_once: How many run at once.

    Yields:
        The position of a method that has ended, with its answer, or why it has none.

    Raises:
        BudgetError: If there are fewer cores than that takes.
    """
    free = core_sets(at_once, max((entry.workers for entry in entries), default=1))
    left, running = list(enumerate(entries)), dict[int, Contestant]()
    try:
        while left or running:
            while left and free:
                number, entry = left.pop(0)
                try:
                    running[number] = Contestant(entry, free[0])
                    del free[0]
                except ArchwrightError as error:
                    yield number, error
            time.sleep(WAIT)
            for number, one in list(running.items()):
                found = _outcome(one)
                if found is not None:
                    free.append(running.pop(number).cores)
                    yield number, found
    finally:
        for one in running.values():
            one.kill()


def _outcome(contestant: Contestant) -> Trajectory | ArchwrightError | None:
    try:
        return contestant.result()
    except ArchwrightError as error:
        return error


def core_sets(at_once: int, each: int) -> list[Sequence[int]]:
    """Cores for so many methods at once.

    Raises:
        BudgetError: If this process may use fewer, or the system cannot pin a process to cores.
    """
    if not hasattr(os, "sched_getaffinity"):
        raise BudgetError("Contests pin each method to its cores, which this system cannot do; run them on Linux.")
    cores = sorted(os.sched_getaffinity(0))
    if at_once * each > len(cores):
        raise BudgetError(
            f"Got {at_once} at once of {each} cores each; this process may use {len(cores)}. "
            "Choose fewer with --workers or --at-once."
        )
    return [cores[number * each : (number + 1) * each] for number in range(at_once)]


def _answer(line: str) -> dict[str, float]:
    try:
        return msgspec.json.decode(line, type=dict[str, float])
    except msgspec.MsgspecError:
        return {}


def _command(entry: Entry, place: Path) -> list[str]:
    """The program and its arguments, without the interpreter."""
    case, spec, seed = entry.case, entry.spec, str(entry.seed)
    files = prepared(case, entry.data, entry.folder)
    place.mkdir(parents=True)
    if spec.name not in SCRIPTS:
        specification = {
            **{"source": files.source or files.train, "test": files.test},
            **{"target": files.target, "kind": files.kind},
            "strategy": spec.name,
            "options": spec.options,
            "seconds": entry.seconds,
            "workers": entry.workers,
            "seed": entry.seed,
            "store": str(place / "runs"),
        }
        path = place / "specification.json"
        path.write_text(json.dumps(specification), encoding="utf-8")
        return [str(SEARCH), str(path)]
    program, modality = SCRIPTS[spec.name]
    seconds = f"{entry.seconds:g}"
    if modality == "image":
        words = [files.train, seconds, "--threads", str(entry.workers)]
    else:
        words = [spec.name, files.train, files.test, files.target, seconds, "--kind", files.kind]
    options = dict(case.options.get(spec.name, {})) | spec.options
    return [str(program), *words, "--seed", seed, *(word for pair in options.items() for word in _option(*pair))]


def _option(name: str, value: Any) -> list[str]:
    """An option as programs take it."""
    word = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{word}" if value else f"--no-{word}"]
    return [f"--{word}", str(value)]
