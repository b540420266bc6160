from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from archwright.errors import EvaluationError
from archwright.evaluators import FP32, MODES, Mode, numerics
from archwright.evaluators.numerics import choose, convolutions, named, rule, step_seconds


def conv_net(width, grouped=False):
    groups = width if grouped else 1
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1, groups=groups)]
    return nn.Sequential(
        *layers, nn.BatchNorm2d(width), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4)
    )


def loss_for(y):
    return lambda outputs, index: functional.cross_entropy(outputs, y[index])


@pytest.mark.parametrize(
    ("module", "sample", "expected"),
    [
        (nn.Linear(4, 2), torch.zeros(1, 4), FP32),
        (conv_net(2), torch.zeros(1, 3, 4, 4), FP32),
        (conv_net(32), torch.zeros(1, 3, 32, 32), Mode(True, True)),
        (conv_net(32, grouped=True), torch.zeros(1, 3, 32, 32), Mode(True)),
    ],
)
def test_the_rule_reads_the_mix_of_operations(monkeypatch, module, sample, expected):
    monkeypatch.setattr(numerics, "fast_bf16", lambda: True)
    assert rule(module, sample, 64) == expected
    monkeypatch.setattr(numerics, "fast_bf16", lambda: False)
    assert not rule(module, sample, 64).bf16


def test_flops_are_two_for_each_multiply_add():
    assert convolutions(nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.zeros(1, 3, 5, 5)) == [(2 * 27 * 8 * 25, 1)]


def test_a_probe_leaves_the_network_and_global_randomness_untouched():
    module = conv_net(8)
    x, y = torch.randn(16, 3, 16, 16), torch.randint(4, (16,))
    before, stream = copy.deepcopy(module.state_dict()), torch.random.get_rng_state()
    mode = choose(module, x, 16, 10_000, loss_for(y), probe=True, key="one")
    assert mode in MODES.values()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), stream)
    assert all(parameter.grad is None for parameter in module.parameters())
    assert module.training


def test_the_fastest_mode_is_taken_once_and_remembered(monkeypatch):
    seconds = dict.fromkeys(MODES.values(), 3.0) | {Mode(True): 1.0}
    asked = []

    def pretend(module, x, loss, mode):
        asked.append(mode)
        return seconds[mode]

    monkeypatch.setattr(numerics, "step_seconds", pretend)
    module, x = conv_net(8), torch.randn(16, 3, 16, 16)
    arguments = module, x, 16, 10_000, loss_for(torch.zeros(16, dtype=torch.long))
    assert choose(*arguments, probe=True, key="known") == Mode(True)
    assert choose(*arguments, probe=True, key="known") == Mode(True)
    assert len(asked) == len(set(asked)) >= 2
    monkeypatch.setattr(numerics, "step_seconds", lambda *_: math.inf)
    assert choose(*arguments, probe=True, key="other") == rule(module, x[:1], 16)


def test_no_probe_where_it_cannot_pay_back(monkeypatch):
    monkeypatch.setattr(numerics, "step_seconds", lambda *_: pytest.fail("probed"))
    module, x = conv_net(8), torch.randn(16, 3, 16, 16)
    loss = loss_for(torch.zeros(16, dtype=torch.long))
    choose(module, x, 16, 10_000, loss, probe=False)
    choose(module, x, 16, 50, loss, probe=True)
    choose(nn.Linear(4, 2), torch.zeros(8, 4), 8, 10_000, loss, probe=True)


def test_a_loss_that_is_not_finite_is_infinitely_slow():
    x = torch.full((4, 3, 8, 8), math.nan)
    assert step_seconds(conv_net(4), x, loss_for(torch.zeros(4, dtype=torch.long)), FP32) == math.inf


def test_an_unknown_mode_is_named():
    assert named("fp32") == FP32
    with pytest.raises(EvaluationError, match="Did you mean 'fp32'"):
        named("fp23")
