import dataclasses
import json
import multiprocessing
import os
import pickle

import numpy as np
import pytest

from archwright.errors import DataError
from archwright.tasks import Meta, load_task, open_splits


@pytest.fixture(scope="module")
def task():
    return load_task("diabetes")


def facts(meta):
    return {field.name: getattr(meta, field.name) for field in dataclasses.fields(Meta)}


def test_stored_splits_open_without_the_test(task, tmp_path):
    assert task.store(tmp_path / "new" / "data") == tmp_path / "new" / "data"
    splits = open_splits(tmp_path / "new" / "data")
    assert facts(splits) == facts(task)
    assert splits.shape == task.shape
    for name in ("train", "valid"):
        for part in ("x", "y"):
            stored, own = getattr(getattr(splits, name), part), getattr(getattr(task, name), part)
            assert isinstance(stored, np.memmap)
            assert stored.dtype == own.dtype
            assert (stored == own).all()
    names = {file.name for file in (tmp_path / "new" / "data").iterdir()}
    assert names == {"meta.json", "train_x.npy", "train_y.npy", "valid_x.npy", "valid_y.npy"}
    assert not hasattr(splits, "test")


def test_changes_to_mapped_arrays_stay_private(task, tmp_path):
    splits = open_splits(task.store(tmp_path))
    splits.train.x[0] = 99
    assert (open_splits(tmp_path).train.x == task.train.x).all()


def read_sum(folder, queue):
    queue.put(float(open_splits(folder).train.x.sum()))


def test_other_processes_map_the_same(task, tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=read_sum, args=(str(task.store(tmp_path)), queue))
    process.start()
    assert queue.get(timeout=60) == float(task.train.x.sum())
    process.join(timeout=60)


def test_storing_again_writes_only_what_changed(task, tmp_path):
    task.store(tmp_path)
    before = (tmp_path / "train_x.npy").stat().st_mtime_ns
    os.utime(tmp_path / "train_x.npy", ns=(before - 5, before - 5))
    task.store(tmp_path)
    assert (tmp_path / "train_x.npy").stat().st_mtime_ns == before - 5
    other = load_task("diabetes", seed=1)
    other.store(tmp_path)
    assert (open_splits(tmp_path).train.x == other.train.x).all()


def test_an_interrupted_store_is_not_opened(task, tmp_path, monkeypatch):
    task.store(tmp_path)
    (tmp_path / "meta.json").unlink()
    with pytest.raises(DataError, match=r"Task\.store"):
        open_splits(tmp_path)
    task.store(tmp_path)
    (tmp_path / "valid_x.npy").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"Task\.store"):
        open_splits(tmp_path)
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(DataError, match=r"Task\.store"):
        open_splits(tmp_path)


def test_a_full_disk_is_named(task, tmp_path, monkeypatch):
    def full(file, array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match=r"0\.0 MB of data .*No space left"):
        task.store(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_named(task, tmp_path):
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(DataError, match="Could not store"):
        task.store(tmp_path / "data")


def test_tasks_are_described(task):
    rows = dict(task.describe())
    assert rows["rows"] == "264 train, 89 validation, 89 test"
    assert rows["task"] == "tabular regression"
    assert rows["input"] == "10"
    assert "standard deviation" in rows["target"]
    assert rows["hash"] == task.data_hash[:12]
    digits = dict(load_task("digits").describe())
    assert digits["classes"].startswith("10: 0, 1")
    assert digits["input"] == "1 x 8 x 8"


def test_tasks_pickle_and_their_record_is_json(task):
    again = pickle.loads(pickle.dumps(task))
    assert facts(again) == facts(task)
    assert (again.test.x == task.test.x).all()
    assert json.loads(json.dumps(task.preprocess)) == task.preprocess


def test_inputs_that_do_not_fit_are_refused(task):
    with pytest.raises(DataError, match="do not fit the task 'diabetes'"):
        task.apply(np.zeros((2, 3)))
    with pytest.raises(DataError, match="do not fit"):
        load_task("digits").apply("no-such-file.png")
