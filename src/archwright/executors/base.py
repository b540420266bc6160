"""Jobs, updates, and the one place where what an evaluator returns becomes measurements."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self

import msgspec

from archwright.errors import EvaluationError
from archwright.problem import INTERIM, Evaluator, Measurement, Problem, Proposal

_PACKAGE: Final = str(Path(__file__).parent)


class Job(msgspec.Struct, frozen=True):
    """An evaluation to be carried out.

    Attributes:
        trial: Number of the trial.
        proposal: What is evaluated.
        seed: Seed of the evaluation.
        seconds: How long it may take; ``None`` means without limit.
        skip: How many measurements of it are known already (from before an interruption) and are not reported again. An evaluation is
            deterministic under (proposal, seed), so a repeated one begins with the same measurements.
    """

    trial: int
    proposal: Proposal
    seed: int
    seconds: float | None = None
    skip: int = 0

    def after(self, measurement: Measurement) -> Job:
        """What remains once one more measurement is known: what follows where it left something to go on from, else all of it, with one more not told again."""
        left = measurement.artifacts.get(INTERIM)
        if left is None:
            return msgspec.structs.replace(self, skip=self.skip + 1)
        why = {**self.proposal.why, "spent": measurement.seconds}
        return msgspec.structs.replace(
            self, proposal=msgspec.structs.replace(self.proposal, resume=left, why=why), skip=0
        )


class Update(msgspec.Struct, frozen=True):
    """News of a trial. After any kind but ``measured`` nothing more is heard of it.

    Attributes:
        trial: Number of the trial.
        kind: ``measured`` (one more measurement), ``finished``, ``failed`` or ``stopped``.
        measurement: The measurement, where the kind is ``measured``.
        reason: Why it failed or was stopped.
        seconds: Wall seconds since the evaluation began.
    """

    trial: int
    kind: Literal["measured", "finished", "failed", "stopped"]
    measurement: Measurement | None = None
    reason: str | None = None
    seconds: float = 0.0


class Executor(Protocol):
    """Runs jobs and tells how they go. A context manager: leaving it ends everything that still runs."""

    @property
    def free(self) -> int:
        """How many more jobs can be submitted now."""

    @property
    def running(self) -> tuple[int, ...]:
        """The trials that are submitted and not done."""

    def submit(self, job: Job) -> None:
        """Accepts a job.

        Raises:
            EvaluationError: Where no slot is free, or the evaluator cannot be run at all.
        """

    def poll(self, timeout: float | None = None) -> list[Update]:
        """News since the last call, waiting up to ``timeout`` seconds (``None``: for as long as something runs) for the first.

        Raises:
            EvaluationError: Where the evaluator cannot be run at all.
            LedgerError: Where the evaluator cannot store its results: no other trial could either.
        """

    def stop(self, trial: int, reason: str, grace: float = ...) -> None:
        """Ends a trial early, by force after ``grace`` seconds where that is possible; its last update will be ``stopped`` with this reason."""

    def close(self) -> None:
        """Ends everything that still runs, without updates."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def evaluate(evaluator: Evaluator, proposal: Proposal, problem: Problem, seed: int) -> Iterator[Measurement]:
    """Runs an evaluator of any accepted form and yields its measurements.

    An evaluator is a generator of values, or a function that returns one. A value is a :class:`~archwright.problem.Measurement`, a mapping
    from metric to number, or a number: the first objective's metric.

    Raises:
        EvaluationError: Where a value is of another form, or the final one lacks an objective.
    """
    begun, last = time.perf_counter(), None
    for value in steps(evaluator(proposal, problem, seed)):
        last = as_measurement(value, problem, time.perf_counter() - begun)
        yield last
    check_final(last, problem)


def steps(result: Any) -> Iterator[Any]:
    """The values that an evaluator's result stands for."""
    return result if isinstance(result, Iterator) else iter((result,))


def as_measurement(value: Any, problem: Problem, seconds: float) -> Measurement:
    """Turns what an evaluator gave into a measurement of plain floats.

    Args:
        value: A measurement, a mapping from metric to number, or a number.
        problem: Names the metric of a bare number: the first objective's.
        seconds: Since the evaluation began; for values that do not tell.

    Raises:
        EvaluationError: Where the value is none of these, or its notes are not JSON.
    """
    if isinstance(value, Measurement):
        measurement = value
        if any(type(number) is not float for number in value.values.values()):
            measurement = msgspec.structs.replace(value, values=_floats(value.values))
        try:
            msgspec.json.encode(measurement)
        except (TypeError, ValueError) as error:
            raise EvaluationError(
                f"The evaluator gave a measurement that cannot be recorded: {error}. Expected JSON values in notes and artifacts."
            ) from error
        return measurement
    if isinstance(value, Mapping):
        return Measurement(_floats(value), seconds=seconds)
    return Measurement(_floats({problem.objectives[0].metric: value}), seconds=seconds)


def _floats(values: Mapping[Any, Any]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for metric, value in values.items():
        if not isinstance(metric, str) or isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
            raise EvaluationError(_unexpected(metric, value))
        try:
            numbers[metric] = float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise EvaluationError(_unexpected(metric, value)) from error
    return numbers


def _unexpected(metric: Any, value: Any) -> str:
    hint = " Does the function end without a return?" if value is None else ""
    return (
        f"The evaluator gave {value!r:.80} of type {type(value).__name__} for {metric!r:.80}; expected a number. An evaluator yields or returns a Measurement, "
        f"a mapping from metric to number such as {{'accuracy': 0.9}}, or one number (the first objective).{hint}"
    )


def check_final(last: Measurement | None, problem: Problem) -> None:
    """Checks the last measurement of an evaluation.

    Raises:
        EvaluationError: Where there is none, or it lacks the metric of an objective.
    """
    if last is None:
        raise EvaluationError(
            "The evaluator ended without a measurement; expected at least one. The last one yielded is final."
        )
    missing = [objective.metric for objective in problem.objectives if objective.metric not in last.values]
    if missing:
        got = ", ".join(sorted(last.values)) or "nothing"
        raise EvaluationError(
            f"The evaluator's final measurement has {got}; expected also {', '.join(missing)}: the objectives of the problem."
        )


def reason(error: Exception) -> str:
    """Why an evaluation failed, in a line: the message, and of unexpected errors also the type and the last line of code of the evaluator's."""
    if isinstance(error, EvaluationError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)] or frames
    where = f" ({Path(theirs[-1].filename).name}:{theirs[-1].lineno} in {theirs[-1].name})" if theirs else ""
    return f"{type(error).__name__}: {error}{where}" if str(error) else f"{type(error).__name__}{where}"


def overdue(job: Job) -> str:
    """The reason of a trial that took longer than it may."""
    return f"It took longer than the {job.seconds:g} s it was given."


_in_worker = False


def enter_worker() -> None:
    """Marks this process as a worker."""
    global _in_worker
    _in_worker = True


def refuse_in_worker() -> None:
    """Guards against a search that a module starts by being imported in a worker.

    Raises:
        EvaluationError: In a worker process.
    """
    if _in_worker:
        raise EvaluationError(
            "A worker of a search tried to start workers of its own: the module that defines the evaluator starts a search when it is imported. "
            'Put the call under `if __name__ == "__main__":`, or the evaluator into a module of its own.'
        )
