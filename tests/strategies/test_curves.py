from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.strategies.curves import MOST, Curve, Fit, Forecast, forecast


def rising(count, epochs=12, seed=0, noise=0.01):
    """Curves ``limit (1 - rate^epoch)`` with noise, of networks whose limit grows with their size."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        size, rate = rng.uniform(5, 10), rng.uniform(0.5, 0.8)
        limit = 0.5 + 0.04 * size + 0.03 * rng.standard_normal()
        values = limit * (1 - rate ** np.arange(1, epochs + 1)) + noise * rng.standard_normal(epochs)
        found.append(Curve(number, (size, 2 * size), tuple(range(1, epochs + 1)), (tuple(values.tolist()),)))
    return found


def begun(curve, epochs, start=0):
    return Curve(
        curve.trial, curve.costs, curve.steps[start:epochs], tuple(series[start:epochs] for series in curve.values)
    )


def test_a_linear_law_is_found_exactly():
    rng = np.random.default_rng(0)
    values, costs = rng.random((40, 2)), rng.random((40, 2))
    finals = 0.3 + values @ [0.2, 0.9] + costs @ [0.1, -0.2]
    fit = Fit(values, costs, finals)
    predicted = fit.forecast([0.4, 0.6], [0.5, 0.5])
    assert predicted.mean == pytest.approx(0.3 + 0.08 + 0.54 + 0.05 - 0.1, abs=1e-3)
    assert predicted.deviation < 5e-3


def test_the_error_is_that_of_leaving_each_curve_out():
    """Refits by normal equations, each without one curve, with the penalty and the scales of all."""
    rng = np.random.default_rng(1)
    values, costs = rng.random((15, 3)), rng.random((15, 1))
    finals = values[:, -1] + rng.random(15)
    fit = Fit(values, costs, finals)
    features = np.concatenate([values, np.diff(values), np.diff(values, n=2), costs], axis=1)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    gains = finals - values[:, -1]
    errors = []
    for out in range(15):
        kept = np.arange(15) != out
        penalty = np.diag([0.0, *[fit._penalty] * scaled.shape[1]])
        design = np.concatenate([np.ones((14, 1)), scaled[kept]], axis=1)
        weights = np.linalg.solve(design.T @ design + penalty, design.T @ gains[kept])
        errors.append(gains[out] - weights[0] - scaled[out] @ weights[1:])
    assert fit._error == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-9)


@pytest.mark.parametrize("epochs", [2, 4, 8])
def test_forecasts_are_better_than_the_last_value_and_calibrated(epochs):
    known, asked = rising(60), rising(300, seed=1)
    errors, last, inside = [], [], []
    for curve in asked:
        (one,) = forecast(begun(curve, epochs), known, 10)
        final = curve.values[0][-1]
        errors.append(final - one.mean)
        last.append(final - curve.values[0][epochs - 1])
        inside.append(0.05 < one.below(final) < 0.95)
    assert np.std(errors) < 0.7 * np.std(last)
    assert abs(np.mean(errors)) < 0.01
    assert np.mean(inside) == pytest.approx(0.9, abs=0.06)


def test_it_needs_enough_curves_with_the_same_steps_that_go_on():
    known = rising(20)
    assert forecast(begun(known[0], 4), known[:9], 10) is None
    assert forecast(begun(known[0], 4), known[:10], 10) is not None
    assert forecast(begun(known[0], 4), [begun(curve, 4) for curve in known], 10) is None
    odd = Curve(99, (1.0, 2.0), (3, 99), ((0.1, 0.2),))
    assert forecast(odd, known, 10) is None
    assert forecast(odd, [], 1) is None


def test_a_resumed_training_is_judged_by_the_same_part_of_the_others():
    known = rising(40)
    resumed = begun(known[0], 9, start=6)
    (one,) = forecast(resumed, known[1:], 10)
    assert resumed.steps == (7, 8, 9)
    assert abs(one.mean - known[0].values[0][-1]) < 0.05


def test_each_objective_has_its_own_forecast():
    known = rising(30)
    double = [
        Curve(one.trial, one.costs, one.steps, (one.values[0], tuple(-v for v in one.values[0]))) for one in known
    ]
    first, second = forecast(begun(double[0], 5), double, 10)
    assert second.mean == pytest.approx(-first.mean)
    assert second.deviation == pytest.approx(first.deviation)


def test_the_latest_curves_count_and_the_same_ones_for_a_while():
    known, others = rising(MOST + 60), rising(10, seed=5, noise=1.0)
    asked = begun(known[0], 4)
    assert forecast(asked, known, 10) == forecast(asked, [*others, *known[10:]], 10)
    assert forecast(asked, known[:40], 10) == forecast(asked, known[:44], 10)
    assert forecast(asked, known[:40], 10) != forecast(asked, known[:45], 10)


@settings(deadline=None, max_examples=60)
@given(st.integers(3, 12), st.integers(1, 6), st.sampled_from([0.0, 1e-9, 1.0, 1e6]), st.integers(0, 1000))
def test_forecasts_are_finite_whatever_the_curves(count, steps, scale, seed):
    rng = np.random.default_rng(seed)
    fit = Fit(scale * rng.standard_normal((count, steps)), np.zeros((count, 2)), scale * rng.standard_normal(count))
    one = fit.forecast((scale * rng.standard_normal(steps)).tolist(), [0.0, 5.0])
    assert np.isfinite([one.mean, one.deviation, one.freedom]).all()
    assert 0.0 <= one.below(0.3) <= one.below(0.4) <= 1.0


def test_a_certain_forecast_is_a_step():
    one = Forecast(0.5, 0.0, 10.0)
    assert (one.below(0.5), one.below(0.51)) == (0.0, 1.0)
