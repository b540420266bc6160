from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from archwright.errors import EvaluationError
from archwright.evaluators import Recipe, State
from archwright.evaluators.numerics import MODES


def network():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.Conv2d(6, 4, 1),
        nn.Flatten(),
        nn.Linear(64, 3),
    )


@pytest.mark.parametrize("mode", ["fp32", "fp32, channels_last"])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_steps_agree_with_torch_optim(kind, mode):
    module = network()
    twin = copy.deepcopy(module)
    recipe = Recipe(kind, lr=0.05, weight_decay=0.1)
    state = State.fresh(module, recipe, MODES[mode], 0)
    state.lay_out(state.mode.channels_last)
    groups = [
        {"params": [p for p in twin.parameters() if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in twin.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    reference = (
        torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True)
        if kind == "sgd"
        else torch.optim.AdamW(groups, lr=0.05)
    )
    for _ in range(4):
        x, y = torch.randn(8, 1, 6, 6), torch.randint(3, (8,))
        for net in (module, twin):
            functional.cross_entropy(net(x), y).backward()
        for ours, theirs in zip(module.parameters(), twin.parameters()):
            ours.grad.copy_(theirs.grad)
        state.optimizer.step(0.05)
        reference.step()
        reference.zero_grad()
    for ours, theirs in zip(module.parameters(), twin.parameters()):
        assert ours.grad is None
        torch.testing.assert_close(ours.detach().contiguous(), theirs.detach(), rtol=1e-5, atol=1e-6)


def test_parameters_without_a_gradient_stay():
    module = nn.ModuleDict({"used": nn.Linear(2, 2), "idle": nn.Linear(2, 2)})
    idle = module["idle"].weight.detach().clone()
    state = State.fresh(module, Recipe("adamw"), MODES["fp32"], 0)
    module["used"](torch.ones(1, 2)).sum().backward()
    before = module["used"].weight.detach().clone()
    state.optimizer.step(0.1)
    assert torch.equal(module["idle"].weight, idle)
    assert not torch.equal(module["used"].weight, before)


def test_a_network_without_parameters_is_refused():
    with pytest.raises(EvaluationError, match="no parameters"):
        State.fresh(nn.Flatten(), Recipe(), MODES["fp32"], 0)
