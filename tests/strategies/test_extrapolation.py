from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.strategies.extrapolation import CURVE, error, expected_error, with_expected_score
from archwright.testing.toy import toy_problem

FINAL = {"seconds": 100.0, "epochs": 20.0}
TRAINING = aw.Fidelity(5, 0.5)


def problem(metric: str = "accuracy", **settings: object) -> aw.Problem:
    return toy_problem(objectives=(aw.Objective.parse(metric),), fidelity=TRAINING, settings=settings)


def trial(value: float, *seconds: float, metric: str = "accuracy", status: str = "finished") -> aw.Trial:
    """A trial whose epochs took so many seconds."""
    measured = tuple(
        aw.Measurement({metric: value, "params": 5.0}, epoch + 1, notes={"training": taken})
        for epoch, taken in enumerate(seconds)
    )
    return aw.Trial(0, aw.Proposal(aw.Architecture(()), TRAINING), status, measured)


@pytest.mark.parametrize(
    ("metric", "value", "missing"),
    [("accuracy", 0.9, 0.1), ("r2", 0.25, 0.75), ("log_loss", 0.3, 0.3), ("params", 100.0, None), ("score", 3.0, None)],
)
def test_what_is_missing_of_a_perfect_score(metric, value, missing):
    assert error(trial(value, 1.0, metric=metric), problem(metric)) == (
        missing if missing is None else pytest.approx(missing)
    )


@given(st.floats(0.0, 1.0), st.floats(0.1, 10.0), st.floats(0.01, 1000.0))
def test_training_longer_lowers_the_error_and_less_changes_nothing(missing, trained, epochs):
    found = expected_error(missing, trained, epochs)
    assert 0.0 <= found <= missing
    if epochs <= trained:
        assert found == missing


def test_a_slow_network_has_to_be_better():
    seen = [
        with_expected_score(problem(final=FINAL), trial(0.8, 9.0, *[seconds] * 3)).value("accuracy")
        for seconds in (1, 5, 10, 50)
    ]
    assert seen[0] > 0.8
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == pytest.approx(0.8), "there is no time to train it for longer than it was"
    epochs = 100.0 / (5.0 / 0.5)
    assert seen[1] == pytest.approx(1.0 - expected_error(0.2, 2.5, epochs))


def test_the_most_epochs_are_the_most_a_fast_network_gains():
    fast, faster = (with_expected_score(problem(final=FINAL), trial(0.8, taken)) for taken in (1.0, 0.1))
    assert fast.value("accuracy") == faster.value("accuracy") == pytest.approx(1.0 - expected_error(0.2, 2.5, 20.0))
    assert fast.value("params") == 5.0


def test_a_loss_falls():
    assert (
        with_expected_score(problem("min:log_loss", final=FINAL), trial(0.5, 0.1, metric="log_loss")).value("log_loss")
        < 0.5
    )


@pytest.mark.parametrize(
    ("of", "given"),
    [
        (problem(), trial(0.8, 1.0)),
        (problem("score", final=FINAL), trial(0.8, 1.0, metric="score")),
        (problem(final=FINAL), trial(0.8, 1.0, status="failed")),
        (problem(final=FINAL), trial(0.8)),
        (
            dataclasses.replace(problem(final=FINAL), constraints=(aw.Constraint.parse("accuracy>=0.9"),)),
            trial(0.8, 1.0),
        ),
    ],
)
def test_else_a_trial_is_left_as_it_is(of, given):
    assert with_expected_score(of, given) is given


@given(st.floats(0.05, 50.0), st.floats(1.0, 30.0), st.floats(1.0, 30.0))
def test_what_a_curve_gains_adds_up(trained, first, second):
    middle, end = trained * first, trained * first * second
    whole = CURVE.gain(trained, end)
    assert whole == pytest.approx(CURVE.gain(trained, middle) + CURVE.gain(middle, end), abs=1e-9)
    assert whole >= 0
    assert CURVE.deviation(trained, end) >= CURVE.deviation(trained, middle) > 0


@given(st.floats(0.1, 50.0))
def test_the_slope_is_the_derivative_of_the_gain(epochs):
    step = 1e-5
    assert CURVE.gain(epochs, epochs * (1 + step)) / step == pytest.approx(CURVE.slope(epochs), rel=1e-3)
