from __future__ import annotations

import numpy as np
import pytest

from archwright.strategies.ensemble import fit


def data(count, noise, seed=0):
    """Half of it a step that trees see, half a slope that networks see."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, 6))
    truth = np.sign(rows[:, 0]) + rows[:, 1] + 0.5 * rows[:, 2]
    marks = truth + noise * rng.standard_normal(count)
    return rows, (marks - marks.mean()) / marks.std(), (truth - marks.mean()) / marks.std()


def test_it_predicts_what_it_was_not_fitted_to_and_says_how_well():
    rows, marks, _ = data(300, 0.1)
    ensemble = fit(rows[:100], marks[:100], seed=1)
    mean, deviation = ensemble.predict(rows[100:])
    found = np.corrcoef(mean, marks[100:])[0, 1]
    assert found > 0.85
    assert ensemble.correlation == pytest.approx(found, abs=0.12)
    assert (deviation > 0).all()
    assert 0 < ensemble.share < 1


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_its_uncertainty_is_calibrated(noise):
    """The widened spread of the members covers new errors about as often as a normal law says: 68% and 95%."""
    inside = []
    for seed in range(4):
        rows, marks, _ = data(400, noise, seed)
        mean, deviation = fit(rows[:80], marks[:80], seed).predict(rows[80:])
        inside.append([(np.abs(marks[80:] - mean) < width * deviation).mean() for width in (1.0, 2.0)])
    one, two = np.mean(inside, axis=0)
    assert 0.6 < one < 0.82
    assert 0.88 < two < 0.99


def test_one_seed_gives_one_ensemble():
    rows, marks, _ = data(60, 0.3)
    first, second = (fit(rows, marks, seed=4).predict(rows) for _ in range(2))
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()


def test_noise_is_not_trusted():
    rows = np.random.default_rng(1).standard_normal((60, 5))
    marks = np.random.default_rng(2).standard_normal(60)
    assert abs(fit(rows, marks, seed=0).correlation) < 0.4


def test_few_and_constant_observations_are_survived():
    ensemble = fit(np.zeros((4, 3)), np.zeros(4), seed=0)
    mean, deviation = ensemble.predict(np.ones((2, 3)))
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
