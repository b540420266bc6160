from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from archwright.errors import DataError
from archwright.tasks.intervals import compare, intervals, paired_difference, wilson
from archwright.tasks.metrics import metrics

LAW = settings(deadline=None, max_examples=15, derandomize=True)


def draw(seed: int, rows: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=rows)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), y] += 1.5
    return y, logits


@LAW
@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_stays_inside_the_unit_interval(total: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, total))
    found = wilson(correct, total)
    assert 0 <= found.low <= correct / total <= found.high <= 1
    mirror = wilson(total - correct, total)
    assert mirror.low == pytest.approx(1 - found.high, abs=1e-12)


def test_wilson_agrees_with_scipy() -> None:
    from scipy.stats import binomtest

    expected = binomtest(87, 100).proportion_ci(method="wilson")
    found = wilson(87, 100)
    assert_allclose([found.low, found.high], [expected.low, expected.high], rtol=1e-9)


@pytest.mark.parametrize(("correct", "total"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_share(correct: int, total: int) -> None:
    with pytest.raises(DataError, match="expected a share"):
        wilson(correct, total)


@LAW
@given(st.integers(0, 10_000), st.integers(5, 120))
def test_values_are_those_of_the_metrics_module_and_lie_inside_their_intervals(seed: int, rows: int) -> None:
    y, logits = draw(seed, rows)
    for name, one in intervals("classification", y, logits).items():
        assert one.value == pytest.approx(metrics("classification", y, logits)[name], rel=1e-9)
        assert one.low <= one.value <= one.high
    target, predicted = logits[:, 0], logits[:, 1]
    found = intervals("regression", target, predicted[:, None], scale=3.0)
    expected = metrics("regression", target, predicted, scale=3.0)
    assert found.keys() == expected.keys()
    for name, one in found.items():
        assert one.value == pytest.approx(expected[name], rel=1e-9)
        assert one.low <= one.value <= one.high


def test_intervals_narrow_with_more_rows_and_repeat_with_the_seed() -> None:
    few, many = intervals("classification", *draw(1, 60)), intervals("classification", *draw(1, 6000))
    for name in few:
        assert many[name].high - many[name].low < few[name].high - few[name].low
    assert few == intervals("classification", *draw(1, 60))
    assert few["log_loss"] != intervals("classification", *draw(1, 60), seed=1)["log_loss"]


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(100):
        error = rng.normal(size=80)
        one = intervals("regression", np.zeros(80), error, seed=seed)["mae"]
        hits += one.low <= np.sqrt(2 / np.pi) <= one.high
    assert 86 <= hits <= 100


def test_a_perfect_score_still_has_an_interval() -> None:
    y = np.arange(40) % 4
    found = intervals("classification", y, 20 * np.eye(4)[y])
    assert found["balanced_accuracy"].low == found["accuracy"].low == wilson(40, 40).low < 1


def test_r2_of_equal_targets_is_left_out() -> None:
    assert intervals("regression", np.ones(9), np.arange(9.0)).keys() == {"mae", "rmse"}
    with pytest.raises(DataError, match="that define it"):
        compare("regression", "r2", np.ones(9), np.arange(9.0), np.arange(9.0))


@LAW
@given(st.integers(0, 10_000))
def test_comparison_is_antisymmetric_in_its_estimate_and_agrees_with_paired_difference(seed: int) -> None:
    y, one = draw(seed, 90)
    _, noise = draw(seed + 1, 90)
    two = one + noise
    there = compare("classification", "accuracy", y, one, two, seed=3)
    back = compare("classification", "accuracy", y, two, one, seed=3)
    assert there.difference == pytest.approx(-back.difference)
    assert {there.verdict, back.verdict} in ({"tie"}, {"better", "worse"})
    paired = paired_difference(one.argmax(1) == y, two.argmax(1) == y, seed=3)
    assert_allclose([paired.difference, paired.low, paired.high], [there.difference, there.low, there.high], atol=1e-12)


def test_less_is_better_of_errors() -> None:
    y = np.linspace(0, 1, 60)
    assert compare("regression", "rmse", y, y + 0.01, y + 0.5).verdict == "better"
    assert compare("regression", "rmse", y, y + 0.5, y + 0.01).verdict == "worse"
    assert compare("regression", "r2", y, y + 0.01, y + 0.5).verdict == "better"


def test_equal_networks_tie_with_a_width() -> None:
    right = np.arange(300) < 290
    found = paired_difference(right, right)
    assert (found.verdict, found.low, found.high) == ("tie", -0.01, 0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: intervals("ranking", [0], [[1.0]]), "expected 'classification' or 'regression'"),
        (lambda: intervals("regression", [0.0, 1.0], [1.0]), "one row of outputs"),
        (lambda: compare("regression", "accuracy", [0.0], [1.0], [1.0]), "expected one of mae, r2, rmse"),
        (lambda: paired_difference([1.0], [1.0, 2.0]), "two equal vectors"),
    ],
)
def test_what_does_not_fit_is_refused(call: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()  # type: ignore[operator]
