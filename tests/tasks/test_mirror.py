from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from archwright.tasks import load_task
from archwright.tasks.mirror import mirrors


def test_digits_are_told_from_things():
    digits = load_digits()
    assert not mirrors(digits.images[:, None].astype("float32"), digits.target)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 800)
    things = rng.random((5, 3, 16, 16))[y] + 0.3 * rng.standard_normal((800, 3, 16, 16))
    things = np.where(rng.random(800)[:, None, None, None] < 0.5, things, things[..., ::-1]).astype("float32")
    assert mirrors(things, y)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_pictures_are_survived(count):
    assert not mirrors(np.zeros((count, 1, 5, 9), "float32"), np.zeros(count, int))


def test_one_pair_of_sided_classes_among_many_is_enough():
    rng = np.random.default_rng(2)
    y = rng.integers(0, 10, 3000)
    kinds = rng.random((10, 1, 16, 16))
    kinds[:9] += kinds[:9, :, :, ::-1]
    kinds[9] = kinds[8] = 2 * rng.random((1, 16, 16))
    kinds[9] = kinds[8][..., ::-1]
    x = (kinds[y] + 0.1 * rng.standard_normal((3000, 1, 16, 16))).astype("float32")
    assert not mirrors(x, y)
    assert mirrors(x[y < 8], y[y < 8])


def test_if_neighbours_say_nothing_of_the_class_nothing_is_mirrored():
    rng = np.random.default_rng(3)
    assert not mirrors(rng.random((2000, 1, 16, 16)).astype("float32"), rng.integers(0, 4, 2000))


def test_numbered_classes_of_things_are_mirrored():
    rng = np.random.default_rng(1)
    y = np.arange(200) % 4
    x = (rng.random((4, 16, 16, 3))[y] * 200 + rng.random((200, 16, 16, 3)) * 50).astype("uint8")
    x = np.concatenate([x, x[:, :, ::-1]])
    assert load_task((x, np.concatenate([y, y]))).augment == ("crop", "flip")
    digits = load_digits()
    assert load_task((digits.images.astype("uint8"), digits.target)).augment == ("crop",)
