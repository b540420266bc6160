"""The optimisers against those of torch, where these can do the same; and what these cannot."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archwright.errors import EvaluationError
from archwright.evaluators.one_shot.optim import LOST, Adam, SharedSGD
from archwright.evaluators.recipe import Recipe
from archwright.graph.module import seeded


def small(seed: int = 0) -> nn.Sequential:
    with seeded(seed):
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 2))


def batch(seed: int) -> Tensor:
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(seed))


def same(one: nn.Module, two: nn.Module) -> None:
    for (name, first), second in zip(one.named_parameters(), two.parameters()):
        torch.testing.assert_close(first, second, msg=lambda text, name=name: f"{name}: {text}")


def test_shared_sgd_is_nesterov_with_decay_of_matrices_only() -> None:
    ours, theirs, recipe = small(), small(), Recipe(weight_decay=0.1, clip=0.5)
    shared = SharedSGD(ours, recipe)
    matrices = [p for p in theirs.parameters() if p.dim() > 1]
    others = [p for p in theirs.parameters() if p.dim() <= 1]
    torch_sgd = torch.optim.SGD(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=1.0,
        momentum=0.9,
        nesterov=True,
    )
    clipped = 0
    for step in range(8):
        rate = 0.2 / (1 + step)
        ours(batch(step)).square().sum().backward()
        theirs(batch(step)).square().sum().backward()
        clipped += bool(nn.utils.clip_grad_norm_(theirs.parameters(), 0.5) > 0.5)
        for group in torch_sgd.param_groups:
            group["lr"] = rate
        torch_sgd.step()
        torch_sgd.zero_grad()
        shared.step(rate)
        same(ours, theirs)
    assert clipped == 8
    assert all(p.grad is None for p in ours.parameters())


def test_weights_without_a_gradient_stay_with_their_momentum() -> None:
    net, recipe = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)]), Recipe(weight_decay=0.1)
    shared, x = SharedSGD(net, recipe), torch.ones(2, 3)
    (net[0](x).sum() + net[1](x).square().sum()).backward()
    shared.step(0.1)
    still = {name: value.clone() for name, value in shared.velocity.items() if name.startswith("1.")}
    weights = {name: p.detach().clone() for name, p in net[1].named_parameters()}
    assert len(still) == 2
    for _ in range(3):
        net[0](x).square().sum().backward()
        before = net[0].weight.detach().clone()
        shared.step(0.1)
        assert not torch.equal(before, net[0].weight)
    assert all(torch.equal(shared.velocity[name], value) for name, value in still.items())
    assert all(torch.equal(p, weights[name]) for name, p in net[1].named_parameters())


def test_no_gradient_at_all_is_no_step() -> None:
    net = nn.Linear(3, 3)
    before = net.weight.detach().clone()
    shared = SharedSGD(net, Recipe(clip=1.0))
    shared.step(0.1)
    assert torch.equal(before, net.weight)
    assert not shared.velocity


def test_momentum_survives_the_growth_of_a_parameter() -> None:
    net = nn.Linear(2, 2, bias=False)
    shared = SharedSGD(net, Recipe(weight_decay=0.0))
    net(torch.ones(1, 2)).sum().backward()
    shared.step(0.1)
    old, weight = shared.velocity["weight"].clone(), net.weight.detach().clone()
    grown = torch.zeros(3, 4)
    grown[:2, :2] = weight
    net.weight.data = grown
    net(torch.zeros(1, 4)).sum().backward()
    shared.step(0.1)
    torch.testing.assert_close(shared.velocity["weight"][:2, :2], 0.9 * old)
    assert shared.velocity["weight"].shape == (3, 4)
    assert not shared.velocity["weight"][2].any()
    assert not shared.velocity["weight"][:, 2:].any()
    torch.testing.assert_close(net.weight[:2, :2], weight - 0.1 * 0.9 * 0.9 * old)


def test_adam_is_that_of_torch_with_decay() -> None:
    start = {name: batch(seed)[0].requires_grad_() for seed, name in enumerate("ab")}
    theirs = [value.detach().clone().requires_grad_() for value in start.values()]
    ours = Adam(start, 0.03, (0.5, 0.999), 0.1)
    torch_adam = torch.optim.Adam(theirs, lr=0.03, betas=(0.5, 0.999), weight_decay=0.1)
    for step in range(10):
        x = batch(step)[0]
        for a, b in (start.values(), theirs):
            ((a - x).square().sum() + (a * b).sum().sin()).backward()
        ours.step()
        torch_adam.step()
        torch_adam.zero_grad()
        for mine, other in zip(start.values(), theirs):
            torch.testing.assert_close(mine, other)
            assert mine.grad is None


def test_adam_leaves_what_has_no_gradient_and_takes_gradients_as_given() -> None:
    values = {"a": torch.ones(2), "b": torch.ones(2), "c": torch.ones(2)}
    adam = Adam(values, 0.1, decay=0.5)
    adam.step({"a": torch.ones(2), "b": None})
    torch.testing.assert_close(values["a"], torch.full((2,), 0.9))
    assert torch.equal(values["b"], torch.ones(2))
    assert torch.equal(values["c"], torch.ones(2))
    assert adam.steps == {"a": 1, "b": 0, "c": 0}


def test_adam_goes_on_from_its_state() -> None:
    def run(cut: int | None) -> Tensor:
        values = {"a": torch.ones(3)}
        adam = Adam(values, 0.1, (0.5, 0.999), 0.01)
        for step in range(6):
            if step == cut:
                state = {name: value.clone() for name, value in adam.state().items()}
                adam = Adam(values, 0.1, (0.5, 0.999), 0.01)
                adam.load(state)
            adam.step({"a": batch(step)[0, :3]})
        return values["a"]

    assert torch.equal(run(None), run(3))


def test_a_picker_without_finite_gradients_is_said_to_have_diverged():
    number = torch.zeros(2, requires_grad=True)
    adam = Adam({"edge": number}, 0.1)
    for step in range(3 * LOST + 1):
        adam.step({"edge": torch.full((2,), float("nan" if step % LOST else 1.0))})
    assert number.isfinite().all()
    bad = torch.tensor([0.0, float("inf")])
    for _ in range(LOST - 1):
        adam.step({"edge": bad})
    with pytest.raises(EvaluationError, match=f"'edge', had no finite gradient for {LOST} steps"):
        adam.step({"edge": bad})
