"""The pickers' gradients against exact ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from archwright.evaluators.one_shot.pickers.controller import Controller, _follow
from archwright.evaluators.one_shot.pickers.darts import Darts
from archwright.evaluators.one_shot.pickers.drnas import Drnas
from archwright.evaluators.one_shot.pickers.gdas import Gdas
from archwright.evaluators.one_shot.pickers.proxyless import Proxyless, gate_gradient
from archwright.evaluators.one_shot.pickers.snas import Snas
from archwright.evaluators.one_shot.shared import Shared
from archwright.evaluators.recipe import Recipe
from archwright.graph.module import seeded
from archwright.problem import Architecture
from archwright.space import OUTPUTS, Space, chain, choice, op

RECIPE = Recipe(lr=0.2, schedule="cosine", warmup=0.0, weight_decay=0.1, batch_size=16)
Make = Callable[..., Shared]
Data = Callable[..., tuple[Tensor, Tensor]]


class Caught:
    """Takes the place of an optimiser and keeps the gradients that it is given."""

    def __init__(self) -> None:
        self.gradients: dict[str, Tensor | None] = {}

    def step(self, gradients: dict[str, Tensor | None]) -> None:
        self.gradients = dict(gradients)


def prepared(picker: Any, share: Make, vectors: Space, recipe: Recipe = RECIPE, **options: Any) -> Shared:
    """A supernet in double precision, a few steps trained, with numbers away from zero."""
    shared = share(picker, vectors, recipe=recipe, **options)
    shared.net.double()
    generator = torch.Generator().manual_seed(4)
    for address, alpha in picker.alphas.items():
        drawn = torch.randn(alpha.shape, generator=generator, dtype=torch.float64)
        picker.alphas[address] = drawn.requires_grad_()
    return shared


def halves(rows: Data, kind: str = "classification") -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    x, y = rows(48, (6,), kind)
    return (x[:24].double(), y[:24]), (x[24:].double(), y[24:])


def exact(shared: Shared, picker: Darts, train: Any, held: Any) -> list[Tensor]:
    """The gradient of the held-out loss through one step of the weights, by automatic differentiation of the step itself."""
    names, weights = zip(*shared.net.named_parameters())
    gradients = torch.autograd.grad(
        shared.loss(picker.probabilities(), train), weights, create_graph=True, allow_unused=True
    )
    moved = {}
    for name, weight, gradient in zip(names, weights, gradients):
        if gradient is not None:
            decay = RECIPE.weight_decay if weight.dim() > 1 else 0.0
            velocity = shared.optimizer.velocity.get(name, torch.zeros_like(weight))
            moved[name] = weight - RECIPE.rate(shared.progress) * (gradient + decay * weight + 0.9 * velocity)
    outputs = torch.func.functional_call(shared.net, moved, (held[0], picker.probabilities()))
    loss = shared.criterion(outputs, held[1])
    return list(torch.autograd.grad(loss, list(picker.alphas.values())))


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_second_order_is_the_gradient_through_a_step(share: Make, rows: Data, vectors: Space, kind: str) -> None:
    picker = Darts(order=2)
    shared, (train, held) = prepared(picker, share, vectors, kind=kind), halves(rows, kind)
    for _ in range(3):
        shared.loss(picker.probabilities(), train).backward()
        shared.optimizer.step(0.1)
    assert shared.optimizer.velocity
    before = {name: p.detach().clone() for name, p in shared.net.named_parameters()}
    found, expected = picker.unrolled(shared, train, held), exact(shared, picker, train, held)
    plain = torch.autograd.grad(shared.loss(picker.probabilities(), held), list(picker.alphas.values()))
    for mine, true, first in zip(found, expected, plain):
        assert (true - first).norm() > 0.05 * true.norm(), "the second order does not matter here: the test is void"
        assert (mine - true).norm() < 2e-3 * true.norm()
    assert all(torch.equal(before[name], p) for name, p in shared.net.named_parameters())


def test_second_order_is_finite_where_the_held_out_loss_is_flat(share: Make, rows: Data, vectors: Space) -> None:
    picker = Darts(order=2)
    shared, (train, held) = prepared(picker, share, vectors, kind="regression"), halves(rows, "regression")
    perfect = held[0], shared.net(held[0], picker.probabilities()).detach().float().flatten()
    shared.recipe = Recipe(lr=1e-30, weight_decay=0.0, warmup=0.0)
    for gradient in picker.unrolled(shared, train, perfect):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("order", [1, 2])
def test_numbers_move_along_the_gradient(share: Make, rows: Data, vectors: Space, order: int) -> None:
    picker, caught = Darts(order=order), Caught()
    shared, (train, held) = prepared(picker, share, vectors), halves(rows)
    picker.optimizer = caught  # type: ignore[assignment]
    picker.learn(shared, train, held)
    if order == 1:
        names, weights = zip(*picker.alphas.items())
        chances = {name: weight.softmax(0) for name, weight in zip(names, weights)}
        loss = torch.nn.functional.cross_entropy(shared.net(held[0], chances), held[1])  # type: ignore[arg-type]
        expected = torch.autograd.grad(loss, weights)
        tolerance = 1e-5
    else:
        expected, tolerance = tuple(exact(shared, picker, train, held)), 1e-2
    assert caught.gradients.keys() == picker.alphas.keys()
    for mine, true in zip(caught.gradients.values(), expected):
        assert mine is not None
        torch.testing.assert_close(mine, true, atol=tolerance * float(true.norm()), rtol=0)


def test_learning_lowers_the_held_out_loss(share: Make, rows: Data, vectors: Space) -> None:
    for order in (1, 2):
        picker = Darts(order=order, rate=0.05)
        shared = share(picker, vectors)
        x, y = rows(48, (6,))
        before = float(shared.loss(picker.pick(shared), (x, y)).detach())
        for _ in range(20):
            picker.learn(shared, (x, y), (x, y))
        assert float(shared.loss(picker.pick(shared), (x, y)).detach()) < before


def test_gate_gradients_are_those_through_the_softmax() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in (2, 3, 7):
        p = torch.randn(count, generator=generator).softmax(0)
        gates = torch.randn(count, generator=generator)
        jacobian = torch.diag(p) - p.outer(p)
        torch.testing.assert_close(gate_gradient(p, gates), jacobian @ gates)
        alpha = p.log().requires_grad_()
        (alpha.softmax(0) * gates).sum().backward()
        torch.testing.assert_close(gate_gradient(p, gates), alpha.grad)


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_a_pair_moves_and_keeps_its_probability(share: Make, rows: Data, cells: Space, penalty: float) -> None:
    picker = Proxyless(every=1, warmup=0.0, rate=0.1, penalty=penalty)
    shared = share(picker, cells)
    generator = torch.Generator().manual_seed(0)
    for alpha in picker.alphas.values():
        alpha.data.normal_(generator=generator)
    moves = 0
    for _ in range(4):
        before = {address: alpha.detach().clone() for address, alpha in picker.alphas.items()}
        picker.learn(shared, rows(), rows())
        for address, alpha in picker.alphas.items():
            old, new = before[address], alpha.detach()
            moved = torch.nonzero(old != new).flatten()
            assert len(moved) in (0, 2)
            moves += len(moved)
            others = [i for i in range(len(old)) if i not in moved]
            torch.testing.assert_close(old.softmax(0)[others], new.softmax(0)[others])
            torch.testing.assert_close(old.softmax(0)[moved].sum(), new.softmax(0)[moved].sum())
            assert not alpha.requires_grad or alpha.grad is None
    assert moves >= 8, "the rest have no gradient, behind gates that are closed"


def test_a_pair_moves_against_its_gradient(share: Make, vectors: Space) -> None:
    picker = Proxyless(rate=0.1)
    picker.begin(share(picker, vectors))
    address, alpha = next(iter(picker.alphas.items()))
    before = alpha.detach().softmax(0)
    picker._move(address, alpha, np.array([2, 0]), torch.tensor([1.0, 5.0, -1.0]))
    after = alpha.detach().softmax(0)
    assert after[0] < before[0]
    assert after[2] > before[2]
    torch.testing.assert_close(after[1], before[1])


def test_the_penalty_prefers_what_is_cheap(share: Make, cells: Space) -> None:
    picker = Proxyless(penalty=1.0, rate=0.1)
    shared = share(picker, cells)
    address, alpha = next(iter(picker.alphas.items()))
    skip, conv = 1, 3
    assert picker.costs[address][skip] < picker.costs[address][conv]
    before = alpha.detach().softmax(0)
    picker._move(address, alpha, np.array([conv, skip]), torch.zeros(5))
    assert alpha.detach().softmax(0)[skip] > before[skip]
    assert shared.picker is picker


def drawn(picker: Gdas, shared: Shared) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Soft weights at the noise that the picker draws next, and those numbers as leaves."""
    rng = np.random.default_rng(5)
    heat = picker.hot + (picker.cold - picker.hot) * shared.progress
    soft = {}
    for address, alpha in picker.alphas.items():
        noise = torch.from_numpy(rng.gumbel(size=len(alpha)))
        soft[address] = ((alpha.double().log_softmax(0) + noise) / heat).softmax(0)
    hard = {a: torch.nn.functional.one_hot(s.argmax(), len(s)).double() for a, s in soft.items()}
    return soft, hard


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_gdas_runs_one_path_and_learns_from_the_soft_one(
    share: Make, rows: Data, vectors: Space, progress: float
) -> None:
    picker, caught = Gdas(), Caught()
    shared, (train, held) = prepared(picker, share, vectors), halves(rows)
    shared.progress = progress
    picker.optimizer = caught  # type: ignore[assignment]
    soft, hard = drawn(picker, shared)
    path = shared.net.space.fill(lambda address, _: int(hard[address].argmax()))
    active = {address: (int(value.argmax()),) for address, value in hard.items()}
    shared.rng = np.random.default_rng(5)
    torch.testing.assert_close(picker._loss(shared, held), shared.loss(path, held))

    def loss(weights: dict[str, Tensor]) -> Tensor:
        leaves = {address: value.clone().requires_grad_() for address, value in weights.items()}
        outputs = shared.net(held[0], leaves, active)
        return torch.nn.functional.cross_entropy(outputs, held[1])  # type: ignore[arg-type]

    shared.rng = np.random.default_rng(5)
    picker.learn(shared, train, held)
    for address, value in soft.items():
        slopes = torch.zeros(len(value), dtype=torch.float64)
        for option in range(len(value)):
            step = torch.zeros_like(slopes)
            step[option] = 1e-5
            up, down = (loss(hard | {address: hard[address] + sign * step}) for sign in (1, -1))
            slopes[option] = float((up - down).detach()) / 2e-5
        assert slopes.count_nonzero() == len(slopes), "an option that is not drawn gets no gradient"
        (expected,) = torch.autograd.grad((value * slopes).sum(), picker.alphas[address])
        found = caught.gradients[address]
        assert found is not None
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-7)


def test_gdas_cools_linearly(share: Make, vectors: Space) -> None:
    picker = Gdas(hot=10.0, cold=0.1)
    shared = share(picker, vectors)
    sharp = []
    for shared.progress in (0.0, 0.5, 1.0):
        shared.rng = np.random.default_rng(5)
        soft, _ = drawn(picker, shared)
        weights = picker.hard(shared)
        for address, value in weights.items():
            (found,) = torch.autograd.grad(value[0], picker.alphas[address])
            (expected,) = torch.autograd.grad(soft[address][0], picker.alphas[address])
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
            assert sorted(value.detach().round(decimals=5).tolist()) == [0.0] * (len(value) - 1) + [1.0]
        sharp.append(max(float(s.detach().max()) for s in soft.values()))
    assert sharp == sorted(sharp)


VALUES = {(0, 0): 0.1, (0, 1): 0.9, (1, 0): 0.3, (1, 1): 0.2, (2, 0): 0.5, (2, 1): 0.0}


def value_of(architecture: Architecture, batch: object = None) -> float:
    return VALUES[tuple(option for _, option in architecture.choices)]  # type: ignore[index]


def rewarded(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "reward", value_of)
    shared.progress = 0.5


def probability(picker: Controller, space: Space, architecture: Architecture) -> Tensor:
    return picker.policy(space, _follow(architecture))[1].exp()  # type: ignore[no-any-return]


def test_reinforce_is_the_gradient_of_the_expected_reward(
    share: Make, rows: Data, vectors: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    picker, caught = Controller(units=8, samples=1500, every=1, entropy=0.0, memory=1.0), Caught()
    shared = share(picker, vectors)
    rewarded(shared, monkeypatch)
    with torch.no_grad():
        for parameter in picker.policy.parameters():
            parameter.mul_(3.0)
    names, parameters = zip(*picker.policy.named_parameters())
    mean = torch.zeros(())
    total = torch.zeros(())
    for architecture in vectors.architectures():
        chance = probability(picker, vectors, architecture)
        mean, total = mean + value_of(architecture) * chance, total + chance
    torch.testing.assert_close(total, torch.ones(()))
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(-mean, parameters)])
    picker.baseline, picker.optimizer = 0.4, caught  # type: ignore[assignment]
    picker.learn(shared, rows(), rows())
    given = [caught.gradients[name] for name in names]
    found = torch.cat([g.flatten() for g in given if g is not None])
    assert found.shape == expected.shape
    assert float((found - expected).norm()) < 0.15 * float(expected.norm())


def test_the_controller_comes_to_prefer_what_is_rewarded(
    share: Make, rows: Data, vectors: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    picker = Controller(units=16, samples=8, every=1, rate=0.01)
    shared = share(picker, vectors)
    rewarded(shared, monkeypatch)
    best = next(a for a in vectors.architectures() if value_of(a) == 0.9)
    before = float(probability(picker, vectors, best).detach())
    assert before < 0.3
    for _ in range(60):
        picker.learn(shared, rows(), rows())
    assert float(probability(picker, vectors, best).detach()) > 0.6
    assert max(value_of(a) for a in picker.derive(shared)) == 0.9


def test_the_controller_waits_and_takes_turns(share: Make, rows: Data, vectors: Space) -> None:
    picker = Controller(every=3, warmup=0.5)
    shared = share(picker, vectors)
    counts = []
    for shared.progress in (0.4, 0.5):
        for _ in range(6):
            picker.learn(shared, rows(48, (6,)), rows(48, (6,)))
        counts.append(max(picker.optimizer.steps.values()))
    assert counts == [0, 2]


def test_a_choice_of_the_controller_depends_on_those_before(share: Make, vectors: Space) -> None:
    picker = Controller(units=16)
    share(picker, vectors)
    chances: dict[int, Tensor] = {}
    for option in range(3):

        def choose(address: str, p: Tensor, option: int = option) -> int:
            if address == "second":
                chances[option] = p
            return option if address == "first" else 0

        picker.policy(vectors, choose)
    assert len({tuple(p.tolist()) for p in chances.values()}) == 3


@pytest.mark.parametrize("place", [-30.0, -4.6, -2.0, 0.0, 3.0])
def test_dirichlet_gradients_are_finite(share: Make, cells: Space, place: float) -> None:
    picker = Drnas()
    shared = share(picker, cells)
    for alpha in picker.alphas.values():
        alpha.data.fill_(place)
    assert all(bool((value >= 0.01).all()) for value in picker.concentrations().values())
    for chances in picker.probabilities().values():
        torch.testing.assert_close(chances, torch.full((5,), 0.2))
    with torch.random.fork_rng():
        for _ in range(200):
            for address, weights in picker.pick(shared).items():
                alpha = picker.alphas[address]
                torch.testing.assert_close(weights.sum(), torch.ones(()))
                (gradient,) = torch.autograd.grad(weights @ torch.arange(5.0), alpha)
                assert gradient.isfinite().all()
                assert gradient.abs().max() < 1e3


def test_dirichlet_gradients_are_those_of_the_mean(share: Make, cells: Space) -> None:
    """Averaged over samples: the mean of the distribution is known."""
    picker = Drnas()
    shared = share(picker, cells)
    address, alpha = next(iter(picker.alphas.items()))
    alpha.data.copy_(torch.tensor([-1.0, 0.0, 1.0, 0.5, -0.5]))
    picker.alphas = {address: alpha}
    values = torch.arange(5.0)
    (expected,) = torch.autograd.grad(picker.probabilities()[address] @ values, alpha)
    with torch.random.fork_rng():
        drawn = torch.stack([picker.pick(shared)[address] for _ in range(3000)])
    (found,) = torch.autograd.grad((drawn @ values).mean(), alpha)
    torch.testing.assert_close(found, expected, atol=0.15 * float(expected.norm()), rtol=0)
    torch.testing.assert_close(picker.probabilities()[address].sum(), torch.ones(()))


def test_the_pull_is_towards_one(share: Make, rows: Data, cells: Space) -> None:
    picker = Drnas(pull=1e6, rate=0.1, decay=0.0)
    shared = share(picker, cells)
    for alpha in picker.alphas.values():
        alpha.data.copy_(torch.tensor([2.0, -1.0, 0.5, -0.5, 1.0]))
    before = {a: (c - 1.0).abs().detach() for a, c in picker.concentrations().items()}
    picker.learn(shared, rows(), rows())
    for address, concentrations in picker.concentrations().items():
        assert bool(((concentrations - 1.0).abs() < before[address]).all())


def test_snas_moves_numbers_and_weights_by_one_loss(share: Make, rows: Data, cells: Space) -> None:
    picker = Snas()
    shared = share(picker, cells)
    numbers = {address: alpha.detach().clone() for address, alpha in picker.alphas.items()}
    calls = []
    original = shared.loss

    def loss(*given: Any) -> Tensor:
        calls.append(given)
        return original(*given)

    shared.loss = loss  # type: ignore[method-assign]
    picker.step(shared, rows())
    assert len(calls) == 1
    assert all(not torch.equal(alpha, numbers[address]) for address, alpha in picker.alphas.items())
    assert all(alpha.grad is None for alpha in picker.alphas.values())
    used = sum(p.grad is not None for p in shared.net.parameters())
    assert used == len(list(shared.net.parameters()))
    assert Snas.held == 0.0


def test_snas_cools_exponentially(share: Make, cells: Space) -> None:
    picker = Snas(hot=1.0, cold=0.01)
    shared = share(picker, cells)
    for shared.progress, heat in ((0.0, 1.0), (0.5, 0.1), (1.0, 0.01)):
        rng, shared.rng = np.random.default_rng(9), np.random.default_rng(9)
        for address, weights in picker.pick(shared).items():
            noise = torch.from_numpy(rng.gumbel(size=5))
            expected = ((picker.alphas[address].double().log_softmax(0) + noise) / heat).softmax(0)
            torch.testing.assert_close(weights.double(), expected, atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(weights.sum(), torch.ones(()))


def test_both_sides_of_the_finite_difference_drop_the_same_units(share: Make, rows: Data) -> None:
    layer = op("dense", width=16, activation="tanh", dropout=0.5, name="dense")
    space = Space(chain(choice(layer, op("identity", name="skip"), name="first"), op("linear", width=OUTPUTS)), "drops")
    picker, data = Darts(order=2), rows(64, (16,))
    shared = share(picker, space, shape=(16,))
    weights = [parameter for _, parameter in shared.net.named_parameters()]
    vector = [torch.ones_like(weight) for weight in weights]
    found = []
    for seed in range(8):
        with seeded(seed):
            found.append(torch.cat(picker.hessian_product(shared, data, weights, vector)))
    spread, mean = torch.stack(found).std(0).norm(), torch.stack(found).mean(0).norm()
    assert spread < mean
