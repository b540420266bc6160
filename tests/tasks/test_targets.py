import numpy as np
import pandas as pd
import pytest

from archwright.errors import DataError
from archwright.tasks import load_task


def table(y, count=100):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=count), "b": rng.normal(size=count), "y": y})


ROWS = np.arange(100)


@pytest.mark.parametrize(
    ("y", "kind", "warned"),
    [
        (np.array(["no", "yes"])[ROWS % 2], "classification", False),
        (ROWS % 2 == 0, "classification", False),
        (np.array(["true", "false"])[ROWS % 2], "classification", False),
        (ROWS % 3, "classification", False),
        ((ROWS % 3).astype(float), "classification", False),
        ((ROWS % 3).astype(str), "classification", False),
        (ROWS % 15, "classification", True),
        (ROWS, "regression", True),
        (ROWS / 7, "regression", False),
        ((ROWS / 7).astype(str), "regression", False),
    ],
)
def test_the_kind_is_guessed_and_doubt_is_said(y, kind, warned):
    task = load_task(table(y), "y")
    assert task.kind == kind
    assert any("for the other reading" in warning for warning in task.warnings) == warned


def test_the_guess_can_be_overruled():
    assert load_task(table(ROWS % 15), "y", kind="regression").kind == "regression"
    assert load_task(table(ROWS // 4), "y", kind="classification").kind == "classification"
    with pytest.raises(DataError, match="expected 'classification', 'regression'"):
        load_task(table(ROWS % 3), "y", kind="ranking")


def test_classes_are_sorted_as_numbers_where_they_are():
    y = np.array([10, 9, 100])[ROWS % 3]
    for given in (y, y.astype(str), y.astype(float), pd.Series(y, dtype="Int64")):
        assert load_task(table(given), "y").classes == ("9", "10", "100")
    assert load_task(table(np.array(["b", " a", "b "])[ROWS % 3]), "y").classes == ("a", "b")


@pytest.mark.parametrize(
    ("y", "kind", "words"),
    [
        (np.where(ROWS == 7, np.inf, ROWS / 7), None, "1 infinite"),
        (np.array(["cheap", "dear"])[ROWS % 2], "regression", "Got 'cheap' in 'y'; regression expects numbers"),
        (ROWS / 7, "classification", "whole numbers or texts"),
        (np.zeros(100), None, "one class only, '0'"),
        (np.full(100, 2.5), None, "the one value 2.5"),
        (np.full(100, None), None, "no rows with a target"),
        ([f"name {i}" for i in ROWS], None, "100 classes for 100 rows"),
    ],
)
def test_targets_that_cannot_be_learnt_are_refused(y, kind, words):
    with pytest.raises(DataError, match=words):
        load_task(table(y), "y", kind=kind)


def test_a_program_must_hand_over_every_target():
    x = np.random.default_rng(0).normal(size=(100, 2))
    y = ROWS / 7
    y[4] = np.nan
    with pytest.raises(DataError, match="1 of 100 targets, the first in row 4"):
        load_task((x, y))
