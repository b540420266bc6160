from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.evaluators import Recipe
from archwright.evaluators.batches import Batches, holes, share_of

LAWS = settings(deadline=None, max_examples=25)
sizes = st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))


def numbered(n, c, h, w):
    return torch.arange(n * c * h * w, dtype=torch.float32).reshape(n, c, h, w) + 1


def stream(seed):
    return torch.Generator().manual_seed(seed)


@LAWS
@given(sizes, st.booleans(), st.booleans())
def test_plain_batches_are_the_rows_in_the_wanted_layout(size, channels_last, augmenting):
    x = numbered(*size)
    batches = Batches(x, Recipe(cutout=int(augmenting)), channels_last)
    index = torch.tensor([len(x) - 1, 0, 0])
    batch = batches.take(index)
    assert torch.equal(batch, x[index])
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert batch.is_contiguous(memory_format=layout)


@LAWS
@given(sizes, st.booleans(), st.integers(0, 99))
def test_a_flip_mirrors_or_leaves(size, channels_last, seed):
    x = numbered(*size)
    batch = Batches(x, Recipe(flip=True), channels_last).augment(torch.arange(len(x)), stream(seed))
    for image, original in zip(batch, x):
        assert torch.equal(image, original) or torch.equal(image, original.flip(2))


@LAWS
@given(sizes, st.integers(1, 3), st.booleans(), st.integers(0, 99))
def test_a_crop_shifts_and_mirrors_what_is_left(size, crop, channels_last, seed):
    count, channels, height, width = size
    height, width = height + crop, width + crop
    x = numbered(count, channels, height, width)
    batch = Batches(x, Recipe(crop=crop), channels_last).augment(torch.arange(len(x)), stream(seed))
    padded = torch.nn.functional.pad(x, (crop,) * 4, mode="reflect")
    shifts = range(2 * crop + 1)
    for image, around in zip(batch, padded):
        assert any(torch.equal(image, around[:, i : i + height, j : j + width]) for i in shifts for j in shifts)


@LAWS
@given(sizes, st.integers(1, 9), st.booleans(), st.integers(0, 99))
def test_a_crop_wider_than_the_picture_shows_nothing_but_the_picture(size, crop, channels_last, seed):
    x = numbered(*size)
    batch = Batches(x, Recipe(crop=crop), channels_last).augment(torch.arange(len(x)), stream(seed))
    assert batch.shape == x.shape
    for image, original in zip(batch, x):
        assert all(
            set(shown.flatten().tolist()) <= set(plane.flatten().tolist()) for shown, plane in zip(image, original)
        )


@LAWS
@given(sizes, st.integers(1, 4), st.integers(0, 99))
def test_cutout_zeroes_one_rectangle_and_nothing_else(size, side, seed):
    x = numbered(*size)
    batch = Batches(x, Recipe(cutout=side), False).augment(torch.arange(len(x)), stream(seed))
    gone = batch == 0
    assert torch.equal(batch[~gone], x[~gone])
    for mask in gone.any(1):
        rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
        assert len(rows) <= side
        assert len(columns) <= side
        assert mask.sum() == len(rows) * len(columns)
    assert holes(4, 9, 9, 3, stream(seed)).flatten(1).any(1).all()


def test_augmentation_comes_from_the_generator_alone_and_varies():
    x, index = numbered(16, 2, 6, 6), torch.arange(16)
    batches = Batches(x, Recipe(flip=True, crop=2, cutout=2), True)
    first, again, other = (batches.augment(index, stream(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(batches.take(index), x)


def test_rows_of_a_table_are_never_augmented():
    x = torch.rand(8, 5)
    assert torch.equal(Batches(x, Recipe(flip=True, crop=1, cutout=1), True).augment(torch.arange(8), stream(0)), x)


@LAWS
@given(st.lists(st.integers(0, 3), min_size=12, max_size=80), st.floats(0.05, 1), st.floats(0.05, 1), st.integers(0, 9))
def test_a_smaller_share_lies_within_a_larger_one(labels, first, second, seed):
    y = np.array(labels)
    for kind in ("classification", "regression"):
        small, large = (share_of(y, kind, share, seed) for share in sorted((first, second)))
        assert set(small) <= set(large)
        assert len(set(large)) == len(large)


def test_a_share_keeps_the_proportions_of_the_classes():
    y = np.repeat([0, 1, 2], [600, 300, 100])
    counts = np.bincount(y[share_of(y, "classification", 0.1, 0)])
    assert counts == pytest.approx([60, 30, 10], abs=1)
    assert len(share_of(y, "classification", 1.0, 0)) == 1000
