"""Paths judged with statistics of their own, and a supernet's needs foretold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from archwright.errors import SupernetError
from archwright.evaluators.one_shot.evaluator import OneShot
from archwright.evaluators.one_shot.forecast import predicted, taken
from archwright.evaluators.one_shot.names import get_picker, list_pickers, parse
from archwright.evaluators.one_shot.scoring import calibrate
from archwright.evaluators.one_shot.shared import Shared
from archwright.evaluators.recipe import Recipe
from archwright.problem import Signature
from archwright.space import get_space
from archwright.supernet import Supernet

SPACE = get_space("nas-bench-201", channels=4, cells=1)
SIGNATURE = Signature(((1, 8, 8),), (3,))


def shared(picker: str) -> Shared:
    made = get_picker(picker)
    net = Supernet(SPACE, SIGNATURE, transforms=made.transforms, partial=made.partial)
    return Shared(net, made, Recipe(batch_size=32), "classification", 0)


def test_statistics_are_the_means_over_the_batches() -> None:
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5))
    module[1].running_mean.fill_(7.0)  # type: ignore[union-attr, operator]
    x = torch.randn(64, 1, 6, 6)
    calibrate(module, x, 16)
    seen = module[0](x).detach()
    norm = module[1]
    assert isinstance(norm, nn.BatchNorm2d)
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-5, rtol=1e-5)
    batches = torch.stack([part.transpose(0, 1).flatten(1).var(1) for part in seen.split(16)]).mean(0)
    torch.testing.assert_close(norm.running_var, batches, atol=1e-5, rtol=1e-4)
    assert not any(layer.training for layer in module.modules())
    assert norm.momentum == 0.1


def test_rows_that_are_fewer_than_a_batch_are_one() -> None:
    module, x = nn.Sequential(nn.BatchNorm1d(4)), 3.0 + torch.randn(10, 4)
    calibrate(module, x, 16)
    torch.testing.assert_close(module[0].running_mean, x.mean(0))


def test_a_path_is_judged_by_its_weights_and_not_by_what_ran_before() -> None:
    one = shared("uniform")
    architecture = SPACE.sample(np.random.default_rng(3))
    x = torch.randn(64, 1, 8, 8)
    first = one.net.extract(architecture)
    calibrate(first, x, 32)
    for seed in range(3):
        one.net.train()(5.0 + torch.randn(16, 1, 8, 8), SPACE.sample(np.random.default_rng(seed)))
    second = one.net.extract(architecture)
    calibrate(second, x, 32)
    torch.testing.assert_close(first(x), second(x))


@pytest.mark.parametrize("picker", ["uniform", "fair", "sandwich", "gdas", "darts", "pc-darts", "snas", "smash"])
def test_the_memory_of_a_step_is_foretold_within_a_tenth(picker: str) -> None:
    batch = torch.randn(64, 1, 8, 8), torch.arange(64) % 3
    foretold, seconds = predicted(shared(picker), batch)
    assert seconds > 0
    assert foretold == pytest.approx(taken(shared(picker), batch)[0], rel=0.1)


def test_measuring_leaves_no_gradients() -> None:
    one = shared("darts")
    taken(one, (torch.randn(8, 1, 8, 8), torch.arange(8) % 3))
    assert all(parameter.grad is None for parameter in one.net.parameters())


def test_all_pickers_are_listed_with_their_source() -> None:
    listed = list_pickers()
    assert list(listed) == sorted(listed)
    assert {"uniform", "fair", "dropout", "sandwich", "controller", "darts", "gdas", "snas", "drnas"} <= set(listed)
    assert {"pc-darts", "darts-pt", "proxyless", "smash"} <= set(listed)
    assert all("arXiv" in line or "ICML" in line for line in listed.values())


def test_options_in_brackets() -> None:
    assert parse("gdas( hot=5.0 , cold = 1 )") == ("gdas", {"hot": 5.0, "cold": 1})
    assert get_picker("darts(order=2)").order == 2  # type: ignore[attr-defined]
    with pytest.raises(SupernetError, match="Got epochs=-5"):
        OneShot("", "darts(epochs=-5)")
    evaluator = OneShot("", "gdas(hot=5, warm=True, batch_size=8)")
    assert evaluator.own == {"warm": True, "lr": None, "batch_size": 8, "epochs": 0}
    assert evaluator.make_picker().hot == 5  # type: ignore[attr-defined]
    assert evaluator.recipe(10_000).batch_size == 8
    assert OneShot("", "uniform").recipe(1000).batch_size == 16
    assert OneShot("", "uniform").recipe(100_000).batch_size == 32
    image, text = (OneShot("", "uniform").recipe(1000, modality) for modality in ("image", "text"))
    assert (image.lr, image.clip, text.lr, text.clip) == (0.1, 5.0, 2.0, 0.25)
    assert OneShot("", "uniform(lr=0.3)").recipe(1000, "text").lr == 0.3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("darst", "Did you mean 'darts'"),
        ("darts(order)", "a name with options"),
        ("darts(order=", "a name with options"),
        ("darts(depth=1)", r"no option 'depth'.*order=1"),
        ("darts(order='first')", "expected int"),
        ("gdas(hot=True)", "expected float"),
    ],
)
def test_pickers_that_are_not_known_are_refused(text: str, words: str) -> None:
    with pytest.raises(SupernetError, match=words):
        get_picker(text)
