"""Gaussian processes over architectures: kernels, posterior, hyper-parameters, expected improvement."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from archwright.errors import StrategyError
from archwright.space.zoo import get_space
from archwright.strategies.gp import (
    LENGTHS,
    NOISES,
    Hyper,
    Warp,
    believe,
    condition,
    expected_improvement,
    likeliest,
)
from archwright.strategies.kernels import Shape, distances, features, kernel, scale_of
from archwright.testing.toy import ToySpace

SPACE = get_space("nas-bench-201")
HYPER = Hyper(Shape(2 / 3, 1 / 3), 0.05, (6.0, 4.0))


def drawn(count, seed=0, space=SPACE):
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(space.sample(rng) for _ in range(2 * count)))[:count]


def test_distances_count_choices_and_paths():
    first, second = drawn(8), drawn(5, seed=1)
    found = distances(features(SPACE, first), features(SPACE, second), (6.0, 1.0))
    for row, one in enumerate(first):
        for column, other in enumerate(second):
            differ = sum(a != b for a, b in zip(one.choices, other.choices))
            assert found.choices[row, column] == pytest.approx(differ / 6)
            apart = len(SPACE.paths(one) ^ SPACE.paths(other))
            assert found.paths[row, column] == pytest.approx(apart**0.5)


def test_spaces_without_paths_have_choices_only():
    for space in (get_space("cnn"), ToySpace()):
        rows = features(space, drawn(3, space=space))
        assert rows.paths is None
        assert distances(rows, rows, scale_of(rows)).paths is None


def test_a_space_without_hash_is_refused():
    class Mutable(ToySpace):
        __hash__ = None

    with pytest.raises(StrategyError, match="Mutable a frozen dataclass"):
        features(Mutable(), drawn(2, space=ToySpace()))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([Shape(1 / 3), Shape(4 / 3, 1 / 3), Shape(2 / 3, 4 / 3)]))
def test_kernels_are_positive_definite(seed, shape):
    rows = features(SPACE, drawn(30, seed))
    covariance = kernel(distances(rows, rows, scale_of(rows)), shape)
    assert np.allclose(covariance, covariance.T)
    assert np.allclose(np.diag(covariance), 1.0)
    assert np.linalg.eigvalsh(covariance).min() > -1e-6


def test_the_posterior_is_that_of_the_textbook():
    rows, new = features(SPACE, drawn(25)), features(SPACE, drawn(10, seed=9))
    targets = np.random.default_rng(0).normal(size=25)
    posterior = condition(rows, targets, HYPER)
    inside = kernel(distances(rows, rows, HYPER.scale), HYPER.shape)
    inverse = np.linalg.inv(inside + 0.05 * np.eye(25))
    across = kernel(distances(rows, new, HYPER.scale), HYPER.shape)
    ones = np.ones(25)
    mean = ones @ inverse @ targets / (ones @ inverse @ ones)
    variance = (targets - mean) @ inverse @ (targets - mean) / 25
    predicted, deviation = posterior.predict(new)
    assert np.allclose(predicted, mean + across.T @ inverse @ (targets - mean))
    expected = variance * (1.0 - np.einsum("ij,ik,kj->j", across, inverse, across))
    assert np.allclose(deviation**2, expected)


def test_believing_changes_no_mean_and_shrinks_the_uncertainty():
    rows, pending, new = (features(SPACE, drawn(count, seed)) for count, seed in ((20, 0), (4, 5), (30, 7)))
    targets = np.random.default_rng(1).normal(size=20)
    before = condition(rows, targets, HYPER)
    after, believed = believe(before, pending)
    assert np.allclose(believed, before.predict(pending)[0])
    (mean, deviation), (same, smaller) = before.predict(new), after.predict(new)
    assert np.allclose(mean, same)
    assert (smaller <= deviation + 1e-9).all()
    assert (after.predict(pending)[1] < 0.5 * before.predict(pending)[1]).all()
    both = condition(rows.join(pending), np.concatenate([targets, believed]), HYPER)
    assert np.allclose(both.factor, after.factor)


def test_the_hyper_parameters_are_the_likeliest_of_the_grid():
    rows = features(SPACE, drawn(40))
    scale, rng = scale_of(rows), np.random.default_rng(2)
    between = distances(rows, rows, scale)
    targets = rng.multivariate_normal(np.zeros(40), kernel(between, Shape(1 / 3, 4 / 3)) + 0.05 * np.eye(40))
    shapes = [Shape(one, other) for one in LENGTHS for other in (None, *LENGTHS)]
    ones = np.ones(40)

    def likelihood(hyper):
        covariance = kernel(between, hyper.shape) + hyper.noise * np.eye(40)
        inverse = np.linalg.inv(covariance)
        mean = ones @ inverse @ targets / (ones @ inverse @ ones)
        variance = (targets - mean) @ inverse @ (targets - mean) / 40
        return multivariate_normal(mean * ones, variance * covariance).logpdf(targets)

    best = max((Hyper(shape, noise, scale) for shape in shapes for noise in NOISES), key=likelihood)
    assert likeliest(rows, targets) == best


def test_the_likelihood_takes_paths_where_they_explain():
    rows = features(SPACE, drawn(100))
    scale, rng = scale_of(rows), np.random.default_rng(3)
    between = distances(rows, rows, scale)
    by_path = np.exp(between.paths * -1.5) + 0.01 * np.eye(100)
    by_choice = np.exp(between.choices * -1.5) + 0.01 * np.eye(100)
    taken = {
        name: sum(
            likeliest(rows, rng.multivariate_normal(np.zeros(100), covariance)).shape.paths is not None
            for _ in range(8)
        )
        for name, covariance in (("paths", by_path), ("choices", by_choice))
    }
    assert taken["paths"] >= 6
    assert taken["choices"] <= 3


def test_expected_improvement_agrees_with_simulation():
    rng = np.random.default_rng(0)
    mean, deviation = np.array([-1.0, 0.0, 0.4, 2.0]), np.array([0.5, 1.0, 0.1, 2.0])
    draws = mean + deviation * rng.standard_normal((400_000, 4))
    simulated = np.maximum(draws - 0.5, 0.0).mean(axis=0)
    assert np.allclose(expected_improvement(mean, deviation, 0.5), simulated, atol=0.01)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=40),
    st.floats(0.01, 50),
    st.floats(-1000, 1000),
)
def test_the_warp_keeps_order_inverts_and_has_no_scale(scores, factor, shift):
    scores = np.round(np.array(scores), 3)
    warp = Warp.of(scores)
    targets = warp(scores)
    assert np.isfinite(targets).all()
    for one, target in zip(scores, targets):
        assert warp.back(float(target)) == pytest.approx(one, abs=1e-6 * max(1.0, warp.spread))
    order = np.argsort(scores)
    assert (np.diff(targets[order]) >= -1e-12).all()
    assert np.allclose(Warp.of(factor * scores + shift)(factor * scores + shift), targets, atol=1e-3)


def test_the_warp_spreads_the_best_and_packs_failures():
    scores = np.array([10.0, 20.0, 88.0, 90.0, 91.0, 92.0, 93.0, 93.5, 94.0, 94.4])
    targets = Warp.of(scores)(scores)
    worst, best = scores[2] - scores[0], scores[-1] - scores[-2]
    assert (targets[-1] - targets[-2]) / (targets[2] - targets[0]) > 30 * best / worst
