"""How the best result grew with the effort spent, for the search and for the random baseline that ran beside it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from archwright.explain.trials import arm, metric_value
from archwright.problem import ALONE, BASELINE, SUPERNET, Problem, Trial, purpose


class Point(msgspec.Struct, frozen=True):
    """The state of one arm after one of its evaluations.

    Attributes:
        trial: The trial that was evaluated.
        evaluations: Evaluations of this arm so far, those that failed included, reused results not.
        seconds: Seconds of evaluation this arm has spent so far, summed over workers.
        value: That trial's metric value; ``None`` where it has none or breaks a constraint.
        best: The best value of the arm so far; ``None`` before the first.
    """

    trial: int
    evaluations: int
    seconds: float
    value: float | None
    best: float | None


class Progress(msgspec.Struct, frozen=True):
    """Best-so-far curves, each over the effort spent on its own arm, so that both can be read at equal effort.

    Attributes:
        metric: The first objective's metric.
        search: The strategy's trials, in the order of proposal.
        baseline: Those drawn at random.
    """

    metric: str
    search: tuple[Point, ...]
    baseline: tuple[Point, ...]


def progress(trials: Iterable[Trial], problem: Problem) -> Progress:
    """The curves of a run, from its folded trials. Trials still running are left out.

    Where weights are shared, the search's points are the networks it trained on their own; the time of the shared weights' training, and of the scores
    with them, is spent before the first.
    """
    arms: dict[str, list[Point]] = {"search": [], "baseline": []}
    known, before = list(trials), 0.0
    if problem.settings.get("one_shot"):
        before = sum(trial.seconds for trial in known if purpose(trial) in (SUPERNET, "search"))
        known = [trial for trial in known if purpose(trial) in (ALONE, BASELINE)]
    for trial in known:
        if trial.done and arm(trial) in arms:
            points = arms[arm(trial)]
            points.append(_next(points[-1] if points else None, trial, problem))
            if before and len(points) == 1 and arm(trial) == "search":
                points[0] = msgspec.structs.replace(points[0], seconds=points[0].seconds + before)
    return Progress(problem.objectives[0].metric, tuple(arms["search"]), tuple(arms["baseline"]))


def _next(last: Point | None, trial: Trial, problem: Problem) -> Point:
    objective = problem.objectives[0]
    value = metric_value(trial, problem) if problem.score(trial) is not None else None
    best = last.best if last else None
    if value is not None and (best is None or objective.score(value) > objective.score(best)):
        best = value
    reused = trial.status == "duplicate"
    evaluations = (last.evaluations if last else 0) + (0 if reused else 1)
    seconds = (last.seconds if last else 0.0) + (0.0 if reused else trial.seconds)
    return Point(trial.id, evaluations, seconds, value, best)
