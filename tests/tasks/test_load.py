import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import DataError
from archwright.tasks import load_task

DATA = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
PNEUMONIA = DATA / "tasks" / "pneumoniamnist_rebuilt.npz"


def rows(task):
    return sorted(
        x.tobytes() + y.tobytes() for split in (task.train, task.valid, task.test) for x, y in zip(split.x, split.y)
    )


@given(st.integers(20, 90), st.integers(0, 1000), st.sampled_from(["image", "classes", "numbers"]))
@settings(deadline=None, max_examples=20)
def test_splits_are_disjoint_and_complete(count, seed, what):
    number = np.arange(count)
    if what == "image":
        x = np.random.default_rng(0).normal(size=(count, 3, 3))
        x[:, 0, 0] = number
    else:
        x = np.stack([np.random.default_rng(0).permutation(count), number**2], axis=1).astype(float)
    y = number * 1.5 if what == "numbers" else number % 3
    task = load_task((x, y), seed=seed)
    applied = task.apply(x)
    assert sorted(map(bytes, applied)) == sorted(
        bytes(row) for split in (task.train, task.valid, task.test) for row in split.x
    )
    assert len({bytes(row) for row in applied}) == count
    assert min(len(task.train), len(task.valid), len(task.test)) > 0
    again = load_task((x, y), seed=seed)
    assert all((getattr(task, name).x == getattr(again, name).x).all() for name in ("train", "valid", "test"))
    assert task.data_hash == again.data_hash


def test_another_seed_is_another_split():
    first, second = load_task("wine", seed=0), load_task("wine", seed=1)
    assert first.data_hash != second.data_hash
    assert (first.train.x != second.train.x).any()
    with pytest.raises(DataError, match="seed=-1"):
        load_task("wine", seed=-1)


def test_statistics_come_from_the_training_rows_alone(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), np.arange(60) % 2
    frame = pd.DataFrame({"a": rng.normal(size=60), "c": np.array(["u", "v"])[y], "y": rng.permutation(60) / 2})
    table = load_task(frame, "y")
    trained = set((table.train.y * table.target_std + table.target_mean).round(1).tolist())
    others = ~frame["y"].isin(np.round(list(map(float, trained)), 1))
    assert others.sum() == 24
    changed = frame.assign(a=frame["a"].where(~others, 1e3), c=frame["c"].where(~others, "w"))
    assert load_task(changed, "y").preprocess == table.preprocess
    for test in (x[:10], np.zeros_like(x[:10])):
        np.savez(
            tmp_path / "d.npz", x_train=x[:40], y_train=y[:40], x_val=test, y_val=y[:10], x_test=test, y_test=y[:10]
        )
        task = load_task(tmp_path / "d.npz")
        assert task.preprocess["mean"][0] == pytest.approx(x[:40].mean() / 255, rel=1e-12)
        assert task.preprocess["std"][0] == pytest.approx(x[:40].std() / 255, rel=1e-12)


def test_training_inputs_are_standardised():
    for name, axes, scaling in (("digits", (0, 2, 3), "robust"), ("wine", 0, "standard")):
        x = load_task(name, scaling=scaling).train.x.astype(np.float64)
        np.testing.assert_allclose(x.mean(axis=axes), 0, atol=1e-6)
        np.testing.assert_allclose(x.std(axis=axes), 1, atol=1e-6)


def test_columns_of_tables_lie_around_their_medians_and_are_clipped():
    x = load_task("wine").train.x
    np.testing.assert_allclose(np.median(x, axis=0), 0, atol=1e-6)
    assert np.abs(x).max() < 3


@pytest.mark.parametrize("name", ["digits", "breast-cancer", "diabetes"])
def test_raw_inputs_become_the_stored_rows_bit_for_bit(name):
    from sklearn import datasets

    task = load_task(name)
    raw = getattr(datasets, f"load_{name.replace('-', '_')}")()
    applied = task.apply(raw.images.astype(np.uint8) if name == "digits" else raw.data)
    stored = np.concatenate([split.x for split in (task.train, task.valid, task.test)])
    assert sorted(map(bytes, applied)) == sorted(map(bytes, stored))
    assert (task.apply(raw.images[:1].astype(np.uint8) if name == "digits" else raw.data[:1]) == applied[:1]).all()


def test_other_processes_see_the_same_task_and_need_no_torch():
    code = """
import sys
from archwright.tasks import load_task, metrics
print([load_task(name, seed=5).data_hash for name in ("digits", "diabetes")], "torch" in sys.modules)
"""
    other_hashes = {**os.environ, "PYTHONHASHSEED": "12345"}
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=other_hashes)
    assert answer.stdout == f"{[load_task(name, seed=5).data_hash for name in ('digits', 'diabetes')]} False\n"


@pytest.mark.skipif(not PNEUMONIA.exists(), reason="needs the shared test data (ARCHWRIGHT_TEST_DATA)")
def test_x_rays_of_pneumonia():
    task = load_task(PNEUMONIA)
    with np.load(PNEUMONIA) as file:
        assert (task.test.x == task.apply(file["test_images"])).all()
        assert (task.valid.x == task.apply(file["val_images"])).all()
        assert (task.train.y == file["train_labels"][:, 0]).all()
    assert (task.kind, task.shape, task.augment) == ("classification", (1, 28, 28), ("crop", "flip"))
    assert any("8 of 524 validation rows" in warning for warning in task.warnings)
