from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from archwright.errors import EvaluationError
from archwright.evaluators import Recipe, State
from archwright.evaluators.numerics import MODES
from archwright.evaluators.optimizers import orthogonalised


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


def conditioned(rows: int, columns: int, least: float, seed: int) -> torch.Tensor:
    """A matrix whose singular values lie between some least one and 1."""
    generator = torch.Generator().manual_seed(seed)
    left, _, right = torch.linalg.svd(torch.randn(rows, columns, generator=generator), full_matrices=False)
    values = least + (1 - least) * torch.rand(min(rows, columns), generator=generator)
    return left @ torch.diag(values) @ right


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(1e-3, 1e3), st.integers(0, 1000))
def test_a_step_of_muon_is_nearly_orthogonal_whatever_the_size_of_the_gradient(rows, columns, scale, seed):
    matrix = scale * conditioned(rows, columns, 0.5, seed)
    found = torch.linalg.svdvals(orthogonalised(matrix))
    assert 0.6 <= found.min() <= found.max() <= 1.3
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    core = left.T @ orthogonalised(matrix) @ right.T
    assert torch.allclose(core, torch.diag(torch.diagonal(core)), atol=1e-3), "the singular vectors stay"


def test_the_step_of_a_gradient_of_zero_is_zero():
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3))


def images(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(16, 1, 6, 6, generator=generator), torch.randint(3, (16,), generator=generator)


def go(state: State, steps: range) -> None:
    for step in steps:
        x, y = images(step)
        functional.cross_entropy(state.module(x), y).backward()
        state.optimizer.step(0.02)


@pytest.mark.parametrize("mode", ["fp32", "fp32, channels_last"])
def test_muon_turns_dense_kernels_and_keeps_their_norm(mode):
    module = small()
    dense, first, last = module[1].weight, module[0].weight, module[4].weight
    before = [value.detach().clone() for value in (dense, first, last)]
    state = State.fresh(module, Recipe("muon", lr=0.02), MODES[mode], 0)
    state.lay_out(state.mode.channels_last)
    go(state, range(5))
    assert dense.norm().item() == pytest.approx(before[0].norm().item(), rel=1e-5)
    for now, then in zip((dense, first, last), before):
        assert (now - then).norm() > 1e-3 * then.norm()


def test_muon_learns():
    module = small()
    x, y = images(0)
    before = functional.cross_entropy(module(x), y).item()
    state = State.fresh(module, Recipe("muon"), MODES["fp32"], 0)
    for _ in range(20):
        functional.cross_entropy(module(x), y).backward()
        state.optimizer.step(0.02)
    assert functional.cross_entropy(module(x), y).item() < 0.8 * before


@pytest.mark.parametrize("kind", ["sgd", "adamw", "muon"])
def test_stored_and_loaded_a_training_continues_bit_for_bit(kind):
    module = small()
    twin = copy.deepcopy(module)
    whole = State.fresh(module, Recipe(kind), MODES["fp32"], 0)
    go(whole, range(3))
    loaded = State.from_bytes(whole.to_bytes(), twin)
    go(whole, range(3, 6))
    go(loaded, range(3, 6))
    assert loaded.to_bytes() == whole.to_bytes()
