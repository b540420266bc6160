import numpy as np
import pandas as pd
import pytest

from archwright.errors import DataError
from archwright.tasks import checks, load_task


def images(count=60, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 6, 6)).astype(np.float32)


Y = np.arange(60) % 3


def warned(task, words):
    return any(words in warning for warning in task.warnings)


def test_clean_data_has_no_warnings():
    assert load_task((images(), Y)).warnings == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_must_be_finite(value):
    x = images()
    x[17, 2, 2] = value
    with pytest.raises(DataError, match="image 17"):
        load_task((x, Y))


def test_few_rows_are_refused():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=19), "y": rng.normal(size=19)})
    with pytest.raises(DataError, match="Got 19 rows in 'table'; expected at least 20"):
        load_task(frame, "y")
    with pytest.raises(DataError, match="expected at least 5"):
        load_task((images(4), Y[:4]))


def test_small_classes_are_named():
    y = Y.copy()
    y[:2] = 7
    y[2] = 9
    task = load_task((images(), y))
    assert warned(task, "fewer than 3 rows, which not every split can hold: '7' (2), '9' (1)")
    assert {3, 4} <= set(task.train.y.tolist())


def test_classes_that_are_tested_but_not_learnt_are_named(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=images(), y_train=Y, x_test=images(9, 1), y_test=np.arange(9) % 4)
    assert warned(load_task(tmp_path / "d.npz"), "Classes without training rows, which no network can learn: '3'")


def test_training_rows_of_one_class_are_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=images(), y_train=Y * 0, x_test=images(9, 1), y_test=np.arange(9) % 2)
    with pytest.raises(DataError, match="one class only, '0', in the training rows"):
        load_task(tmp_path / "d.npz")


def test_empty_official_splits_are_drawn_or_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=images(), y_train=Y, x_test=images(0), y_test=Y[:0])
    assert len(load_task(tmp_path / "d.npz").test) == 12
    np.savez(tmp_path / "d.npz", x_train=images(0), y_train=Y[:0], x_test=images(), y_test=Y)
    with pytest.raises(DataError, match="no training rows"):
        load_task(tmp_path / "d.npz")


def test_leaking_rows_are_counted(tmp_path):
    x = images()
    np.savez(tmp_path / "d.npz", x_train=x, y_train=Y, x_test=np.concatenate([x[:6], images(6, 1)]), y_test=Y[:12])
    task = load_task(tmp_path / "d.npz")
    found = sum(
        int(word) for warning in task.warnings for word in warning.split()[1:2] if warning.startswith("Leaking:")
    )
    assert found == 6
    assert warned(task, "of 12 test rows")


def test_leaking_rows_of_tables_are_counted():
    rng = np.random.default_rng(0)
    x = np.tile(rng.normal(size=(30, 3)), (2, 1))
    assert warned(load_task((x, np.tile(rng.normal(size=30), 2))), "Leaking:")


def test_equal_rows_with_different_classes_are_counted():
    x = images()
    x[30:33] = x[0:3]
    y = Y.copy()
    y[30:33] = (y[0:3] + 1) % 3
    assert warned(load_task((x, y)), "Equal rows with different classes: 3 distinct")


def test_data_larger_than_memory_is_refused_with_numbers(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "d.npz", x=np.zeros((1000, 50, 50), np.float32), y=np.arange(1000) % 2)
    monkeypatch.setattr(checks, "available_bytes", lambda: 2_000_000)
    with pytest.raises(DataError, match=r"GB of content; 0\.0 GB of memory are free"):
        load_task(tmp_path / "d.npz")
    with pytest.raises(DataError, match=r"1,000 rows of 2,500 numbers in 'data', 0\.0 GB as float32"):
        load_task((np.random.default_rng(0).normal(size=(1000, 50, 50)), np.arange(1000) % 2))
    with pytest.raises(DataError, match="memory are free"):
        load_task((np.random.default_rng(0).normal(size=(1000, 500)), np.arange(1000) % 2))


def test_memory_is_measured():
    assert checks.available_bytes() > 1_000_000
