from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.bench import Trajectory, incumbents, reported
from archwright.bench.outcome import _front, best_possible, repeated
from archwright.bench.run import run_case
from archwright.problem import Budget, Objective
from archwright.strategies import Random


def trajectory(rows, scores, seconds=None):
    return Trajectory(tuple(rows), tuple((score,) for score in scores), tuple(seconds or range(1, len(rows) + 1)))


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(0, 3).map(float), st.just(float("nan"))), min_size=1, max_size=12))
def test_the_incumbent_has_the_best_score_so_far_the_first_of_equals(scores):
    rows = list(range(100, 100 + len(scores)))
    found = incumbents(trajectory(rows, scores)).tolist()
    for length in range(1, len(scores) + 1):
        known = [-np.inf if score != score else score for score in scores[:length]]
        assert found[length - 1] == 100 + known.index(max(known))


def test_what_is_reported_is_the_incumbents_and_not_the_best(small):
    table = small.load(None, 0)
    seen, true = table.column("seen"), table.column("true")
    found = trajectory([0, 13, 5], seen[[0, 13, 5]])
    assert reported(small, table, found)["test"].tolist() == true[[0, 13, 13]].tolist()
    assert best_possible(small, table) == {"test": true.max()}


def test_a_search_without_an_evaluation_reports_nothing(small):
    assert reported(small, small.load(None, 0), trajectory([], []))["test"].shape == (0,)


def two(small):
    return dataclasses.replace(
        small,
        metrics={"accuracy": "seen", "latency_ms": "took"},
        report={"accuracy": "true", "latency_ms": "took"},
        objectives=(Objective("accuracy"), Objective("latency_ms", "min")),
        reference=(0.0, 20.0),
    )


def test_hypervolume_of_the_front_chosen_by_what_was_seen(small):
    case, table = two(small), small.load(None, 0)
    found = run_case(case, Random(), 0, Budget(trials=18))
    volumes = reported(case, table, found)["hypervolume"]
    seen = np.column_stack([table.column("seen"), -table.column("took")])[list(found.rows)]
    true = np.column_stack([table.column("true"), -table.column("took")])
    whole = area(true, (0.0, -20.0))
    for length in (1, 5, len(volumes)):
        chosen = [
            number
            for number in range(length)
            if not any(
                (seen[other] >= seen[number]).all() and (seen[other] > seen[number]).any() for other in range(length)
            )
        ]
        first = [number for number in chosen if not any((seen[other] == seen[number]).all() for other in range(number))]
        expected = area(true[np.array(found.rows)[first]], (0.0, -20.0)) / whole
        assert volumes[length - 1] == pytest.approx(expected)
    assert 0 < volumes[-1] <= 1


def area(points, bound):
    """Hypervolume in two dimensions, by adding up a fine grid of strips."""
    total, high = 0.0, bound[1]
    for x, y in sorted(points.tolist(), reverse=True):
        if y > high:
            total += (x - bound[0]) * (y - high)
            high = y
    return total


def test_the_area_of_the_test_is_right():
    assert area(np.array([[1.0, 3.0], [2.0, 1.0]]), (0.0, 0.0)) == 4.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20))
def test_the_front_is_what_no_other_beats(points):
    given_points = np.array(points, dtype=float)
    front = {tuple(row) for row in _front(given_points).tolist()}
    for point in points:
        beaten = any(other != point and all(a >= b for a, b in zip(other, point)) for other in points)
        assert (point in front) == (not beaten)


def test_repeated_evaluations_and_their_seconds(small):
    table = small.load(None, 0)
    # Rows 3 and 9 are the architectures (0, 1, 0) and (1, 0, 0), which are equal.
    assert table.space.rows[3] == table.space.rows[9]
    assert repeated(table, trajectory([3, 0, 9, 3], [0.0] * 4, [10.0, 15.0, 21.0, 30.0])) == (2, 15.0)


def test_a_front_without_measured_points_has_no_volume(small):
    case, table = two(small), small.load(None, 0)
    found = Trajectory((0, 1), ((float("-inf"),) * 2, (0.1, -10.0)), (1.0, 2.0))
    volumes = reported(case, table, found)["hypervolume"]
    assert volumes[0] == 0.0
    assert volumes[1] > 0
