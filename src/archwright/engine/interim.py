"""What evaluations leave on their way: where they were interrupted, they go on from there."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from archwright.artifacts import Artifacts
from archwright.executors import Job
from archwright.problem import FINAL, INTERIM, SUPERNET, Proposal, Trial, purpose

LATEST = 2
"""Interim artifacts of an evaluation that are kept: the last, and one more, for a crash may forget that the last was told of."""


class Interim:
    """The weights of a run, of trials that ended and of those that did not.

    Args:
        artifacts: Where they are; ``None``: all count as there.
    """

    def __init__(self, artifacts: Artifacts | None) -> None:
        self._artifacts = artifacts

    def __contains__(self, digest: str) -> bool:
        return self._artifacts is None or digest in self._artifacts

    def remaining(self, job: Job, trial: Trial) -> Job:
        """What remains of a job once a trial's measurements are known: what comes after the last that left something to go on from."""
        for measurement in trial.measurements:
            left = measurement.artifacts.get(INTERIM)
            gone = left is not None and left not in self
            job = msgspec.structs.replace(job, skip=job.skip + 1) if gone else job.after(measurement)
        return job

    def going_on(self, proposal: Proposal, earlier: Iterable[Trial]) -> Proposal:
        """The proposal of a training that goes on from what earlier ones, which were interrupted, left of it."""
        job = Job(-1, proposal, 0)
        for trial in earlier:
            job = self.remaining(job, trial)
        return job.proposal

    def tidy(self, trial: Trial) -> None:
        """Deletes what a trial left and needs no more."""
        if self._artifacts is not None:
            for digest in outdated(trial):
                self._artifacts.remove(digest)


def outdated(trial: Trial) -> list[str]:
    """Interim artifacts of a trial that are needed no more. Those of a training that ran out of time are: it may be given more."""
    left = [measured.artifacts[INTERIM] for measured in trial.measurements if INTERIM in measured.artifacts]
    if not trial.done:
        return left[-1 - LATEST : -LATEST]
    return [] if trial.status == "stopped" and purpose(trial) in (FINAL, SUPERNET) else left


def spent_before(proposal: Proposal) -> float:
    """Seconds that went into what a proposal goes on from, as far as it is the same evaluation."""
    return float(proposal.why.get("spent", 0.0))
