"""The best of a run: its incumbent and its front, in the order of :func:`archwright.explain.rank`."""

from __future__ import annotations

from collections.abc import Iterable

from archwright.explain import fidelity, rank, ranking
from archwright.problem import Problem, Trial
from archwright.strategies.pareto import front

KEPT = 10
"""Trials of the highest fidelity whose weights are kept after a search."""


def incumbent(problem: Problem, trials: Iterable[Trial]) -> Trial | None:
    """The best trial, or ``None`` where none can be chosen."""
    return next(iter(ranking(trials, problem)), None)


def pareto(problem: Problem, trials: Iterable[Trial]) -> list[Trial]:
    """The trials of the highest fidelity reached that no other beats in every objective, in order of the first one."""
    known = list(trials)
    best = incumbent(problem, known)
    if best is None:
        return []
    rows: dict[str, tuple[tuple[float, ...], Trial]] = {}
    for trial in known:
        values = [trial.value(objective.metric) for objective in problem.objectives]
        same = fidelity(trial, problem) == fidelity(best, problem) and trial.status == "finished"
        if same and rank(trial, problem) is not None and None not in values:
            scores = tuple(
                objective.score(value or 0.0) for objective, value in zip(problem.objectives, values, strict=True)
            )
            rows[trial.fingerprint or str(trial.id)] = (scores, trial)
    found = list(rows.values())
    best_first = sorted(
        (found[index] for index in front([scores for scores, _ in found])), key=lambda row: row[0], reverse=True
    )
    return [trial for _, trial in best_first]
