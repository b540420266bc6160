from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from archwright.errors import EvaluationError
from archwright.evaluators import FP32, MODES, Recipe, State, engine, fit, predict, weights_of
from archwright.graph.blocks.tabular import MemberHead

RECIPE = Recipe(lr=0.1, batch_size=16)


def train(module, x, y, epochs, kind="classification", recipe=RECIPE, mode=FP32, seed=3, state=None, **options):
    return list(fit(state or State.fresh(module, recipe, mode, seed), x, y, kind=kind, epochs=epochs, **options))


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("recipe", [RECIPE, Recipe("adamw", lr=0.02, schedule="cosine", batch_size=16)])
def test_overfits_a_tiny_set(net, images, mode, recipe):
    x, y = images
    module = net()
    reports = train(module, x[:24], y[:24], 60, recipe=recipe, mode=MODES[mode], valid=x[:24])
    assert reports[-1].loss < 0.5 * reports[0].loss
    assert (reports[-1].outputs.argmax(1) == y[:24].numpy()).mean() > 0.9
    assert [report.number for report in reports] == list(range(1, 61))
    assert [report.last for report in reports] == [False] * 59 + [True]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_an_ensemble_is_the_mean_of_its_members(smoothing):
    outputs, y = torch.randn(6, 4, 5), torch.tensor([0, 1, 2, 3, 0, 1])
    loss = engine.criterion("classification", Recipe(label_smoothing=smoothing))
    each = torch.stack([loss(outputs[:, :, member], y) for member in range(5)])
    torch.testing.assert_close(loss(outputs, y), each.mean())
    values, loss = torch.randn(6), engine.criterion("regression", RECIPE)
    each = torch.stack([(outputs[:, 0, member] - values).square().mean() for member in range(5)])
    torch.testing.assert_close(loss(outputs[:, :1], values), each.mean())


def test_outputs_of_members_are_joined_as_in_evaluation():
    head, x, y = MemberHead((4, 5), 3), torch.randn(6, 4, 5), torch.tensor([0, 1, 2, 0, 1, 2])
    torch.testing.assert_close(engine.joined(head(x), y), head.eval()(x))
    head = MemberHead((4, 5), 1)
    torch.testing.assert_close(engine.joined(head(x), y.float()), head.eval()(x))
    text = torch.randn(6, 3, 7)
    assert engine.joined(text, torch.zeros(6, 7, dtype=torch.int64)) is text


def test_regression_learns_a_line():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(64, 3)).astype(np.float32))
    y = x @ torch.tensor([1.0, -2.0, 0.5])
    module = nn.Linear(3, 1)
    reports = train(
        module, x, y, 40, kind="regression", recipe=Recipe("adamw", lr=0.1, weight_decay=0.0, batch_size=16)
    )
    assert reports[-1].loss < 1e-2
    assert predict(module, x).shape == (64, 1)


@pytest.mark.parametrize("average", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("mode", ["fp32", "bf16, channels_last"])
def test_going_on_from_a_checkpoint_equals_never_having_stopped(net, images, average, kind, mode):
    x, y = images
    recipe = Recipe(kind, lr=0.01, batch_size=16, crop=1, flip=True, cutout=2, average=average)
    whole = net(dropout=0.3)
    straight = train(whole, x, y, 5, recipe=recipe, mode=MODES[mode], valid=x)
    first = net(dropout=0.3)
    stored = b""
    for report in fit(
        State.fresh(first, recipe, MODES[mode], 3), x, y, kind="classification", epochs=2, target=Fraction(2, 5)
    ):
        stored = report.state.to_bytes()
    second = net(seed=9, dropout=0.3)
    state = State.from_bytes(stored, second)
    resumed = train(second, x, y, 5, state=state, valid=x)
    assert [report.number for report in resumed] == [3, 4, 5]
    assert [report.loss for report in resumed] == [report.loss for report in straight[2:]]
    assert np.array_equal(resumed[-1].outputs, straight[-1].outputs)
    assert equal(second.state_dict(), whole.state_dict())
    assert resumed[-1].state.to_bytes() == straight[-1].state.to_bytes()
    assert equal(weights_of(resumed[-1].state.to_bytes()), whole.state_dict())


def test_the_same_seed_is_the_same_and_another_differs(net, images):
    x, y = images
    first, again, other = (train(net(), x, y, 2, seed=seed)[-1].loss for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_global_randomness_is_left_alone(net, images):
    before = torch.random.get_rng_state()
    train(net(dropout=0.5), *images, 2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_afterwards_the_module_holds_the_measured_weights(net, images):
    x, y = images
    module = net()
    report = train(
        module, x, y, 3, recipe=Recipe(batch_size=16, average=2.0), mode=MODES["fp32, channels_last"], valid=x
    )[-1]
    assert not module.training
    assert all(value.is_contiguous() for value in module.state_dict().values())
    np.testing.assert_allclose(predict(module, x), report.outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_training_of_few_steps_measures_what_it_trained(net, images, epochs):
    x, y = images
    module, untrained = net(), net().state_dict()
    train(module, x[:16], y[:16], epochs, recipe=Recipe(lr=0.1, batch_size=16, average=0.5))
    moved = [float((value.detach() - untrained[name]).abs().max()) for name, value in module.named_parameters()]
    assert min(moved) > 1e-5


def test_an_abandoned_training_leaves_a_usable_module(net, images):
    module = net()
    epochs = fit(State.fresh(module, RECIPE, FP32, 0), *images, kind="classification", epochs=5)
    next(epochs)
    epochs.close()
    assert not module.training


def test_the_learning_rate_follows_the_target(net, images):
    whole = train(net(), *images, 6)
    part = train(net(), *images, 3, target=Fraction(1, 2))
    assert [report.rate for report in part] == [report.rate for report in whole[:3]]
    assert whole[-1].rate == 0
    assert part[-1].rate > 0


def test_divergence_is_an_error_with_the_numbers(net, images):
    x, y = images
    with pytest.raises(EvaluationError, match=r"diverged: the loss is (nan|inf)"):
        train(net(), x * 1e30, y, 3, recipe=Recipe(lr=1e20, batch_size=16))


def test_a_deadline_ends_the_training_with_the_rate_decayed(net, images):
    x, y = images
    begun = time.monotonic()
    reports = train(net(), x, y, 100_000, deadline=begun + 0.5)
    assert time.monotonic() - begun < 1.5
    assert reports[-1].last
    assert 1 < len(reports) < 100_000
    assert reports[-1].rate < 0.05 * RECIPE.lr


def test_with_a_deadline_the_epochs_are_the_most_there_can_be(net, images):
    reports = train(net(), *images, 4, deadline=time.monotonic() + 100)
    assert len(reports) == 4
    assert reports[-1].rate == 0
    assert reports[-1].state.progress == 1


def test_what_goes_on_by_the_clock_ends_with_the_rate_decayed(net, images):
    state = train(net(), *images, 1, target=Fraction(1, 4))[-1].state
    begun = time.monotonic()
    reports = train(state.module, *images, 100_000, state=state, deadline=begun + 0.5)
    assert time.monotonic() - begun < 1.5
    assert reports[0].rate > reports[-1].rate
    assert reports[-1].rate < 0.05 * RECIPE.lr


def test_a_deadline_in_the_past_cuts_the_first_epoch_short(net, images):
    reports = train(net(), *images, 10, deadline=time.monotonic() - 1)
    assert len(reports) == 1
    assert reports[0].last


def test_nothing_left_to_train_is_an_error(net, images):
    state = train(net(), *images, 2)[-1].state
    with pytest.raises(EvaluationError, match="already trained for 2"):
        train(state.module, *images, 2, state=state)


def test_few_rows_are_one_batch(net, images):
    x, y = images
    assert len(train(net(), x[:2], y[:2], 1, recipe=Recipe(batch_size=64))) == 1
