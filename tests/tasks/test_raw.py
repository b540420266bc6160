from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import DataError
from archwright.tasks import load_task


def table(rows, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.choice(["u", "v"], rows)})
    return frame.assign(y=np.arange(rows) % 3)


@given(st.integers(30, 80), st.integers(10, 40), st.integers(0, 99))
@settings(deadline=None, max_examples=10)
def test_given_test_rows_are_the_test_split_and_nothing_else_is(rows, held, seed):
    train, test = table(rows), table(held, 1)
    task = load_task(train, "y", test=test[["y", "b", "a"]], seed=seed)
    assert np.array_equal(task.test.y, test["y"])
    assert np.allclose(task.test.x, task.apply(test[["a", "b"]]))
    assert len(task.train) + len(task.valid) == rows


def test_images_and_files_take_test_rows(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 2
    task = load_task((x[:40], y[:40]), test=(x[40:], y[40:]))
    assert np.array_equal(task.test.x, task.apply(x[40:]))
    table(50).to_csv(tmp_path / "train.csv", index=False)
    table(20, 1).to_csv(tmp_path / "test.csv", index=False)
    task = load_task(tmp_path / "train.csv", "y", test=tmp_path / "test.csv")
    assert (len(task.train) + len(task.valid), len(task.test)) == (50, 20)


@pytest.mark.parametrize(
    ("source", "test", "message"),
    [
        (table(50), table(20).drop(columns="a"), r"a table of b with .*; expected a table of a, b"),
        (table(50), table(20).assign(y="one"), "with names as targets.*; expected .* with numbers"),
        ("fashion", (np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2), "names test rows itself"),
    ],
)
def test_other_test_rows_are_an_error(source, test, message, tmp_path):
    target = "y"
    if isinstance(source, str):
        x, y = np.zeros((60, 8, 8), np.uint8), np.arange(60) % 2
        np.savez(tmp_path / "split.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        source, target = tmp_path / "split.npz", None
    with pytest.raises(DataError, match=message):
        load_task(source, target, test=test)


def test_a_text_takes_no_test_rows(tmp_path):
    (tmp_path / "book.txt").write_text("abc " * 500)
    with pytest.raises(DataError, match="a text, which is cut"):
        load_task(tmp_path / "book.txt", test=tmp_path / "book.txt")
