import statistics
import time

import numpy as np
import pytest
from sklearn import metrics as reference

from archwright.errors import DataError
from archwright.tasks import METRICS, metrics


def test_classification_agrees_with_scikit_learn(recwarn):
    rng = np.random.default_rng(0)
    y, logits = rng.integers(0, 5, 300), rng.normal(size=(300, 5)).astype(np.float32)
    found = metrics("classification", y, logits)
    guess = logits.argmax(axis=1)
    chances = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum(axis=1, keepdims=True)
    assert tuple(found) == METRICS["classification"]
    assert found["accuracy"] == reference.accuracy_score(y, guess)
    assert found["balanced_accuracy"] == pytest.approx(reference.balanced_accuracy_score(y, guess))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(y, guess, average="macro"))
    assert found["log_loss"] == pytest.approx(reference.log_loss(y, chances))
    assert not recwarn.list


def test_classes_missing_from_a_split_do_no_harm(recwarn):
    logits = np.eye(4)[[0, 1, 3, 3]] * 20
    found = metrics("classification", np.array([0, 1, 3, 3]), logits)
    assert found["accuracy"] == found["balanced_accuracy"] == found["macro_f1"] == 1.0
    assert found["log_loss"] < 1e-6
    only_one = metrics("classification", np.zeros(4, dtype=np.int64), np.eye(4) * 20)
    assert only_one["accuracy"] == only_one["balanced_accuracy"] == 0.25
    assert not recwarn.list


def test_regression_is_in_the_targets_own_units():
    y, predicted = np.array([0.0, 1.0, 2.0], dtype=np.float32), np.array([[0.0], [1.0], [3.0]])
    found = metrics("regression", y, predicted, scale=30.0)
    assert set(found) == set(METRICS["regression"])
    assert found["mae"] == pytest.approx(10.0)
    assert found["rmse"] == pytest.approx(30.0 / np.sqrt(3))
    assert found["r2"] == pytest.approx(0.5)
    assert metrics("regression", y, predicted[:, 0], scale=30.0) == found


def test_outputs_that_are_not_finite_have_no_metrics():
    bad = np.array([[np.nan, 0.0], [1.0, 0.0]])
    assert all(np.isnan(value) for value in metrics("classification", np.array([0, 1]), bad).values())
    assert all(np.isnan(value) for value in metrics("regression", np.zeros(2), np.array([np.inf, 0])).values())


@pytest.mark.parametrize(
    ("kind", "y", "outputs"),
    [
        ("classification", np.zeros(3, dtype=int), np.zeros((2, 2))),
        ("classification", np.zeros((3, 1), dtype=int), np.zeros((3, 2))),
        ("classification", np.zeros(0, dtype=int), np.zeros((0, 2))),
        ("regression", np.zeros(3), np.zeros((3, 2))),
        ("ranking", np.zeros(3), np.zeros(3)),
    ],
)
def test_wrong_shapes_and_kinds_are_refused(kind, y, outputs):
    with pytest.raises(DataError, match="expected"):
        metrics(kind, y, outputs)


def test_it_is_fast_enough_for_every_epoch():
    rng = np.random.default_rng(0)
    y, logits = rng.integers(0, 10, 12_000), rng.normal(size=(12_000, 10)).astype(np.float32)
    seconds = []
    for _ in range(7):
        start = time.process_time()
        metrics("classification", y, logits)
        seconds.append(time.process_time() - start)
    assert statistics.median(seconds) < 0.04
