from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from archwright.problem import Budget, Objective, Problem, Signature
from archwright.space.zoo import get_space
from archwright.strategies.features import Views, view
from archwright.strategies.history import Observed
from archwright.strategies.surrogate import (
    LENGTHS,
    NOISES,
    Hyper,
    Marks,
    Surrogate,
    condition,
    fitted,
    kernel,
    likeliest,
    units_of,
)
from archwright.testing.toy import ToySpace, toy_problem

CELLS = Problem(
    get_space("nas-bench-201"), Signature(((3, 32, 32),), (10,)), (Objective("accuracy"),), budget=Budget(trials=9)
)
TOY = toy_problem(ToySpace((4,) * 6))


def drawn(problem: Problem, count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return list({problem.space.sample(rng): None for _ in range(count)})


def learned(count: int = 30, noise: float = 0.0, seed: int = 0):
    """Toy architectures, their marks, and a process given them."""
    architectures = drawn(TOY, count, seed)
    rng = np.random.default_rng(seed)
    scores = np.array([TOY.space.value(one) + noise * rng.standard_normal() for one in architectures])
    marks, targets = Marks.of(scores)
    rows = view(TOY, architectures)
    units = units_of(rows)
    return rows, marks, targets, condition(rows, targets, units, likeliest(rows, targets, units))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=40))
def test_marks_keep_the_order_and_depend_on_nothing_else(values):
    scores = np.array(values, float)
    marks, targets = Marks.of(scores)
    assert (np.argsort(targets, kind="stable") == np.argsort(scores, kind="stable")).all()
    assert Marks.of(np.exp(scores / 10))[1] == pytest.approx(targets)
    assert [marks.back(float(mark)) for mark in targets] == pytest.approx(scores.tolist())
    if np.ptp(scores) > 0:
        assert (targets.mean(), targets.std()) == (pytest.approx(0.0, abs=1e-9), pytest.approx(1.0))
        assert marks.back(float(targets.max()) + 0.5) > scores.max()


@pytest.mark.parametrize("problem", [TOY, CELLS], ids=["toy", "cells"])
@pytest.mark.parametrize("length", [0.35, 5.6])
def test_the_kernel_is_a_covariance(problem, length):
    rows = view(problem, drawn(problem, 60))
    matrix = kernel(rows, rows, units_of(rows), length)
    assert matrix == pytest.approx(matrix.T)
    assert np.diag(matrix) == pytest.approx(1.0)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9
    assert 0 < matrix.min() <= matrix.max() <= 1 + 1e-12


def test_a_typical_distance_is_one_in_every_view():
    rows = view(CELLS, drawn(CELLS, 50))
    units = units_of(rows)
    assert rows.names == ("choices", "paths", "costs")
    for place, name in enumerate(rows.names):
        single = Views(**{"choices": rows.choices, name: getattr(rows, name)})
        matrix = -np.log(kernel(single, single, (units[0], units[place])[: len(single.names)], 1.0))
        if name == "choices":
            assert matrix.sum() / (50 * 49) == pytest.approx(1.0, rel=0.05)


def test_what_is_left_out_is_predicted_as_by_a_process_without_it():
    rows, _, targets, process = learned(12)
    for left in range(len(targets)):
        kept = np.arange(len(targets)) != left
        others = Views(rows.choices[kept], None, rows.costs[kept])
        without = condition(others, targets[kept], process.units, process.hyper)
        mean, _ = without.predict(Views(rows.choices[~kept], None, rows.costs[~kept]))
        assert process.left_out[left] == pytest.approx(mean[0])


def test_it_predicts_better_than_chance_and_knows_how_well():
    _rows, _, _, process = learned(40)
    others = list(drawn(TOY, 300, seed=1))
    mean, _ = process.predict(view(TOY, others))
    truth = np.array([TOY.space.value(one) for one in others])
    assert np.corrcoef(mean, truth)[0, 1] > 0.8
    assert process.correlation > 0.6
    assert abs(learned_from_noise().correlation) < 0.5


def learned_from_noise() -> Surrogate:
    rows = view(TOY, drawn(TOY, 40))
    _, targets = Marks.of(np.random.default_rng(5).standard_normal(len(rows)))
    units = units_of(rows)
    return condition(rows, targets, units, likeliest(rows, targets, units))


def test_the_posterior_is_that_of_the_textbook():
    rows, new = view(CELLS, drawn(CELLS, 25)), view(CELLS, drawn(CELLS, 10, seed=9))
    targets, units, hyper = np.random.default_rng(0).normal(size=len(rows)), units_of(rows), Hyper(0.7, 0.1)
    inside = kernel(rows, rows, units, 0.7)
    inverse = np.linalg.inv(inside + 0.1 * np.eye(len(rows)))
    across = kernel(rows, new, units, 0.7)
    variance = targets @ inverse @ targets / len(rows)
    mean, deviation = condition(rows, targets, units, hyper).predict(new)
    assert mean == pytest.approx(across.T @ inverse @ targets)
    assert deviation**2 == pytest.approx(variance * (1.0 - np.einsum("ij,ik,kj->j", across, inverse, across)))


def test_the_hyper_parameters_are_the_likeliest_of_the_grid():
    rows, rng = view(CELLS, drawn(CELLS, 40)), np.random.default_rng(2)
    units, count = units_of(rows), len(rows)
    targets = rng.multivariate_normal(np.zeros(count), kernel(rows, rows, units, 1.4) + 0.1 * np.eye(count))

    def likelihood(hyper):
        covariance = kernel(rows, rows, units, hyper.length) + hyper.noise * np.eye(count)
        variance = targets @ np.linalg.inv(covariance) @ targets / count
        return multivariate_normal(np.zeros(count), variance * covariance).logpdf(targets)

    grid = [Hyper(length, noise) for length in LENGTHS for noise in NOISES]
    assert likeliest(rows, targets, units) == max(grid, key=likelihood)


def test_a_fit_sees_the_views_it_is_asked_for_and_is_kept():
    observed = [
        Observed(number, architecture, (float(number),), "") for number, architecture in enumerate(drawn(CELLS, 20))
    ]
    process, marks = fitted(CELLS, observed, ("choices", "paths"))
    assert process.views == ("choices", "paths")
    assert fitted(CELLS, observed)[0].views == ("choices", "paths", "costs")
    assert fitted(CELLS, tuple(observed), ("choices", "paths"))[0] is process
    assert marks.scores.tolist() == [float(number) for number in range(len(observed))]
    mean, _ = process.predict(view(CELLS, [item.architecture for item in observed], ("choices", "paths")))
    assert np.corrcoef(mean, np.arange(len(observed)))[0, 1] > 0.5


def test_noise_is_recognised():
    quiet, loud = learned(60, 0.0)[3], learned(60, 1.0)[3]
    assert quiet.hyper.noise < loud.hyper.noise


def test_deviations_are_calibrated():
    """Of unknown architectures, about as many lie within a deviation (noise included) as a normal law says."""
    inside = []
    for seed in range(10):
        architectures = drawn(TOY, 140, seed)
        rng = np.random.default_rng([seed, 1])
        scores = np.array([TOY.space.value(one) + 0.05 * rng.standard_normal() for one in architectures])
        _, targets = Marks.of(scores)
        rows = view(TOY, architectures)
        train, rest = Views(rows.choices[:40], None, rows.costs[:40]), Views(rows.choices[40:], None, rows.costs[40:])
        units = units_of(train)
        process = condition(train, targets[:40], units, likeliest(train, targets[:40], units))
        mean, deviation = process.predict(rest)
        whole = np.sqrt(deviation**2 + process.hyper.noise * process.variance)
        inside.append(np.abs(targets[40:] - mean) < whole)
    assert 0.58 < np.mean(np.concatenate(inside)) < 0.85  # 0.68 were exact


def test_believing_changes_no_mean_and_lowers_the_uncertainty():
    *_, process = learned(20)
    pending = view(TOY, drawn(TOY, 5, seed=3))
    others = view(TOY, drawn(TOY, 50, seed=4))
    believed = process.believe(pending)
    assert believed.predict(others)[0] == pytest.approx(process.predict(others)[0], abs=1e-9)
    assert (believed.predict(pending)[1] < process.predict(pending)[1]).all()


def test_a_prediction_is_told_on_the_scale_of_scores():
    marks, targets = Marks.of(np.array([0.1, 0.9, 0.91, 0.92]))
    said = marks.explain(float(targets[2]), 0.2)
    assert said["predicted"] == pytest.approx(0.91)
    assert 0 < said["uncertainty"] < 0.05


def test_constant_scores_are_survived():
    rows = view(TOY, drawn(TOY, 5))
    marks, targets = Marks.of(np.ones(5))
    units = units_of(rows)
    process = condition(rows, targets, units, likeliest(rows, targets, units))
    mean, deviation = process.predict(rows)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
    assert marks.back(0.3) == 1.0
    assert isinstance(process.hyper, Hyper)
