import numpy as np
import pandas as pd
import pytest
import torch

from archwright.errors import DataError
from archwright.tasks import load_task
from archwright.tasks.arrays import target_size


def images(count=40, shape=(12, 12), dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(dtype)


Y = np.arange(40) % 4


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((12, 10), (1, 12, 10)), ((12, 10, 3), (3, 12, 10)), ((3, 12, 10), (3, 12, 10)), ((1, 12, 10), (1, 12, 10))],
)
def test_layouts_of_images_are_recognised(shape, expected):
    task = load_task((images(shape=shape), Y))
    assert task.shape == expected
    assert task.modality == "image"
    assert task.default_space == "cnn"
    assert task.train.x.dtype == np.float32
    assert task.train.x.flags.c_contiguous


def test_tensors_arrays_and_lists_give_the_same_task():
    x = images()
    first = load_task((x, Y))
    for other in (
        (torch.from_numpy(x), torch.from_numpy(Y)),
        (x.tolist(), Y.tolist()),
        (x.astype(np.int64), pd.Series(Y)),
    ):
        task = load_task(other)
        assert task.data_hash == first.data_hash
        assert (task.train.x == first.train.x).all()


def test_tables_in_memory():
    x = np.random.default_rng(0).normal(size=(50, 3))
    task = load_task((x, x[:, 0] * 5), seed=1)
    assert (task.kind, task.modality, task.default_space, task.shape) == ("regression", "tabular", "mlp", (3,))
    assert task.signature.outputs == (1,)
    assert (task.apply(x) == load_task((pd.DataFrame(x), x[:, 0] * 5), seed=1).apply(pd.DataFrame(x))).all()


def test_classes_in_memory_are_numbered_as_unique_sorts_them():
    x = np.random.default_rng(0).normal(size=(60, 2))
    for labels in (["10", "9", "b"], [10, 9, 8], [True, False, True], [2.0, 1.0, 3.0]):
        y = np.array(labels)[np.arange(60) % 3]
        for given in (y, y.astype(object)):
            task = load_task((x, given), kind="classification")
            names, codes = np.unique(given, return_inverse=True)
            assert task.classes == tuple(str(int(name)) if isinstance(name, float) else str(name) for name in names)
            counted = sum(np.bincount(part.y, minlength=len(names)) for part in (task.train, task.valid, task.test))
            assert (counted == np.bincount(codes)).all()


def test_few_rows_in_memory_are_enough():
    x = np.random.default_rng(0).normal(size=(10, 1))
    task = load_task((x, (3 * x[:, 0]).astype(int)), kind="classification")
    assert len(task.train) + len(task.valid) + len(task.test) == 10


def test_without_holdout_the_test_is_empty():
    x = np.random.default_rng(0).normal(size=(50, 3))
    task = load_task((x, np.arange(50) % 2), holdout=False)
    assert (len(task.train), len(task.valid), len(task.test)) == (40, 10, 0)
    assert task.test.x.shape == (0, 3)
    assert dict(task.describe())["rows"] == "40 train, 10 validation, 0 test"


def test_npz_with_one_set(tmp_path):
    for keys in (("x", "y"), ("X", "y"), ("data", "target")):
        np.savez(tmp_path / "data.npz", **dict(zip(keys, (images(), Y))))
        assert load_task(tmp_path / "data.npz").data_hash == load_task((images(), Y)).data_hash
    np.savez(tmp_path / "data.npz", pictures=images(), kinds=Y)
    assert load_task(str(tmp_path / "data.npz"), "kinds").name == "data"


@pytest.mark.parametrize(
    "keys",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "y_train", "X_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
def test_npz_with_official_splits(tmp_path, keys):
    np.savez(tmp_path / "data.npz", **dict(zip(keys, (images(), Y[:, None], images(8, seed=1), Y[:8, None]))))
    task = load_task(tmp_path / "data.npz")
    assert (len(task.train), len(task.valid), len(task.test)) == (32, 8, 8)
    assert (task.test.x == task.apply(images(8, seed=1))).all()
    assert (task.test.y == Y[:8]).all()


def test_npz_with_official_validation(tmp_path):
    parts = {f"{name}_images": images(20, seed=i) for i, name in enumerate(("train", "val", "test"))}
    np.savez(tmp_path / "data.npz", **parts, train_labels=Y[:20], val_labels=Y[:20], test_labels=Y[:20])
    task = load_task(tmp_path / "data.npz")
    for split, name in ((task.train, "train"), (task.valid, "val"), (task.test, "test")):
        assert (split.x == task.apply(parts[f"{name}_images"])).all()


def test_one_hot_targets_are_classes():
    assert (load_task((images(), np.eye(4)[Y])).data_hash) == load_task((images(), Y)).data_hash


def test_sizes_keep_proportions_and_are_capped():
    notes: list[str] = []
    assert target_size(28, 28, None, notes) == (28, 28)
    assert target_size(28, 14, 56, notes) == (56, 28)
    assert notes == []
    assert target_size(480, 640, None, notes) == (48, 64)
    assert "image_size" in notes[0]
    task = load_task((images(shape=(80, 40)), Y), image_size=20)
    assert task.shape == (1, 20, 10)
    assert (task.apply(images(shape=(80, 40))[:3]).shape) == (3, 1, 20, 10)
    with pytest.raises(DataError, match="image_size"):
        load_task((images(), Y), image_size=0)


def broken(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ((images(), Y[:-1]), "40 rows and 39 targets"),
        ((images(shape=(2, 3, 4, 5)), Y), "expected a table"),
        ((np.zeros(40), Y), "expected a table"),
        ((images(), np.stack([Y, Y], 1)), "one target for each row"),
        (([[1, 2], [3]], [0, 1]), "ragged"),
        ((np.array([["a"] * 3] * 40)[:, :, None], Y), "expected numbers"),
        ((images(),), "expected \\(x, y\\)"),
        ((np.zeros((0, 4)), np.zeros(0)), "no rows"),
        (42, "expected the name"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(source, words):
    with pytest.raises(DataError, match=words):
        load_task(source)


def test_bad_npz_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="Could not read"):
        load_task(broken(tmp_path, b"nonsense"))
    with pytest.raises(DataError, match="Could not read"):
        load_task(broken(tmp_path, b""))
    np.savez(tmp_path / "bad.npz", x=images(), y=Y)
    whole = (tmp_path / "bad.npz").read_bytes()
    with pytest.raises(DataError, match="Could not read"):
        load_task(broken(tmp_path, whole[: len(whole) // 2]))
    damaged = bytearray(whole)
    damaged[1000] ^= 255
    with pytest.raises(DataError, match="Could not read"):
        load_task(broken(tmp_path, bytes(damaged)))
    np.savez(tmp_path / "bad.npz", a=images(), b=Y)
    with pytest.raises(DataError, match=r"a, b .*expected x and y"):
        load_task(tmp_path / "bad.npz")
    with pytest.raises(DataError, match="no array 'c'"):
        load_task(tmp_path / "bad.npz", "c")
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros(3), np.zeros(4)]
    np.savez(tmp_path / "bad.npz", x=ragged, y=Y)
    with pytest.raises(DataError, match="ragged"):
        load_task(tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz", x_train=images(), y_train=Y, x_test=images(shape=(9, 9)), y_test=Y)
    with pytest.raises(DataError, match="one shape"):
        load_task(tmp_path / "bad.npz")
