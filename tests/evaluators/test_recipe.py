from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import EvaluationError
from archwright.evaluators import Recipe, default_recipe
from archwright.evaluators.recipe import AUGMENT_FROM, AUGMENT_GREY_FROM, AUGMENT_TINY_FROM, SMALL_FROM


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(["onecycle", "cosine"]), st.floats(0, 0.9), st.floats(0, 1))
def test_the_rate_rises_to_its_peak_and_falls_to_zero(schedule, warmup, progress):
    recipe = Recipe(lr=0.3, schedule=schedule, warmup=warmup)
    assert 0 <= recipe.rate(progress) <= 0.3 * (1 + 1e-12)
    assert recipe.rate(warmup) == pytest.approx(0.3)
    assert recipe.rate(1.0) == pytest.approx(0.0, abs=1e-12)
    later = min(1.0, progress + 0.01)
    rising = later <= warmup
    assert (
        (recipe.rate(later) >= recipe.rate(progress))
        if rising
        else (progress < warmup or recipe.rate(later) <= recipe.rate(progress) + 1e-12)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.0},
        {"lr": float("nan")},
        {"batch_size": 1},
        {"label_smoothing": 1.0},
        {"crop": -1},
        {"average": -1.0},
        {"clip": 0.0},
        {"warmup": 1.0},
        {"small": ((0.5, 0.0),)},
        {"small": ((1.5, 0.5),)},
    ],
)
def test_a_value_out_of_range_is_named(change):
    with pytest.raises(EvaluationError, match=next(iter(change))):
        Recipe(**change).checked()


def test_defaults_follow_the_task_and_the_length_of_the_training(digits):
    short, long = (default_recipe(digits, 1000, epochs).checked() for epochs in (5, 60))
    assert (short.crop, long.crop) == (0, 1)
    assert not long.flip
    assert short.batch_size < default_recipe(digits, 50_000, 5).batch_size == 128


def pictures(side, channels=3):
    return SimpleNamespace(kind="classification", modality="image", shape=(channels, side, side), augment=("flip",))


@pytest.mark.parametrize(
    ("side", "channels", "least"),
    [(8, 3, AUGMENT_TINY_FROM), (8, 1, AUGMENT_TINY_FROM), (32, 3, AUGMENT_FROM), (28, 1, AUGMENT_GREY_FROM)],
)
def test_long_trainings_augment_large_pictures_earlier_than_tiny_ones(side, channels, least):
    assert not default_recipe(pictures(side, channels), 1000, least - 1).flip
    assert default_recipe(pictures(side, channels), 1000, least).flip


def test_only_pictures_that_can_be_shrunk_begin_smaller():
    assert default_recipe(pictures(SMALL_FROM), 1000, 10).small
    assert not default_recipe(pictures(SMALL_FROM - 1), 1000, 10).small


places = st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0.05, 1.0)), max_size=4).map(
    lambda pairs: tuple(sorted(pairs))
)


@given(places, st.integers(1, 64))
def test_epochs_in_time_are_the_mean_of_what_smaller_pictures_save(small, side):
    recipe = Recipe(small=small).checked()
    steps = [(number + 0.5) / 4000 for number in range(4000)]
    mean = sum((side / recipe.side(place, side)) ** 2 for place in steps) / len(steps)
    assert recipe.epochs_in_time(side) == pytest.approx(mean, rel=0.02)
    assert recipe.epochs_in_time(side) >= 1.0 - 1e-9
    assert recipe.side(1.0, side) == side


def test_texts_are_trained_on_their_likelihood_with_clipped_gradients():
    text = SimpleNamespace(kind="classification", modality="text", shape=(32,), augment=())
    recipe = default_recipe(text, 30_000, 4).checked()
    assert (recipe.optimizer, recipe.label_smoothing, recipe.batch_size) == ("adamw", 0.0, 64)
    assert recipe.clip is not None
    assert recipe.crop == recipe.cutout == 0
