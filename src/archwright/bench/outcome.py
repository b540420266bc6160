"""What a search had to show for itself after each evaluation: reported results of what it had chosen so far.

Nothing here is seen by a strategy: it is computed from the rows that a finished search evaluated.
"""

from __future__ import annotations

import numpy as np

from archwright.bench.cases import Case, ContestCase, TableCase
from archwright.bench.run import Trajectory
from archwright.bench.table import Table
from archwright.problem import Objective
from archwright.strategies.pareto import hypervolume

HYPERVOLUME = "hypervolume"


def incumbents(trajectory: Trajectory) -> np.ndarray:
    """The row that a search would have answered with after each evaluation, ``(evaluations,)``: that of the best score, of equals the first.

    >>> incumbents(Trajectory((7, 3, 9), ((0.5,), (0.4,), (0.6,)), (1.0, 2.0, 3.0))).tolist()
    [7, 7, 9]
    """
    scores = np.nan_to_num(np.array([score[0] for score in trajectory.scores]), nan=-np.inf)
    best = np.maximum.accumulate(scores)
    new = np.concatenate([[True], best[1:] > best[:-1]])
    return np.array(trajectory.rows)[np.maximum.accumulate(np.where(new, np.arange(len(scores)), 0))]


def reported(case: TableCase, table: Table, trajectory: Trajectory) -> dict[str, np.ndarray]:
    """What is reported after each evaluation, ``(evaluations,)`` for each name."""
    if not trajectory.rows:
        return {name: np.empty(0) for name in report_names(case)}
    if case.reference:
        return {HYPERVOLUME: _volumes(case, table, trajectory)}
    rows = incumbents(trajectory)
    return {name: table.column(column)[rows] for name, column in case.report.items()}


def report_names(case: Case) -> tuple[str, ...]:
    """What a case reports."""
    if isinstance(case, TableCase):
        return (HYPERVOLUME,) if case.reference else tuple(case.report)
    return (f"test {case.metric}",) if isinstance(case, ContestCase) else ("test accuracy",)


def best_possible(case: Case, table: Table | None) -> dict[str, float]:
    """The best that any choice could report; 1 for accuracies and hypervolumes where that is not known."""
    if isinstance(case, TableCase) and table is not None and not case.reference:
        return {name: float(np.nanmax(table.column(column))) for name, column in case.report.items()}
    return dict.fromkeys(report_names(case), 1.0)


def _volumes(case: TableCase, table: Table, trajectory: Trajectory) -> np.ndarray:
    """Hypervolume of the front so far, chosen by what the strategy saw, measured by what is reported, relative to that of all rows."""
    names = [objective.metric for objective in case.objectives]
    points = np.column_stack(
        [_signed(table.column(case.report[name]), one) for name, one in zip(names, case.objectives)]
    )
    bound = [one.score(value) for one, value in zip(case.objectives, case.reference, strict=True)]
    whole = hypervolume(_front(points[np.isfinite(points).all(axis=1)]), bound)
    rows, seen = np.array(trajectory.rows), np.array(trajectory.scores, dtype=float)
    front: list[int] = []
    volumes = []
    for number, score in enumerate(seen):
        if np.isfinite(score).all() and not any((seen[known] >= score).all() for known in front):
            front = [known for known in front if not (score >= seen[known]).all()] + [number]
            volume = hypervolume(points[rows[front]], bound) / whole
        volumes.append(volume if front else 0.0)
    return np.array(volumes)


def _front(points: np.ndarray) -> np.ndarray:
    """The points that no other beats, ``(points, objectives)``, fast where they are few of many."""
    found = []
    left = points[np.argsort(-points.sum(axis=1), kind="stable")]
    while len(left):
        found.append(left[0])
        left = left[(left > left[0]).any(axis=1)]
    return np.array(found)


def _signed(column: np.ndarray, objective: Objective) -> np.ndarray:
    return column if objective.goal == "max" else -column


def repeated(table: Table, trajectory: Trajectory) -> tuple[int, float]:
    """Evaluations of a network that the search had evaluated before, and the simulated seconds that they took."""
    classes = table.space.classes[np.array(trajectory.rows, dtype=int)]
    _, first = np.unique(classes, return_index=True)
    again = np.ones(len(classes), dtype=bool)
    again[first] = False
    return int(again.sum()), float(np.diff(np.array([0.0, *trajectory.seconds]))[again].sum())
