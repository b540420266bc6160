"""The training of a supernet: it goes on from any epoch to the same bytes, keeps its rows apart and its deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from archwright.errors import EvaluationError
from archwright.evaluators.one_shot.picker import Picker
from archwright.evaluators.one_shot.pickers.controller import Controller
from archwright.evaluators.one_shot.pickers.darts import Darts
from archwright.evaluators.one_shot.pickers.darts_pt import DartsPt
from archwright.evaluators.one_shot.pickers.drnas import Drnas
from archwright.evaluators.one_shot.pickers.dropout import Dropout
from archwright.evaluators.one_shot.pickers.fair import Fair
from archwright.evaluators.one_shot.pickers.gdas import Gdas
from archwright.evaluators.one_shot.pickers.pc_darts import PcDarts
from archwright.evaluators.one_shot.pickers.proxyless import Proxyless
from archwright.evaluators.one_shot.pickers.sandwich import Sandwich
from archwright.evaluators.one_shot.pickers.smash import Smash
from archwright.evaluators.one_shot.pickers.snas import Snas
from archwright.evaluators.one_shot.pickers.uniform import Uniform
from archwright.evaluators.one_shot.shared import Shared
from archwright.evaluators.recipe import Recipe
from archwright.space import Space, get_space

Make = Callable[..., Shared]
Data = Callable[..., tuple[Tensor, Tensor]]

PICKERS: dict[str, Callable[[], Picker]] = {
    "uniform": Uniform,
    "fair": Fair,
    "dropout": Dropout,
    "sandwich": Sandwich,
    "controller": lambda: Controller(units=8, every=3, samples=2),
    "darts": Darts,
    "darts-2": lambda: Darts(order=2),
    "pc-darts": PcDarts,
    "darts-pt": lambda: DartsPt(rows=16),
    "gdas": Gdas,
    "snas": Snas,
    "drnas": Drnas,
    "proxyless": lambda: Proxyless(every=3),
    "proxyless-penalty": lambda: Proxyless(penalty=0.1),
    "smash": Smash,
}
EPOCHS = 4


def check_resumed(make: Callable[[], Shared], x: Tensor, y: Tensor, epochs: int = EPOCHS) -> None:
    whole, kept = make(), []
    start = whole.to_bytes()
    for _ in whole.train(x, y, epochs):
        kept.append(whole.to_bytes())
    assert len({start, *kept}) == epochs + 1, "an epoch changed nothing"
    derived = whole.picker.derive(whole)
    for content in kept:
        later = make()
        later.load(content)
        assert later.to_bytes() == content
        numbers = [epoch.number for epoch in later.train(x, y, epochs)]
        assert numbers == list(range(epochs + 1 - len(numbers), epochs + 1))
        assert later.to_bytes() == kept[-1]
        assert later.picker.derive(later) == derived


@pytest.mark.parametrize("name", PICKERS)
def test_resuming_gives_the_same_bytes(share: Make, rows: Data, name: str) -> None:
    check_resumed(lambda: share(PICKERS[name]()), *rows(64))


@pytest.mark.parametrize("name", ["fair", "sandwich", "darts", "snas"])
def test_resuming_a_regression(share: Make, rows: Data, vectors: Space, name: str) -> None:
    check_resumed(lambda: share(PICKERS[name](), vectors, kind="regression"), *rows(64, (6,), "regression"))


def test_resuming_with_augmentation_and_dropout(share: Make, rows: Data) -> None:
    recipe = Recipe(lr=0.05, batch_size=16, flip=True, crop=1, cutout=2, label_smoothing=0.1)
    check_resumed(lambda: share(Uniform(), recipe=recipe), *rows(64))


def first(space: Space, seed: int) -> Iterator[Any]:
    yield space.fill(lambda address, count: 0)


@pytest.mark.parametrize("name", ["uniform", "fair", "sandwich", "controller", "gdas", "darts", "smash"])
def test_resuming_a_supernet_that_grew(share: Make, rows: Data, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Which finds at its beginning room for one architecture only."""
    monkeypatch.setattr("archwright.supernet.supernet.covering", first)
    space = get_space("layers", layers=3, filters=(4, 8), sizes=(1, 3))
    versions = []

    def make() -> Shared:
        made = share(PICKERS[name](), space)
        versions.append((made, made.net.version))
        return made

    check_resumed(make, *rows(64))
    assert versions[0][0].net.version > versions[0][1]


@pytest.mark.parametrize("name", ["uniform", "sandwich"])
def test_resuming_where_kernels_were_not_foreseen(
    share: Make, rows: Data, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("archwright.supernet.supernet.covering", first)
    space = get_space("mobilenet", depths=(2, 2, 2), widths=(4, 8, 8), stem=(8, 4), head=8, kernels=(3, 5, 7))
    check_resumed(lambda: share(PICKERS[name](), space), *rows(48), epochs=3)


def test_rows_that_are_stored_class_by_class_are_looked_at_mixed(share: Make, rows: Data) -> None:
    x, y = rows(240)
    order = torch.argsort(y)
    for picker in (Darts(), Uniform()):
        shared = share(picker)
        for _ in shared.train(x[order], y[order], 1):
            pass
        assert set(shared.rows(24)[1].tolist()) == {0, 1, 2}
        assert not torch.equal(shared.rows(24)[1], y[order][:24])


def test_two_sessions_are_alike_and_seeds_differ(share: Make, rows: Data) -> None:
    one, two, other = share(Uniform()), share(Uniform()), share(Uniform())
    other.seed = 4
    for shared in (one, two, other):
        for _ in shared.train(*rows(), 1):
            pass
    assert one.to_bytes() == two.to_bytes() != other.to_bytes()


@pytest.mark.parametrize("other", ["space", "channels", "picker", "picker's state"])
def test_a_checkpoint_of_another_supernet_is_refused(share: Make, cells: Space, other: str) -> None:
    found = {
        "space": lambda: share(Uniform(), get_space("layers", layers=2)),
        "channels": lambda: share(Uniform(), get_space("nas-bench-201", cells=1, channels=8)),
        "picker": lambda: share(Smash()),
        "picker's state": lambda: share(Darts()),
    }
    content = share(Uniform()).to_bytes()
    with pytest.raises(EvaluationError, match="checkpoint is not one of this supernet"):
        found[other]().load(content)


@pytest.mark.parametrize("name", PICKERS)
def test_divergence_is_an_error_that_names_epoch_and_rate(share: Make, rows: Data, name: str) -> None:
    x, y = rows(160)
    shared = share(PICKERS[name](), recipe=Recipe(lr=1e30, batch_size=16, warmup=0.0))
    with pytest.raises(EvaluationError, match=r"diverged after \d+ steps of epoch [123], at a learning rate of .*e\+"):
        for _ in shared.train(x, y, 3):
            pass


@pytest.mark.parametrize("name", ["uniform", "controller", "proxyless", "dropout"])
def test_a_regression_that_diverges(share: Make, rows: Data, vectors: Space, name: str) -> None:
    x, y = rows(1200, (6,), "regression")
    shared = share(PICKERS[name](), vectors, kind="regression", recipe=Recipe(lr=1e30, batch_size=16, warmup=0.0))
    shared.progress = 0.5
    with pytest.raises(EvaluationError, match=r"diverged after \d+ steps of epoch 1,"):
        for _ in shared.train(x, y, 3):
            pass


def test_the_history_tells_each_epoch(share: Make, rows: Data, cells: Space) -> None:
    shared = share(Darts())
    epochs = list(shared.train(*rows(), 3))
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert [epoch.last for epoch in epochs] == [False, False, True]
    assert [line["loss"] for line in shared.history] == [epoch.loss for epoch in epochs]
    assert [line["epoch"] for line in shared.history] == [1, 2, 3]
    shares = shared.history[-1]["shares"]
    assert shares.keys() == shared.net.counts.keys()
    assert all(sum(p) == pytest.approx(1.0) for p in shares.values())
    assert list(shared.train(*rows(), 3)) == []


def test_it_learns(share: Make, rows: Data) -> None:
    x, y = rows(200)
    shared = share(Uniform())
    losses = [epoch.loss for epoch in shared.train(x, y, 10)]
    assert losses[-1] < 0.75 * losses[0]
    space = shared.net.space
    conv = space.fill(lambda address, count: 3)
    assert shared.reward(conv, (x, y)) > 0.6


def test_the_schedule_runs_from_its_beginning_to_its_end(share: Make, rows: Data) -> None:
    met: list[float] = []

    class Noting(Uniform):
        def learn(self, shared: Shared, train: Any, held: Any) -> None:
            met.append(shared.progress)

        held = 0.25

    shared = share(Noting())
    rates = [epoch.rate for epoch in shared.train(*rows(64), 4)]
    assert met == pytest.approx([index / 12 for index in range(12)])
    assert rates[-1] == shared.recipe.rate(11 / 12)
    assert shared.progress == 1.0
    assert shared.ended


@pytest.mark.parametrize("count", [2, 7, 48, 101])
@pytest.mark.parametrize("name", ["uniform", "controller", "darts", "snas"])
def test_own_and_held_rows_are_apart_and_stay_so(share: Make, name: str, count: int, cells: Space) -> None:
    one, two = share(PICKERS[name]()), share(PICKERS[name]())
    own, held = one.split(count)
    assert not set(own) & set(held)
    assert sorted([*own, *held]) == list(range(count))
    assert len(held) == round(one.picker.held * count)
    two.number, two.rng = 3, np.random.default_rng(99)
    for mine, again in zip((own, held), two.split(count)):
        assert np.array_equal(mine, again)


def test_weights_never_see_held_rows_nor_numbers_own_ones(share: Make, vectors: Space) -> None:
    seen: dict[str, set[int]] = {"own": set(), "held": set()}

    class Noting(Uniform):
        held = 0.5

        def learn(self, shared: Shared, train: Any, held: Any) -> None:
            seen["own"] |= set(train[0][:, 0].int().tolist())
            seen["held"] |= set(held[0][:, 0].int().tolist())

        def step(self, shared: Shared, batch: Any) -> Tensor:
            seen["own"] |= set(batch[0][:, 0].int().tolist())
            return super().step(shared, batch)

        def epoch(self, shared: Shared) -> None:
            x, y = shared.rows(10)
            assert len(x) == len(y) == 10
            seen["held"] |= set(x[:, 0].int().tolist())

    x = torch.arange(64.0).view(-1, 1).expand(-1, 6).contiguous()
    shared = share(Noting(), vectors, recipe=Recipe(lr=1e-9, batch_size=16))
    for _ in shared.train(x, torch.zeros(64, dtype=torch.int64), 6):
        pass
    own, held = shared.split(64)
    assert seen["own"] == set(own.tolist())
    assert seen["held"] == set(held.tolist())


class Slow(Uniform):
    """Takes a moment for each step."""

    def step(self, shared: Shared, batch: Any) -> Tensor:
        time.sleep(0.01)
        return super().step(shared, batch)


@pytest.mark.parametrize("size", [16, 1280])
def test_the_deadline_is_kept_with_the_schedule_at_its_end(share: Make, rows: Data, vectors: Space, size: int) -> None:
    shared = share(Slow(), vectors)
    begun = time.monotonic()
    epochs = list(shared.train(*rows(size * 10, (6,)), 1000, begun + 0.8))
    spent = time.monotonic() - begun
    assert 0.4 < spent < 3.0
    assert epochs[-1].last
    assert all(not epoch.last for epoch in epochs[:-1])
    assert shared.ended
    assert list(shared.train(*rows(size * 10, (6,)), 1000, time.monotonic() + 9)) == []
    assert shared.progress > (0.7 if size == 16 else 0.9)


def test_a_deadline_that_is_far_changes_nothing_of_the_epochs(share: Make, rows: Data, vectors: Space) -> None:
    shared = share(Uniform(), vectors)
    epochs = list(shared.train(*rows(64, (6,)), 3, time.monotonic() + 1000))
    assert [epoch.number for epoch in epochs] == [1, 2, 3]
    assert shared.progress == pytest.approx(1.0)


def test_constraints_that_nothing_satisfies_are_an_error(share: Make, rows: Data, vectors: Space) -> None:
    shared = share(Uniform(), vectors, feasible=lambda architecture: False)
    with pytest.raises(EvaluationError, match="None of 1000 architectures of the space 'vectors' satisfies"):
        next(shared.train(*rows(48, (6,)), 1))


def test_option_costs_are_relative_flops(share: Make, cells: Space) -> None:
    costs = share(Uniform()).option_costs()
    for options in costs.values():
        none, skip, conv1, conv3, pool = options
        assert max(none, skip, pool, conv1) < conv3
        assert max(none, skip, pool) < 1.05
        assert float(np.mean(options)) == pytest.approx(1.0, abs=0.1)


def test_option_costs_are_exact_where_costs_add_up(share: Make, cells: Space) -> None:
    known = {address: np.arange(5.0) * (place + 1) for place, address in enumerate(share(Uniform()).net.counts)}
    costs = share(
        Uniform(), cost=lambda found: 100.0 + sum(known[address][option] for address, option in found.choices)
    ).option_costs()
    for address, options in costs.items():
        own = (known[address] - known[address].mean()) / 142.0
        assert np.diff(options) == pytest.approx(np.diff(own), rel=0.05)
        ratio = np.diff(options) / np.diff(own)
        assert np.ptp(ratio) < 1e-6


def test_rewards_are_higher_for_better_outputs(share: Make, rows: Data, vectors: Space) -> None:
    shared = share(Uniform(), vectors, kind="regression")
    x, y = rows(20, (6,), "regression")
    path = vectors.fill(lambda address, count: 0)
    fitting = shared.net(x, path).detach().flatten()  # type: ignore[union-attr]
    assert shared.reward(path, (x, fitting)) == pytest.approx(0.0, abs=1e-6)
    assert shared.reward(path, (x, fitting + 2.0)) == pytest.approx(-4.0, rel=1e-4)
    classes = share(Uniform(), vectors)
    best = classes.net(x, path).argmax(1)  # type: ignore[union-attr]
    assert classes.reward(path, (x, best)) == 1.0
    assert classes.reward(path, (x, torch.where(torch.arange(20) < 5, (best + 1) % 3, best))) == 0.75
    assert classes.reward(path, (x, y.long() * 0)) <= 1.0


def test_rows_come_in_another_order_in_each_epoch(share: Make, vectors: Space) -> None:
    seen: list[tuple[int, ...]] = []

    class Noting(Uniform):
        held = 0.5

        def learn(self, shared: Shared, train: Any, held: Any) -> None:
            seen.append(tuple(train[0][:, 0].int().tolist()))
            seen.append(tuple(held[0][:, 0].int().tolist()))

    x = torch.arange(64.0).view(-1, 1).expand(-1, 6).contiguous()
    shared = share(Noting(), vectors, recipe=Recipe(lr=1e-9, batch_size=16))
    for _ in shared.train(x, torch.zeros(64, dtype=torch.int64), 3):
        pass
    assert len(set(seen)) == len(seen) == 12
    for epoch in range(3):
        for kind in range(2):
            once = [row for batch in seen[4 * epoch + kind : 4 * epoch + 4 : 2] for row in batch]
            assert len(set(once)) == 32
