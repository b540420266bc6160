"""How fast networks train and predict, from a few steps of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from archwright.engine.clock import Pace
from archwright.errors import ArchwrightError, EvaluationError, SpaceError
from archwright.problem import Architecture, Problem, Trial

if TYPE_CHECKING:
    from archwright.tasks import Task

DRAWN = 3
"""Random networks that are timed."""


def pace_of(problem: Problem, task: Task, architecture: Architecture) -> Pace:
    """Return the pace of a network.

    Raises:
        ArchwrightError: If it cannot be trained.
    """
    from archwright.evaluators import time_epoch

    return Pace(*time_epoch(problem.graph(architecture), task))  # type: ignore[arg-type]


def timed(problem: Problem, task: Task) -> Callable[[Trial], Pace]:
    """Return a function that times the network of a trial, each once; one that cannot be trained takes for ever."""
    known: dict[int, Pace] = {}

    def pace(trial: Trial) -> Pace:
        if trial.id not in known:
            try:
                known[trial.id] = pace_of(problem, task, trial.proposal.architecture)
            except EvaluationError:
                known[trial.id] = Pace(1e9)
        return known[trial.id]

    return pace


def typical_pace(problem: Problem, task: Task, most: float = 6.0) -> Pace:
    """Return the median pace of three random networks, or of as many as can be timed in so many seconds.

    Args:
        problem: Space and constraints.
        task: The data.
        most: Seconds after which no further network is timed.

    Raises:
        SpaceError: If none of the drawn networks can be trained within the constraints.
    """
    rng = np.random.default_rng([problem.seed, 2**31])
    found: list[Pace] = []
    deadline = time.monotonic() + most
    for architecture in feasible(problem, (problem.space.sample(rng) for _ in range(60))):
        try:
            found.append(pace_of(problem, task, architecture))
        except ArchwrightError:
            continue
        if len(found) == DRAWN or time.monotonic() > deadline:
            break
    if not found:
        raise SpaceError(
            f"None of the networks drawn from the space '{problem.space.name}' could be trained on {task.name} within "
            f"the constraints; check that its shapes fit {task.signature}."
        )
    return Pace(statistics.median(pace.epoch for pace in found), statistics.median(pace.row for pace in found))


def feasible(problem: Problem, architectures: Iterable[Architecture]) -> Iterable[Architecture]:
    """Yield the architectures that can be built and satisfy the constraints known before training."""
    for architecture in architectures:
        try:
            problem.graph(architecture)  # without a bound nothing else would build it
            if problem.feasible(architecture):
                yield architecture
        except ArchwrightError:
            continue
