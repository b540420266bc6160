"""What an evaluation leaves on its way: where it was interrupted, it goes on from there."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from archwright.executors import Job
from archwright.problem import FINAL, INTERIM, SUPERNET, Trial, purpose

LATEST = 2
"""Interim artifacts of an evaluation that are kept: the last, and one more, for a crash may forget that the last was told of."""


def remaining(job: Job, trial: Trial, has_artifact: Callable[[str], bool]) -> Job:
    """What remains of a job once a trial's measurements are known: what comes after the last that left something to go on from."""
    for measurement in trial.measurements:
        left = measurement.artifacts.get(INTERIM)
        gone = left is not None and not has_artifact(left)
        job = msgspec.structs.replace(job, skip=job.skip + 1) if gone else job.after(measurement)
    return job


def outdated(trial: Trial) -> list[str]:
    """Interim artifacts of a trial that are needed no more. Those of a training that ran out of time are: it may be given more."""
    left = [measured.artifacts[INTERIM] for measured in trial.measurements if INTERIM in measured.artifacts]
    if not trial.done:
        return left[-1 - LATEST : -LATEST]
    return [] if trial.status == "stopped" and purpose(trial) in (FINAL, SUPERNET) else left
