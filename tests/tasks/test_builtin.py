import gzip
from pathlib import Path

import numpy as np
import pytest

import archwright as aw
from archwright.errors import DataError
from archwright.tasks import builtin, list_tasks, load_task

FASHION = Path("/usr/share/datasets/fashion-mnist")


def test_images_can_be_made_smaller():
    assert load_task("digits", image_size=4).shape == (1, 4, 4)
    with pytest.raises(DataError, match="Got image_size=2; expected at least 4 pixels"):
        load_task("digits", image_size=2)
    with pytest.raises(DataError, match="holds no images"):
        load_task("wine", image_size=8)


def test_a_search_on_smaller_images_goes_on_with_them(tmp_path):
    space = aw.get_space("cnn", depth=1, widths=((4, 8), (4, 8)))
    kept = {"store": tmp_path, "progress": "none"}
    result = aw.search(
        "digits", image_size=4, space=space, budget="2 trials", fidelity=aw.Fidelity(1), workers=1, name="small", **kept
    )
    assert result.problem.signature.inputs == ((1, 4, 4),)
    assert len(aw.resume("small", budget="3 trials", workers=1, **kept).trials) > len(result.trials)
    with pytest.raises(DataError, match="loaded already"):
        aw.search(load_task("digits"), image_size=4, budget="1 trials")


@pytest.mark.parametrize(
    ("name", "kind", "shape", "outputs", "rows"),
    [
        ("digits", "classification", (1, 8, 8), 10, 1797),
        ("breast-cancer", "classification", (30,), 2, 569),
        ("wine", "classification", (13,), 3, 178),
        ("diabetes", "regression", (10,), 1, 442),
    ],
)
def test_sets_of_scikit_learn(name, kind, shape, outputs, rows):
    task = load_task(name)
    assert (task.name, task.kind, task.shape, task.signature.outputs) == (name, kind, shape, (outputs,))
    assert len(task.train) + len(task.valid) + len(task.test) == rows
    assert task.warnings == ()
    assert all(np.isfinite(split.x).all() for split in (task.train, task.valid, task.test))


def test_classes_have_their_names():
    assert load_task("breast-cancer").classes == ("malignant", "benign")
    assert load_task("digits").augment == ("crop",)
    assert load_task("wine").preprocess["columns"][0]["name"] == "alcohol"


def test_each_has_a_description():
    assert set(list_tasks()) == {"digits", "breast-cancer", "wine", "diabetes", "fashion-mnist"}
    assert all(len(text) > 20 for text in list_tasks().values())


def test_unknown_names_are_refused_with_close_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="Did you mean 'digits'"):
        load_task("digit")
    (tmp_path / "prices.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"does not exist. Did you mean 'prices.csv'"):
        load_task("./price.csv")
    (tmp_path / "a.doc").write_text("x")
    with pytest.raises(DataError, match=r"expected .npz, .csv"):
        load_task(tmp_path / "a.doc")


@pytest.mark.skipif(not FASHION.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_fashion_mnist_keeps_its_official_test():
    task = load_task("fashion-mnist", seed=3)
    assert [len(split) for split in (task.train, task.valid, task.test)] == [48_000, 12_000, 10_000]
    assert np.bincount(task.train.y).tolist() == [4800] * 10
    assert np.bincount(task.valid.y).tolist() == [1200] * 10
    images = builtin.read_idx(FASHION / "t10k-images-idx3-ubyte.gz")
    assert (task.test.x == task.apply(images)).all()
    assert task.classes[9] == "Ankle boot"
    assert task.preprocess["mean"][0] == pytest.approx(0.286, abs=0.002)
    assert task.preprocess["std"][0] == pytest.approx(0.353, abs=0.002)
    assert task.augment == ("crop", "flip")
    assert task.warnings == ()


def idx(array):
    return b"\x00\x00\x08" + bytes([array.ndim]) + np.array(array.shape, dtype=">u4").tobytes() + array.tobytes()


@pytest.fixture
def small_fashion(tmp_path, monkeypatch):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, count in (("train", 200), ("t10k", 50)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)))
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels), mtime=0))
    monkeypatch.setenv("ARCHWRIGHT_DATA", str(tmp_path))
    return folder


def test_fashion_mnist_is_found_where_the_environment_says(small_fashion, monkeypatch):
    assert len(load_task("fashion-mnist").test) == 50
    monkeypatch.setenv("ARCHWRIGHT_DATA", str(small_fashion))
    assert len(load_task("fashion-mnist").test) == 50


def test_missing_files_are_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHWRIGHT_DATA", str(tmp_path))
    monkeypatch.setattr(Path, "exists", lambda self: False)
    with pytest.raises(DataError, match=r"apt-get install dataset-fashion-mnist.*t10k-labels"):
        load_task("fashion-mnist")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not packed", "Could not read"),
        (gzip.compress(b"other", mtime=0), "no idx file"),
        (gzip.compress(idx(np.zeros(9, np.uint8))[:-2], mtime=0), "cut off"),
        (gzip.compress(idx(np.zeros(9, np.uint8)), mtime=0)[:-9], "Could not read"),
    ],
)
def test_damaged_idx_files_are_refused(small_fashion, content, words):
    (small_fashion / "train-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_task("fashion-mnist")
