import numpy as np
import pytest
from PIL import Image

from archwright.errors import DataError
from archwright.tasks import load_task
from archwright.tasks.images import natural_changes


def paint(folder, count, size=(12, 10), channels=3, seed=0, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        array = rng.integers(0, 256, (*size, 3)[: 2 + (channels > 1)], dtype=np.uint8)
        Image.fromarray(array).save(folder / f"{i:03}{suffix}")


@pytest.fixture
def photos(tmp_path):
    for seed, name in enumerate(("cat", "dog", "emu")):
        paint(tmp_path / "photos" / name, 40, seed=seed)
    return tmp_path / "photos"


def test_class_folders_become_classes(photos):
    (photos / "cat" / "notes.txt").write_text("no image")
    (photos / ".hidden").mkdir()
    (photos / "readme.md").write_text("no class")
    task = load_task(photos)
    assert (task.name, task.kind, task.modality) == ("photos", "classification", "image")
    assert task.classes == ("cat", "dog", "emu")
    assert task.shape == (3, 12, 10)
    assert [len(split) for split in (task.train, task.valid, task.test)] == [72, 24, 24]
    assert task.augment == ("crop", "flip")
    assert task.warnings == ()
    known = sorted(map(bytes, task.apply(sorted(photos.rglob("*.png")))))
    assert known == sorted(map(bytes, np.concatenate([task.train.x, task.valid.x, task.test.x])))


def test_moving_the_folder_changes_nothing(photos, tmp_path):
    first = load_task(photos)
    moved = tmp_path / "elsewhere"
    photos.rename(moved)
    second = load_task(moved)
    assert second.data_hash == first.data_hash
    assert second.name == "elsewhere"
    (moved / "cat" / "000.png").unlink()
    assert load_task(moved).data_hash != first.data_hash


def test_official_splits_of_folders_are_kept(tmp_path):
    for seed, (part, count) in enumerate((("train", 20), ("test", 5), ("val", 4))):
        for name in ("yes", "no"):
            paint(tmp_path / part / name, count, channels=1, seed=10 * seed + len(name))
    task = load_task(tmp_path)
    assert task.classes == ("no", "yes")
    assert [len(split) for split in (task.train, task.valid, task.test)] == [40, 8, 10]
    assert task.shape == (1, 12, 10)
    assert task.augment == ("crop",)
    assert (task.test.x == task.apply(sorted((tmp_path / "test").rglob("*.png")))).all()


def test_a_class_may_be_called_train(tmp_path):
    for seed, name in enumerate(("bus", "train")):
        paint(tmp_path / name, 20, seed=seed)
    assert load_task(tmp_path).classes == ("bus", "train")


def test_images_of_many_sizes_are_brought_to_one(tmp_path):
    for seed, size in enumerate([(100, 200), (110, 220), (90, 180)]):
        paint(tmp_path / "p" / "a", 20, size, seed=seed)
        paint(tmp_path / "p" / "b", 20, size, seed=seed + 9, suffix=".jpg")
    task = load_task(tmp_path / "p")
    assert task.shape == (3, 32, 64)
    assert load_task(tmp_path / "p", image_size=20).shape == (3, 10, 20)


@pytest.mark.parametrize(
    ("channels", "labels", "expected"),
    [
        (3, ["cat", "dog"], ("crop", "flip")),
        (1, ["cat", "dog"], ("crop",)),
        (3, ["0", "1"], ("crop",)),
        (3, ["a", "b"], ("crop",)),
        (3, ["left_hand", "right_hand"], ("crop",)),
    ],
)
def test_flips_only_where_they_keep_the_class(channels, labels, expected):
    assert natural_changes(channels, labels) == expected


def test_one_unreadable_image_in_a_hundred_is_left_out_with_a_warning(photos):
    (photos / "cat" / "000.png").write_bytes(b"no image at all")
    whole = (photos / "dog" / "000.png").read_bytes()
    (photos / "dog" / "000.png").write_bytes(whole[: len(whole) // 2])
    task = load_task(photos)
    assert sum(len(split) for split in (task.train, task.valid, task.test)) == 118
    assert any("2 of 120 images are unreadable" in warning and "cat/000.png" in warning for warning in task.warnings)


def test_many_unreadable_images_are_refused(photos):
    for i in range(13):
        (photos / "cat" / f"{i:03}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"13 of 120 images \(cat/000.png.*one in ten"):
        load_task(photos)


def test_no_readable_image_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match="2 of 2 images"):
        load_task(tmp_path)


def test_folders_without_classes_are_refused(tmp_path):
    with pytest.raises(DataError, match="no images"):
        load_task(tmp_path)
    paint(tmp_path, 3)
    with pytest.raises(DataError, match="no class folders"):
        load_task(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "t.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"files of the types \.csv"):
        load_task(tmp_path / "other")


def test_one_class_and_empty_classes(tmp_path):
    paint(tmp_path / "cat", 30)
    (tmp_path / "dog").mkdir()
    with pytest.raises(DataError, match="one class only, 'cat'"):
        load_task(tmp_path)
    paint(tmp_path / "emu", 30, seed=1)
    assert any("without images: 'dog'" in warning for warning in load_task(tmp_path).warnings)


def test_numbers_cannot_be_predicted_from_images(photos):
    with pytest.raises(DataError, match="not supported"):
        load_task(photos, kind="regression")
