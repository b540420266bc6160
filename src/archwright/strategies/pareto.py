"""Several objectives at once: fronts, crowding, survival and hypervolume. In all of them more is better."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from archwright.errors import StrategyError

Rows = np.ndarray | Sequence[Sequence[float]]


def fronts(scores: Rows, violations: Sequence[float] | np.ndarray | None = None) -> list[np.ndarray]:
    """Non-dominated sorting with constraints by feasibility first (Deb et al. 2002, IEEE TEVC 6(2)).

    A row dominates another where it breaks the constraints less, or, both keeping them, where it is nowhere worse and somewhere better.

    Args:
        scores: One row for each individual, one column for each objective, more being better.
        violations: By how much each breaks the constraints, 0 where all hold; without them all hold.

    Returns:
        The indices of each front, the best front first, each ascending.

    Raises:
        StrategyError: Where scores are no table of numbers, or a number is NaN.

    >>> [front.tolist() for front in fronts([[1, 4], [2, 2], [1, 1], [4, 1]])]
    [[0, 1, 3], [2]]
    """
    table = _table(scores)
    broken = np.zeros(len(table)) if violations is None else np.asarray(violations, float)
    if broken.shape != (len(table),) or np.isnan(broken).any():
        raise StrategyError(f"Got the violations {broken.tolist()} for {len(table)} rows; expected a number for each.")
    beaten = _dominated(table, broken)
    counts = beaten.sum(axis=0)
    found, left = [], np.ones(len(table), bool)
    while left.any():
        front = np.flatnonzero(left & (counts == 0))
        found.append(front)
        left[front] = False
        counts = counts - beaten[front].sum(axis=0)
    return found


def front(scores: Rows) -> list[int]:
    """The indices of the rows that no other dominates, ascending: the first of :func:`fronts`, for thousands of rows.

    >>> front([[1, 4], [2, 2], [1, 1], [4, 1], [2, 2]])
    [0, 1, 3, 4]
    """
    table = _table(scores)
    kept: list[int] = []
    for index in np.lexsort(-table.T[::-1]).tolist():
        best, row = table[kept], table[index]
        if not ((best >= row).all(axis=1) & (best > row).any(axis=1)).any():
            kept.append(index)
    return sorted(kept)


def crowding(scores: Rows) -> np.ndarray:
    """Crowding distance of each row of one front: the mean, over the objectives, of the gap between its two neighbours.

    Gaps are relative to the front's extent in the objective, and the ends of each objective have an infinite distance (Deb et al. 2002). An
    objective in which all are equal counts nothing, and of equal rows only the first has a distance above zero.

    >>> crowding([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0]]).tolist()
    [inf, 1.0, inf]
    """
    table = _table(scores)
    distance = np.zeros(len(table))
    once = np.sort(np.unique(table, axis=0, return_index=True)[1])
    distance[once] = _gaps(table[once])
    return distance


def survivors(scores: Rows, violations: Sequence[float] | np.ndarray | None, count: int) -> list[int]:
    """The indices of those that survive, best first: whole fronts, then the least crowded of the front that does not fit.

    Args:
        scores: One row for each individual; equal networks should be there once, as they take each other's distance.
        violations: By how much each breaks the constraints; ``None`` where all hold.
        count: How many survive.
    """
    table = _table(scores)
    chosen: list[int] = []
    for front in fronts(table, violations):
        room = count - len(chosen)
        if room <= 0:
            break
        if len(front) > room:
            front = front[np.argsort(-crowding(table[front]), kind="stable")[:room]]
        chosen += front.tolist()
    return chosen


def hypervolume(scores: Rows, reference: Sequence[float]) -> float:
    """The volume that is dominated by some row and dominates the reference point, exactly.

    Two objectives take a sort, three a slice for each point, more the exclusive volumes of While et al. 2012 (WFG, IEEE TEVC 16(1)): fast
    enough for the fronts of searches, which have thousands of points in two objectives, hundreds in three, dozens in six.

    Args:
        scores: One row for each point, more being better; those that do not beat the reference in every objective add nothing.
        reference: A point that is worse than what is wanted, in the same units and signs. A hypervolume without it says nothing.

    Raises:
        StrategyError: Where the reference has another number of objectives, or a number is NaN.

    >>> hypervolume([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0]], reference=[0.0, 0.0])
    6.0
    """
    table, origin = _table(scores), np.asarray(reference, float)
    if origin.shape != (table.shape[1],) and len(table):
        raise StrategyError(
            f"Got the reference {list(reference)} for {table.shape[1]} objectives; expected one for each."
        )
    if np.isnan(origin).any():
        raise StrategyError(f"Got the reference {list(reference)}; expected numbers.")
    if not len(table):
        return 0.0
    boxes = (table - origin)[(table > origin).all(axis=1)]
    return _volume(boxes if boxes.shape[1] == 2 else boxes[front(boxes)])


def _table(scores: Rows) -> np.ndarray:
    table = np.asarray(scores, float)
    if table.size == 0 and table.ndim < 2:
        table = table.reshape(0, 1)
    if table.ndim != 2 or table.shape[1] == 0 or np.isnan(table).any():
        raise StrategyError(
            f"Got scores of shape {table.shape}{' with NaN' if np.isnan(table).any() else ''}; "
            "expected a row of numbers for each individual, with as many objectives each."
        )
    return table


def _dominated(table: np.ndarray, broken: np.ndarray) -> np.ndarray:
    """Whether individual i dominates individual j: a square of truth values, i down, j across."""
    one, other = table[:, None, :], table[None, :, :]
    better = (one >= other).all(axis=2) & (one > other).any(axis=2)
    less = broken[:, None] < broken[None, :]
    kept = (broken[:, None] <= 0) & (broken[None, :] <= 0)
    return np.asarray(less | (kept & better))


def _gaps(table: np.ndarray) -> np.ndarray:
    """Crowding distance of rows that are all different."""
    if len(table) <= 2:
        return np.full(len(table), math.inf)
    distance = np.zeros(len(table))
    for column in table.T:
        order = np.argsort(-column, kind="stable")
        ranked = column[order]
        if ranked[0] > ranked[-1]:
            distance[order[1:-1]] += (ranked[:-2] - ranked[2:]) / (ranked[0] - ranked[-1])
            distance[order[[0, -1]]] = math.inf
    return np.asarray(distance / table.shape[1])


def _maxima(boxes: np.ndarray) -> np.ndarray:
    """The boxes within no other, each once."""
    boxes = np.unique(boxes, axis=0)
    return boxes[~_dominated(boxes, np.zeros(len(boxes))).any(axis=0)]


def _volume(boxes: np.ndarray) -> float:
    """The volume of the union of boxes from the origin."""
    if len(boxes) <= 1 or boxes.shape[1] == 1:
        return float(boxes.prod(axis=1).max(initial=0.0))
    boxes = boxes[np.argsort(-boxes[:, -1], kind="stable")]
    steps = boxes[:, -1] - np.append(boxes[1:, -1], 0.0)
    if boxes.shape[1] == 2:
        return float((steps * np.maximum.accumulate(boxes[:, 0])).sum())
    if boxes.shape[1] == 3:
        return sum(
            (step * _volume(boxes[: index + 1, :2]) for index, step in enumerate(steps.tolist()) if step > 0), 0.0
        )
    total = 0.0
    for index, box in enumerate(boxes):
        total += float(box.prod()) - _volume(_maxima(np.minimum(box, boxes[index + 1 :])))
    return total
