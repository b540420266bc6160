from __future__ import annotations

import math

import numpy as np
import pytest

from archwright.bench import Suite, Trajectory
from archwright.bench.results import Searches, collect, effort, lines
from archwright.bench.run import run_case
from archwright.bench.store import BenchStore, Setting
from archwright.problem import Budget
from archwright.strategies import Evolution, Random


@pytest.fixture(scope="module")
def searches(small):
    found = {
        name: {seed: run_case(small, strategy, seed, small.budget) for seed in range(12)}
        for name, strategy in (("random", Random()), ("evolution", Evolution(4, 2)))
    }
    return Searches(small, small.budget, None, found)


def test_lines_are_the_means_at_the_checkpoints(searches, small):
    table = small.load(None, 0)
    found = list(lines(searches, "random"))
    assert [(row.evaluations, row.strategy) for row in found if row.strategy == "random"] == [
        (5, "random"),
        (None, "random"),
    ]
    for row in found:
        ends = []
        for trajectory in searches.found[row.strategy].values():
            scores = [score for (score,) in trajectory.scores][: row.evaluations]
            ends.append(100 * table.column("true")[trajectory.rows[int(np.argmax(scores))]])
        assert row.summary.mean == pytest.approx(np.mean(ends))
        assert row.summary.count == 12


def test_others_are_compared_with_the_reference_on_the_same_seeds(searches):
    by_name = {row.strategy: row for row in lines(searches, "random") if row.evaluations is None}
    assert by_name["random"].against is None
    against = by_name["evolution"].against
    assert against.count == 12
    assert against.difference == pytest.approx(by_name["evolution"].summary.mean - by_name["random"].summary.mean)
    assert all(row.against is None for row in lines(searches, "absent"))


def test_seeds_that_only_one_has_are_left_out_of_the_comparison(searches, small):
    found = {"random": dict(list(searches.found["random"].items())[:5]), "evolution": searches.found["evolution"]}
    row = next(
        row for row in lines(Searches(small, small.budget, None, found), "random") if row.strategy == "evolution"
    )
    assert (row.summary.count, row.against.count) == (12, 5)


def test_a_checkpoint_beyond_the_budget_is_left_out(searches, small):
    short = Searches(small, Budget(trials=5), None, searches.found)
    assert {row.evaluations for row in lines(short, "random")} == {None}


def test_regret_is_the_distance_from_the_best(searches, small):
    best = small.load(None, 0).column("true").max()
    for seed, curve in searches.regret("random", "test").items():
        assert curve == pytest.approx(best - searches.curves("random", "test")[seed])


def test_effort_is_the_mean_of_what_was_spent(searches):
    found = effort(searches, "random")
    mine = searches.found["random"].values()
    assert found.evaluations == 12
    assert found.reused == pytest.approx(np.mean([one.reused for one in mine]))
    assert found.seconds == pytest.approx(np.mean([one.seconds[-1] for one in mine]))
    assert (found.repeated, found.failed) == (0, 0)


def test_trained_networks_are_reported_by_their_test(tmp_path):
    from archwright.bench import get_suite

    case = get_suite("training").case("digits")
    found = Trajectory((0, 1), ((0.9,), (0.95,)), (10.0, 20.0), final={"test accuracy": 0.97, "test loss": 0.1})
    rows = list(lines(Searches(case, case.budget, None, {"random": {0: found}}), "random"))
    assert [(row.report, row.summary.mean) for row in rows] == [("test accuracy", 97.0)]
    assert math.isnan(rows[0].summary.low)


def test_only_records_of_the_same_data_and_budget_are_collected(tmp_path, small):
    from archwright.bench.execute import data_digest

    store, digest = BenchStore(tmp_path), data_digest(small, None)
    suite = Suite("mine", "made up", (small,))
    trajectory = run_case(small, Random(), 0, small.budget)
    for strategy, budget, workers, data in (
        ("random", "12 trials", 1, digest),
        ("grid", "12 trials", 1, "other data"),
        ("local", "9 trials", 1, digest),
        ("auto", "12 trials", 2, digest),
        ("evolution", "12 trials", 1, digest),
    ):
        store.add([(Setting("mine", "small", strategy, budget, workers, data), 0, "c", trajectory)])
    (found,) = collect(suite, store)
    assert list(found.found) == ["random", "evolution"]
    (chosen,) = collect(suite, store, strategies=["evolution", "absent"])
    assert list(chosen.found) == ["evolution"]
    (other,) = collect(suite, store, budget=Budget(trials=9))
    assert list(other.found) == ["local"]
    assert collect(suite, store, at_once=3) == []
