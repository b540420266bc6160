import importlib.util
import sys

import numpy as np
import pytest
from PIL import Image

from archwright.errors import DataError, MissingExtraError
from archwright.tasks import load_task

needs_datasets = pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="needs the extra 'data'")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"hub-set.*archwright\[data\]"):
        load_task("hf:hub-set")


@pytest.fixture
def saved(tmp_path):
    import datasets

    rng = np.random.default_rng(0)
    features = datasets.Features({"picture": datasets.Image(), "animal": datasets.ClassLabel(names=["cat", "dog"])})

    def pictures(count):
        images = [Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)) for _ in range(count)]
        return datasets.Dataset.from_dict(
            {"picture": images, "animal": [i % 2 for i in range(count)]}, features=features
        )

    datasets.DatasetDict({"train": pictures(50), "test": pictures(10)}).save_to_disk(tmp_path / "animals")
    table = {"x": rng.normal(size=40).tolist(), "colour": ["red", "blue"] * 20, "y": rng.normal(size=40).tolist()}
    datasets.Dataset.from_dict(table).save_to_disk(tmp_path / "table")
    return tmp_path


@needs_datasets
def test_images_and_their_official_test(saved):
    task = load_task(f"hf:{saved / 'animals'}")
    assert (task.name, task.classes, task.shape) == ("animals", ("cat", "dog"), (3, 9, 9))
    assert [len(split) for split in (task.train, task.valid, task.test)] == [40, 10, 10]
    assert task.augment == ("crop", "flip")


@needs_datasets
def test_tables_need_a_target(saved):
    task = load_task(f"hf:{saved / 'table'}", "y")
    assert (task.kind, task.shape) == ("regression", (3,))
    with pytest.raises(DataError, match="target="):
        load_task(f"hf:{saved / 'table'}")
    with pytest.raises(DataError, match="no column"):
        load_task(f"hf:{saved / 'table'}", "z")


@needs_datasets
def test_sets_that_are_not_there_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="Could not load"):
        load_task(f"hf:{tmp_path / 'nothing'}")
