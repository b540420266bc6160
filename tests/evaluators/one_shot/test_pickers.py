"""What each picker promises of the paths it picks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from archwright.evaluators.one_shot.picker import Picker, entropy
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
from archwright.problem import Architecture, Signature
from archwright.space import OUTPUTS, Space, chain, choice, get_space, op
from archwright.supernet import Supernet
from archwright.supernet.edges import edges_of
from archwright.supernet.mixing import Beside, Front, Mix
from archwright.supernet.mixture import mixture_graph

Make = Callable[..., Shared]
Data = Callable[..., tuple[Tensor, Tensor]]

MOBILE = get_space("mobilenet", depths=(3, 3), widths=(4, 8), strides=(1, 2, 2), stem=(8, 4), head=8, kernels=(3, 5))
DARTS = get_space("darts", cells=2, channels=4, nodes=2)


def taken(paths: list[Architecture]) -> dict[str, Counter[int]]:
    found: dict[str, Counter[int]] = {}
    for path in paths:
        for address, option in path.choices:
            found.setdefault(address, Counter())[option] += 1
    return found


def gradients(shared: Shared) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in shared.net.named_parameters() if p.grad is not None}
    shared.net.zero_grad(set_to_none=True)
    return found


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=1e-4, atol=1e-6)


def test_fair_takes_every_option_once_in_a_step(share: Make) -> None:
    picker = Fair()
    shared = share(picker)
    orders = set()
    for _ in range(10):
        paths = picker.paths(shared)
        assert len(paths) == 5
        for counts in taken(paths).values():
            assert counts == Counter(range(5))
        orders.add(tuple(path.choices for path in paths))
    assert len(orders) == 10


def test_fair_is_as_even_as_can_be_where_counts_differ(share: Make) -> None:
    widths = op("dense", width=choice(*range(2, 9)), activation=choice("relu", "tanh", "silu"), name="dense")
    space = Space(chain(widths, op("dense", width=choice(3, 4)), op("linear", width=OUTPUTS)), "uneven")
    picker = Fair()
    shared = share(picker, space, shape=(6,))
    total: dict[str, Counter[int]] = {}
    for _ in range(30):
        for address, counts in taken(picker.paths(shared)).items():
            options = shared.net.counts[address]
            assert sum(counts.values()) == 7
            assert {counts[option] for option in range(options)} <= {7 // options, -(-7 // options)}
            total.setdefault(address, Counter()).update(counts)
    assert all(max(c.values()) < 1.5 * min(c.values()) for c in total.values())


def test_fair_adds_the_gradients_of_all_paths(share: Make, rows: Data, vectors: Space) -> None:
    picker, data = Fair(), rows(16, (6,))
    shared = share(picker, vectors)
    shared.rng = np.random.default_rng(1)
    loss = picker.step(shared, data)
    found = gradients(shared)
    shared.rng = np.random.default_rng(1)
    losses = [shared.loss(path, data) for path in picker.paths(shared)]
    torch.stack(losses).sum().backward()
    same(found, gradients(shared))
    torch.testing.assert_close(loss, torch.stack(losses).mean().detach())


def test_dropout_begins_with_everything_and_ends_at_its_rate(share: Make) -> None:
    picker = Dropout(rate=0.2)
    shared = share(picker)
    chosen = picker.pick(shared)
    assert all(options == [1.0] * 5 for options in chosen.values())
    for shared.progress in (0.5, 1.0):
        limit = 0.2 * shared.progress
        dropped, draws = 0, 0
        for _ in range(800):
            for options in picker.pick(shared).values():
                assert set(options) <= {1.0, None}
                assert any(options)
                dropped, draws = dropped + options.count(None), draws + 5
        expected = limit**0.2 - limit / 5
        assert dropped / draws == pytest.approx(expected, abs=4 * (0.25 / draws) ** 0.5)


def test_dropout_leaves_exactly_one_where_all_would_go(share: Make) -> None:
    class Zeros:
        def __init__(self) -> None:
            self.rng = np.random.default_rng(0)

        def random(self, count: int) -> Any:
            return np.zeros(count)

        def integers(self, count: int) -> Any:
            return self.rng.integers(count)

    picker = Dropout()
    shared = share(picker)
    shared.progress, shared.rng = 1.0, Zeros()  # type: ignore[assignment]
    left: Counter[int] = Counter()
    for _ in range(50):
        for options in picker.pick(shared).values():
            assert options.count(1.0) == 1
            left[options.index(1.0)] += 1
    assert set(left) == set(range(5))


def test_dropout_makes_other_choices_at_random(share: Make) -> None:
    picker = Dropout()
    shared = share(picker, get_space("cnn", depth=2, widths=((4, 8), (8, 16))))
    seen: dict[str, set[int]] = {}
    for _ in range(60):
        for address, chosen in picker.pick(shared).items():
            assert isinstance(chosen, list) == (address in shared.operations)
            if isinstance(chosen, int):
                seen.setdefault(address, set()).add(chosen)
    assert seen
    assert all(options == set(range(shared.net.counts[address])) for address, options in seen.items())


def test_the_sandwich_has_the_extremes(share: Make, vectors: Space) -> None:
    for space in (vectors, Space(DARTS.expression, "darts"), None):
        picker = Sandwich()
        shared = share(picker, *([space] if space else []))
        flops = shared.net.graph
        rng = np.random.default_rng(7)
        found = list(space.architectures()) if space is vectors else [shared.net.space.sample(rng) for _ in range(200)]
        costs = [flops(architecture).cost.flops for architecture in found]
        assert flops(picker.smallest).cost.flops <= min(costs)
        assert flops(picker.largest).cost.flops >= max(costs)
    assert set(picker.largest.as_dict().values()) == {3}, "of NAS-Bench-201 the cell of 3x3 convolutions"


def test_the_sandwich_keeps_to_the_constraints(share: Make, vectors: Space) -> None:
    def feasible(architecture: Architecture) -> bool:
        return architecture.as_dict()["first"] != 1

    picker = Sandwich(progressive=False)
    shared = share(picker, vectors, feasible=feasible)
    assert feasible(picker.largest)
    assert feasible(picker.smallest)
    assert all(feasible(path) for _ in range(20) for path in picker.between_paths(shared))


def test_choices_open_in_the_order_kernel_repeat_others(share: Make) -> None:
    picker = Sandwich(between=8)
    shared = share(picker, MOBILE)
    assert set(shared.kinds.values()) == {"kernel", "repeat", "expansion"}
    whole = picker.largest.as_dict()
    assert all(option == MOBILE.fill(lambda _, n: n - 1).as_dict()[a] for a, option in whole.items())
    for shared.progress, kinds in (
        (0.0, set()),
        (0.2, {"kernel"}),
        (0.4, {"kernel", "repeat"}),
        (0.6, {"kernel", "repeat", "expansion"}),
    ):
        paths = [path for _ in range(6) for path in picker.between_paths(shared)]
        differing = {
            shared.kinds[address]
            for path in paths
            for address, option in path.choices
            if option != whole.get(address, option)
        }
        assert differing == kinds
        assert picker.largest not in paths
        assert len(picker.between_paths(shared)) <= 9
        if "expansion" in kinds:
            assert picker.smallest in picker.between_paths(shared)
    shared.progress = 0.0
    assert Sandwich.between_paths(picker, shared) == []
    picker.progressive = False
    assert picker.between_paths(shared)


def test_units_are_sorted_before_the_first_narrow_setting_is_trained(
    share: Make, rows: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    picker, happened = Sandwich(), []
    shared = share(picker, MOBILE)
    sort, between = shared.net.sort, picker.between_paths

    def watched(shared: Shared) -> list[Architecture]:
        opened = any(picker.opened(address, shared) for address, kind in shared.kinds.items() if kind == "expansion")
        happened.append("narrow" if opened else "wide")
        return between(shared)

    monkeypatch.setattr(shared.net, "sort", lambda: happened.append("sort") or sort())
    monkeypatch.setattr(picker, "between_paths", watched)
    for _ in shared.train(*rows(96), 2):
        pass
    assert happened.count("sort") == 1
    assert happened.index("sort") == happened.index("narrow") - 1 == happened.count("wide")


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_smaller_paths_learn_from_the_largest(share: Make, rows: Data, vectors: Space, kind: str) -> None:
    picker, (x, y) = Sandwich(progressive=False), rows(16, (6,), kind)
    shared = share(picker, vectors, kind=kind)
    shared.rng = np.random.default_rng(1)
    reported = picker.step(shared, (x, y))
    found = gradients(shared)
    shared.rng = np.random.default_rng(1)
    teacher = shared.net(x, picker.largest)
    assert isinstance(teacher, Tensor)
    own = shared.criterion(teacher, y)
    total, smaller = own, picker.between_paths(shared)
    assert picker.smallest in smaller
    for path in smaller:
        student = shared.net(x, path)
        assert isinstance(student, Tensor)
        if kind == "regression":
            total = total + (student - teacher.detach()).square().mean()
        else:
            taught = teacher.detach().softmax(1)
            total = total + (taught * (taught.log() - student.log_softmax(1))).sum(1).mean()
    total.backward()
    same(found, gradients(shared))
    torch.testing.assert_close(reported, own.detach())


FEASIBLE: dict[str, Callable[[], Picker]] = {
    "uniform": Uniform,
    "fair": Fair,
    "sandwich": lambda: Sandwich(progressive=False),
    "controller": lambda: Controller(units=8, every=1, samples=2, warmup=0.3),
    "gdas": Gdas,
    "proxyless": lambda: Proxyless(every=1, warmup=0.3),
    "smash": Smash,
}
DERIVING: dict[str, Callable[[], Picker]] = {
    "controller": FEASIBLE["controller"],
    "darts": Darts,
    "darts-2": lambda: Darts(order=2),
    "darts-pt": lambda: DartsPt(rows=8),
    "drnas": Drnas,
    "gdas": Gdas,
    "pc-darts": PcDarts,
    "proxyless": FEASIBLE["proxyless"],
    "snas": Snas,
}


def few_convolutions(architecture: Architecture) -> bool:
    return sum(option == 3 for _, option in architecture.choices) <= 1


@pytest.mark.parametrize("name", FEASIBLE)
def test_only_feasible_paths_run(share: Make, rows: Data, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shared, run = share(FEASIBLE[name](), feasible=few_convolutions), []
    original = Supernet.forward

    def forward(self: Supernet, x: Tensor, how: Any, active: Any = None) -> Any:
        if isinstance(how, Architecture):
            run.append(how)
        elif all(len(options) == 1 for options in active.values()):
            run.append(self.space.fill(lambda address, _: active[address][0]))
        return original(self, x, how, active)

    monkeypatch.setattr(Supernet, "forward", forward)
    for _ in shared.train(*rows(128), 3):
        pass
    assert len(run) >= 18
    assert all(few_convolutions(architecture) for architecture in run)


@pytest.mark.parametrize("name", DERIVING)
def test_what_is_derived_is_feasible(share: Make, rows: Data, name: str) -> None:
    picker = DERIVING[name]()
    shared = share(picker, feasible=few_convolutions)
    for alpha in getattr(picker, "alphas", {}).values():
        alpha.data[..., 3 if len(alpha) == 5 else 0] += 2.0
    for _ in shared.train(*rows(32), 2):
        pass
    found = picker.derive(shared)
    assert found
    assert all(few_convolutions(architecture) for architecture in found)
    for architecture in found:
        shared.net.space.validate(architecture)


def test_pickers_that_derive_say_so(share: Make) -> None:
    assert all(make().derives for make in DERIVING.values())
    for picker in (Uniform(), Fair(), Dropout(), Sandwich(), Smash()):
        assert not picker.derives
        assert picker.derive(share(picker)) == []
        assert picker.shares(share(picker)) == {}


@pytest.mark.parametrize("name", DERIVING)
def test_shares_are_distributions_that_fit_what_is_derived(share: Make, name: str) -> None:
    picker = DERIVING[name]()
    shared = share(picker)
    if not isinstance(picker, Controller):
        for index, address in enumerate(shared.net.counts):
            picker.alphas[address].data[index % 5] += 4.0  # type: ignore[attr-defined]
        derived = picker.derive(shared)[0]
        assert derived.as_dict() == {address: index % 5 for index, address in enumerate(shared.net.counts)}
    for address, chances in picker.shares(shared).items():
        assert len(chances) == shared.net.counts[address]
        assert sum(chances) == pytest.approx(1.0)


def test_entropy_is_one_where_nothing_is_preferred_and_zero_where_all_is_settled() -> None:
    assert entropy({}) == 1.0
    assert entropy({"a": [0.25] * 4, "b": [0.5, 0.5]}) == pytest.approx(1.0)
    assert entropy({"a": [1.0, 0.0, 0.0]}) == pytest.approx(0.0, abs=1e-9)
    assert entropy({"a": [0.5, 0.5, 0.0, 0.0]}) == pytest.approx(0.5)


def test_proxyless_draws_by_its_probabilities_after_the_warm_up(share: Make, vectors: Space) -> None:
    picker = Proxyless(warmup=0.5)
    shared = share(picker, vectors)
    picker.alphas["first"].data.copy_(torch.tensor([0.0, 2.0, -2.0]))
    chances = picker.probabilities()["first"].tolist()
    for shared.progress, expected in ((0.4, [1 / 3] * 3), (0.6, chances)):
        counts = Counter(picker.pick(shared).as_dict()["first"] for _ in range(1500))
        for option, chance in enumerate(expected):
            assert counts[option] / 1500 == pytest.approx(chance, abs=0.05)


def channels() -> Space:
    return Space(
        chain(
            op("conv_bn", width=8, name="stem"),
            choice(op("identity", name="skip"), op("relu_conv_bn", kernel=3, name="conv"), name="middle"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS),
        ),
        "channels",
    )


def test_a_quarter_of_the_channels_passes_through_operations() -> None:
    space = channels()
    graph, *_ = mixture_graph(
        space._bound, {}, {"middle": (0, 1)}, {"middle": 2}, Signature(((1, 8, 8),), (3,)), partial=PcDarts().partial
    )
    nodes = {node.op if isinstance(node.op, str) else node.op.__name__: node for _, node in graph.operations()}
    assert nodes["relu_conv_bn"].call.inputs == ((2, 8, 8),)
    assert nodes["Front"].call.inputs == ((8, 8, 8),)
    assert nodes["Mix"].call.inputs == ((2, 8, 8),) * 2
    assert nodes["Beside"].call.inputs == ((2, 8, 8), (8, 8, 8))
    assert nodes["global_avg_pool"].call.inputs == ((8, 8, 8),)


def test_channels_that_pass_by_are_those_of_the_input() -> None:
    x = torch.randn(2, 8, 4, 4)
    part = Front(width=2)(x)
    torch.testing.assert_close(part, x[:, :2])
    joined = Beside(groups=4)(part * 100, x)
    assert joined.shape == x.shape
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    torch.testing.assert_close(joined, torch.cat((part * 100, x[:, 2:]), 1)[:, order])
    small = Beside(groups=4)(torch.zeros(2, 2, 2, 2), x)
    assert small.shape == (2, 8, 2, 2)
    torch.testing.assert_close(small[:, 1], functional.max_pool2d(x, 2)[:, 2])


def test_pc_darts_weighs_edges_too_once_warm(share: Make, rows: Data) -> None:
    picker = PcDarts(warmup=0.5)
    shared = share(picker)
    edges = {name: alpha for name, alpha in picker.alphas.items() if name.endswith(":edges")}
    assert sorted(len(alpha) for alpha in edges.values()) == [2, 3]
    assert len(picker.alphas) == 8
    before = {name: alpha.detach().clone() for name, alpha in picker.alphas.items()}
    shared.progress = 0.49
    picker.learn(shared, rows(), rows())
    assert all(torch.equal(before[name], alpha) for name, alpha in picker.alphas.items())
    shared.progress = 0.5
    picker.learn(shared, rows(), rows())
    assert all(not torch.equal(before[name], alpha) for name, alpha in picker.alphas.items())
    assert picker.shares(shared).keys() == shared.net.counts.keys()


@pytest.mark.parametrize("space", ["layers", "nasnet", "darts"])
def test_pc_darts_on_other_dags(share: Make, rows: Data, space: str) -> None:
    options: dict[str, Any] = {
        "layers": {"layers": 4, "filters": (4, 8), "sizes": (1, 3)},
        "nasnet": {"cells": 1, "channels": 4, "blocks": 2},
        "darts": {"cells": 2, "channels": 4, "nodes": 2},
    }[space]
    picker = PcDarts(warmup=0.0)
    shared = share(picker, get_space(space, **options))
    before = {name: alpha.detach().clone() for name, alpha in picker.alphas.items()}
    picker.learn(shared, rows(), rows())
    moved = [name for name, alpha in picker.alphas.items() if not torch.equal(before[name], alpha)]
    assert any(name.endswith(":edges") for name in moved)
    assert len(moved) > 0.8 * len(before)


def test_edges_are_kept_by_their_own_numbers_too(share: Make) -> None:
    picker = PcDarts()
    shared = share(picker, DARTS)
    address = "normal.node3.inputs"
    edge = edges_of(DARTS)[address]
    picker.alphas[edge.strengths].data.copy_(torch.tensor([3.0, 0.0, 3.0]))
    chosen = picker.derive(shared)[0].as_dict()
    assert edge.slots[chosen[address]] == (0, 2)


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_everything_is_settled_by_the_end(share: Make, rows: Data, epochs: int) -> None:
    picker = DartsPt(rows=8)
    shared = share(picker)
    counts = [len(picker.settled) for _ in shared.train(*rows(96 * epochs), epochs)]
    assert picker.settled.keys() == shared.net.counts.keys()
    assert counts == sorted(counts)
    assert all(0 <= option < 5 for option in picker.settled.values())
    if epochs == 5:
        assert counts[1] == 0, "the first half is training alone"
        assert 0 < counts[2] < counts[3] < counts[4]
    derived = picker.derive(shared)[0]
    assert derived.as_dict() == picker.settled


def test_judging_a_choice_takes_no_longer_than_the_steps_before_it(
    share: Make, rows: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    picker, judged = DartsPt(rows=64), []
    shared = share(picker)
    batch, loss = shared.recipe.batch_size, shared.loss

    def counted(how: Any, given: Any, active: Any = None) -> Tensor:
        if not torch.is_grad_enabled():
            judged.append(len(given[0]))
        return loss(how, given, active)

    monkeypatch.setattr(shared, "loss", counted)
    shared.rows = rows
    for step, expected in ((200, 64), (1, batch)):
        judged.clear()
        picker.steps = step
        picker._option(shared, picker.queue[0])
        assert judged == [expected] * shared.net.counts[picker.queue[0]]


def test_an_early_stop_goes_back_to_before_the_collapse(share: Make, rows: Data) -> None:
    picker = Darts(early=True)
    shared, batch = share(picker), rows()
    shared.progress = 0.5
    picker.learn(shared, batch, batch)
    sound = {address: alpha.detach().clone() for address, alpha in picker.alphas.items()}
    for alpha in picker.alphas.values():
        alpha.data[1] += 9.0
    assert not picker.stopped
    for _ in range(2):
        shared.progress += 0.1
        picker.learn(shared, batch, batch)
        assert picker.stopped
        assert all((alpha - sound[address]).abs().max() < 0.01 for address, alpha in picker.alphas.items())


def test_everything_is_settled_where_time_ends_the_training(share: Make, rows: Data, vectors: Space) -> None:
    class Slow(DartsPt):
        def step(self, shared: Shared, batch: Any) -> Tensor:
            time.sleep(0.02)
            return super().step(shared, batch)

    picker = Slow(rows=8)
    shared = share(picker, vectors)
    for _ in shared.train(*rows(320, (6,)), 1000, time.monotonic() + 0.75):
        assert shared.progress < 1.0 or shared.ended
    assert shared.ended
    assert picker.settled.keys() == shared.net.counts.keys()


def test_the_option_whose_removal_hurts_most_is_kept(share: Make, rows: Data, vectors: Space) -> None:
    for path in vectors.architectures():
        picker = DartsPt()
        shared, (x, y) = share(picker, vectors), rows(96, (6,))
        for _ in range(25):
            shared.loss(path, (x, y)).backward()
            shared.optimizer.step(0.1)
        shared.rows = lambda count: (x[:count], y[:count])  # noqa: B023
        shared.progress, shared.ended = 1.0, True
        picker.epoch(shared)
        assert vectors.fill(lambda address, _: picker.settled[address]) == path  # noqa: B023


def test_the_edges_whose_removal_hurts_most_are_read(share: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    picker = DartsPt()
    shared = share(picker, DARTS)
    address = "normal.node3.inputs"
    edge = shared.edges[address]
    for first, second in ((0, 1), (0, 2), (1, 2)):

        def score(
            shared: Shared, changes: dict[str, Tensor], _: int, first: int = first, second: int = second
        ) -> float:
            gone = int(changes[edge.strengths].argmin())
            return {first: 0.1, second: 0.2}.get(gone, 0.9)

        monkeypatch.setattr(picker, "_score", score)
        assert edge.slots[picker._read(shared, address)] == (first, second)


def test_reads_are_settled_after_all_operations(share: Make, rows: Data) -> None:
    picker = DartsPt(rows=8, start=0.0)
    shared, seen = share(picker, DARTS), []
    for _ in shared.train(*rows(32), 3):
        reads = [address for address in picker.settled if address in shared.edges]
        seen.append((len(reads), len(picker.settled) - len(reads)))
    operations = len(shared.net.counts) - len(shared.edges)
    assert all(others == operations for reads, others in seen if reads)
    assert seen[-1] == (len(shared.edges), operations)
    derived = picker.derive(shared)[0]
    chosen = derived.as_dict()
    kept = [a for a in chosen if a in shared.edges]
    assert all(chosen[address] == picker.settled[address] for address in kept)


def test_numbers_stay_once_something_is_settled(share: Make, rows: Data) -> None:
    picker = DartsPt(rows=8)
    shared = share(picker)
    picker.settled = {"cell.edge0_1": 3}
    before = {address: alpha.detach().clone() for address, alpha in picker.alphas.items()}
    picker.learn(shared, rows(), rows())
    assert all(torch.equal(before[address], alpha) for address, alpha in picker.alphas.items())
    assert picker.pick(shared)["cell.edge0_1"] == 3


def test_a_settled_none_gives_way_to_the_likeliest_operation(share: Make) -> None:
    """An edge that is read has an operation (DARTS)."""
    picker = DartsPt()
    shared = share(picker, DARTS)
    address = next(address for address in shared.net.counts if address.endswith("edge0_2"))
    picker.alphas[address].data[4] += 3.0
    read = "normal.node2.inputs"
    picker.settled = {address: 0, read: 0} if read in shared.net.counts else {address: 0}
    chosen = picker.derive(shared)[0].as_dict()
    assert chosen[address] == 4


def test_smash_weights_follow_from_the_architecture(share: Make) -> None:
    shared = share(Smash())
    space = shared.net.space
    one, two = (space.fill(lambda address, count, option=option: option) for option in (2, 3))
    first, second = shared.net.weights_of(one), shared.net.weights_of(two)
    name = "stem.conv.weight"
    assert first[name].shape == second[name].shape
    assert not torch.allclose(first[name], second[name])
    plain = share(Uniform())
    assert torch.equal(plain.net.weights_of(one)[name], plain.net.weights_of(two)[name])


def test_smash_paths_extracted_compute_the_same(share: Make, rows: Data) -> None:
    shared, (x, _) = share(Smash()), rows(8)
    for _ in shared.train(*rows(64), 1):
        pass
    rng = np.random.default_rng(0)
    for training in (True, False):
        shared.net.train(training)
        for _ in range(3):
            path = shared.net.space.sample(rng)
            torch.testing.assert_close(shared.net.extract(path)(x), shared.net(x, path), atol=1e-5, rtol=1e-5)


def test_smash_trains_the_hypernetwork_and_the_vectors(share: Make, rows: Data) -> None:
    shared = share(Smash())
    path = shared.net.space.fill(lambda address, count: 3)
    shared.loss(path, rows()).backward()
    found = gradients(shared)
    hyper = {name for name in found if name.startswith("hypernetwork.")}
    assert {f"hypernetwork.{name}" for name in ("body.0.weight", "body.2.bias", "codes.weight", "codes.bias")} <= hyper
    assert all(found[name].any() for name in hyper)
    assert any("|" in name for name in hyper)
    assert all(value.dim() == 1 for name, value in found.items() if name not in hyper)
    assert any(name not in hyper for name in found)


def test_a_mixture_knows_only_its_weights() -> None:
    """Without weights, as where shapes are found, a weighted sum gives its widest input."""
    narrow, wide = torch.ones(1, 2, 3, 3), torch.ones(1, 4, 3, 3)
    assert Mix(terms=((), ()))(narrow, wide) is wide
