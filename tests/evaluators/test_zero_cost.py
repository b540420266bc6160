from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from archwright.artifacts import Artifacts
from archwright.errors import EvaluationError
from archwright.evaluators import DATA_FREE, SCORES, ZeroCost, graph_score, list_scores, score, weights_of
from archwright.graph.module import build, seeded
from archwright.problem import Fidelity, Objective, Problem, Proposal, Signature
from archwright.space import OUTPUTS, Space, chain, get_space, op
from archwright.space.zoo.nas_bench_201 import from_ops, nas_bench_201
from archwright.testing.evaluator import check_evaluator

DATA = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "benchmarks"
SIGNATURES = {
    "cnn": Signature(((1, 8, 8),), (10,)),
    "mlp": Signature(((13,),), (3,)),
    "darts": Signature(((3, 8, 8),), (10,)),
}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def batch(signature: Signature, rows: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    return noise(rows, *signature.inputs[0]), torch.arange(rows) % signature.outputs[0]


def linear(weight: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data = weight.clone()
    return layer


def of(name: str, network: nn.Module, x: torch.Tensor, y: torch.Tensor | None = None, kind: str = "regression"):
    return score(name, network, x, torch.zeros(len(x)) if y is None else y, kind)


# Each score against its definition, on networks small enough for pencil and paper.


def test_synflow_is_the_flow_of_the_positive_network():
    first, second = noise(5, 4), noise(3, 5, seed=1)
    flow = float((second.abs() @ first.abs()).sum())
    network = nn.Sequential(linear(first), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5), linear(second))
    network[1].weight.data.fill_(7.0)
    assert of("synflow", network, noise(8, 4)) == pytest.approx(np.log(2 * flow), rel=1e-6)


def test_synflow_holds_more_than_float32_can():
    deep = nn.Sequential(*(linear(torch.full((16, 16), 4.0)) for _ in range(40)))
    assert of("synflow", deep, noise(2, 16)) == pytest.approx(40 * np.log(64) + np.log(40) + np.log(16), rel=1e-9)


def test_jacob_cov_of_uncorrelated_gradients_is_the_best_there_is():
    class Squares(nn.Module):
        def forward(self, x):
            return 0.5 * x.square().sum(1, keepdim=True)

    hadamard = torch.tensor(
        [[1.0, 1, -1, -1, 1, 1, -1, -1], [1, -1, 1, -1, 1, -1, 1, -1], [1, -1, -1, 1, 1, -1, -1, 1]]
    )
    assert of("jacob_cov", Squares(), hadamard) == pytest.approx(-3 * (np.log(1 + 1e-5) + 1 / (1 + 1e-5)))
    alike = hadamard + 3 * hadamard[:1]
    assert of("jacob_cov", Squares(), alike) < -3.0


def test_jacob_cov_takes_no_more_rows_than_can_be_told_apart():
    network = nn.Sequential(linear(noise(8, 6)), nn.Tanh(), linear(noise(1, 8)))
    x = noise(64, 6)
    assert of("jacob_cov", network, x) == of("jacob_cov", network, x[:3])
    with pytest.raises(EvaluationError, match="not defined for inputs of shape \\(3,\\)"):
        of("jacob_cov", linear(noise(1, 3)), noise(64, 3))


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.SiLU(), functional.relu, torch.Tensor.relu, torch.tanh],
    ids=("relu-module", "silu", "relu", "relu-method", "tanh"),
)
def test_naswot_counts_the_units_that_two_rows_switch_alike(activation):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.act = linear(torch.eye(3)), activation

        def forward(self, x):
            return self.act(self.first(x))

    x = torch.tensor([[1.0, -1, -1], [1, 1, -1], [-1, -1, 1]])
    alike = [[3, 2, 1], [2, 3, 0], [1, 0, 3]]
    assert of("naswot", Net(), x) == pytest.approx(np.linalg.slogdet(alike)[1])


def test_naswot_uses_the_statistics_of_the_batch(net, images):
    x, y = images
    fresh, stale = net(), net()
    stale[1].running_mean.fill_(1e4)
    assert of("naswot", stale, x, y, "classification") == of("naswot", fresh, x, y, "classification")


def regression() -> tuple[nn.Linear, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A linear model with the gradient and the Hessian of its mean squared error."""
    x, y, w = noise(10, 4), noise(10, seed=1), noise(1, 4, seed=2)
    gradient, hessian = 2 / 10 * x.T @ (x @ w[0] - y), 2 / 10 * x.T @ x
    return linear(w), x, y, gradient, hessian


def test_gradient_scores_are_what_their_formulas_say():
    network, x, y, gradient, hessian = regression()
    w = network.weight.data[0]
    assert of("snip", network, x, y) == pytest.approx(float((w * gradient).abs().sum()), rel=1e-5)
    assert of("grad_norm", network, x, y) == pytest.approx(float(gradient.norm()), rel=1e-5)
    assert of("grasp", network, x, y) == pytest.approx(-float(w @ hessian @ gradient), rel=1e-4)
    output, slope = x @ w, 2 / 10 * (x @ w - y)
    assert of("fisher", network, x, y) == pytest.approx(0.5 * float((output * slope).square().mean()), rel=1e-5)


def test_fisher_sums_positions_of_a_linear_layer_before_it_squares():
    x, y, w = noise(6, 5, 4), noise(6, seed=1), noise(2, 4, seed=2)

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(w)

        def forward(self, x):
            return self.layer(x).sum((1, 2))

    channels = (x @ w.T).sum(1)
    slope = 2 / 6 * (channels.sum(1) - y)
    expected = 0.5 * float((channels * slope[:, None]).square().mean(0).sum())
    assert of("fisher", Positions(), x, y) == pytest.approx(expected, rel=1e-5)


def test_fisher_sums_maps_before_it_squares():
    x, y = noise(6, 1, 4, 4), noise(6, seed=1)
    conv = nn.Conv2d(1, 1, 1, bias=False)
    conv.weight.data.fill_(0.7)
    network = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    mean = 0.7 * x.mean((1, 2, 3))
    slope = 2 / 6 * (mean - y)
    assert of("fisher", network, x, y) == pytest.approx(0.5 * float((mean * slope).square().mean()), rel=1e-5)


def test_zen_undoes_the_rescaling_of_batch_norms():
    def body(norm: bool) -> nn.Module:
        parts = [nn.Conv2d(3, 8, 3, bias=False), *([nn.BatchNorm2d(8)] if norm else []), nn.ReLU()]
        return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))

    x = torch.zeros(64, 3, 12, 12)
    assert of("zen", body(True), x) == pytest.approx(of("zen", body(False), x), abs=0.1)


def test_zen_grows_with_depth_and_needs_maps():
    def body(depth: int) -> nn.Module:
        layers = [nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()] * depth
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    x = torch.zeros(16, 3, 8, 8)
    assert of("zen", body(1), x) < of("zen", body(2), x) < of("zen", body(4), x)
    with pytest.raises(EvaluationError, match="zen is not defined"):
        of("zen", linear(noise(2, 4)), noise(8, 4))


# What holds for all of them.


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("space", SIGNATURES)
def test_every_score_on_the_spaces_of_the_zoo(space, name):
    signature, rng = SIGNATURES[space], np.random.default_rng(1)
    network = build(get_space(space).graph(get_space(space).sample(rng), signature), seed=0)
    x, y = batch(signature)
    if (space, name) == ("mlp", "zen"):
        with pytest.raises(EvaluationError, match="no map"):
            score(name, network, x, y, "classification")
        return
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = torch.random.get_rng_state()
    found = score(name, network, x, y, "classification", seed=3)
    assert np.isfinite(found)
    assert score(name, network, x, y, "classification", seed=3) == found
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("space", SIGNATURES)
def test_counts_are_those_of_the_graph(space):
    signature, rng = SIGNATURES[space], np.random.default_rng(0)
    for _ in range(3):
        graph = get_space(space).graph(get_space(space).sample(rng), signature)
        network, (x, y) = build(graph, 0), batch(signature)
        assert score("params", network, x, y, "classification") == graph.cost.params == graph_score("params", graph)
        assert score("flops", network, x, y, "classification") == graph.cost.flops == graph_score("flops", graph)


@pytest.mark.parametrize("name", sorted(DATA_FREE))
def test_data_free_scores_do_not_look_at_the_data(name):
    signature, space = SIGNATURES["cnn"], get_space("cnn")
    network = build(space.graph(space.sample(np.random.default_rng(0)), signature), seed=0)
    x, y = batch(signature)
    assert score(name, network, x, y, "classification") == score(name, network, 5 * x + 1, 9 - y, "classification")


def test_dropout_is_off():
    network = nn.Sequential(linear(noise(16, 8)), nn.ReLU(), nn.Dropout(0.9), linear(noise(1, 16)))
    plain = nn.Sequential(network[0], network[1], network[3])
    x, y = noise(12, 8), noise(12, seed=1)
    for name in ("jacob_cov", "snip", "grasp", "fisher"):
        assert of(name, network, x, y) == of(name, plain, x, y)


@pytest.mark.parametrize(
    ("name", "network", "reason"),
    [
        ("synflow", linear(torch.zeros(1, 8)), "nothing flows"),
        ("synflow", nn.Sequential(*(linear(torch.full((8, 8), 1e30)) for _ in range(12))), "overflows"),
        ("naswot", nn.Sequential(linear(torch.ones(1, 8)), nn.ReLU()), "too narrow"),
        ("naswot", linear(torch.ones(1, 8)), "without activation functions"),
        ("jacob_cov", linear(torch.ones(1, 8)), "do not depend on some input"),
        ("snip", linear(torch.full((1, 8), 1e30)), "it overflowed"),
    ],
)
def test_scores_that_cannot_be_had_say_why(name, network, reason):
    with pytest.raises(EvaluationError, match=reason):
        of(name, network, noise(8, 8))


def test_unknown_scores_are_refused():
    with pytest.raises(EvaluationError, match="Did you mean 'synflow'"):
        score("sinflow", linear(noise(1, 2)), noise(4, 2), noise(4), "regression")
    with pytest.raises(EvaluationError, match="Did you mean 'naswot'"):
        ZeroCost("", "nasswot")
    with pytest.raises(EvaluationError, match="a batch of 1"):
        ZeroCost("", "naswot", batch=1)
    with pytest.raises(EvaluationError, match="needs data"):
        graph_score(
            "snip", get_space("mlp").graph(get_space("mlp").sample(np.random.default_rng(0)), SIGNATURES["mlp"])
        )


def test_every_score_says_where_it_comes_from():
    lines = list_scores()
    assert set(lines) == set(SCORES)
    assert all("arXiv" in line or name in ("params", "flops") for name, line in lines.items())
    assert all(len(line) < 150 for line in lines.values())


def test_synflow_is_the_published_one():
    """With weights drawn as in the published networks, on NAS-Bench-201; the difference that is left is that of the draws."""
    if not (DATA / "nas-bench-201-zero-cost.npz").exists():
        pytest.skip("needs the published scores: set ARCHWRIGHT_TEST_DATA to the folder of test data")
    published = np.load(DATA / "nas-bench-201-zero-cost.npz")["c10_synflow"]
    ops, space, signature = (
        np.load(DATA / "nas-bench-201.npz")["ops"],
        nas_bench_201(),
        Signature(((3, 32, 32),), (10,)),
    )
    x, y = batch(signature, 2)
    cells = np.random.default_rng(0).choice(np.flatnonzero(published > 0), 6, replace=False)
    for cell in cells:
        network = build(space.graph(from_ops(ops[cell].tolist()), signature), seed=0)
        with seeded(int(cell)):
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.reset_parameters()
        assert score("synflow", network, x, y, "classification") == pytest.approx(published[cell], abs=0.6)


# The evaluator.


@pytest.fixture
def scored(problem) -> Problem:
    return Problem(problem.space, problem.signature, (Objective("synflow"),))


@pytest.mark.parametrize("name", ["params", "synflow", "naswot", "zen"])
def test_contract(folder, problem, name):
    wide = Space(
        chain(op("conv_bn_relu", width=10_000_000), op("global_avg_pool"), op("linear", width=OUTPUTS)), "too-wide"
    )
    goal = (Objective(name),)
    huge = Problem(wide, problem.signature, goal)
    check_evaluator(
        ZeroCost(str(folder), name, batch=16),
        Problem(problem.space, problem.signature, goal),
        impossible=[(Proposal(wide.sample(np.random.default_rng(0))), huge)],
    )


def test_a_trial_is_one_measurement_without_weights(folder, scored):
    (measured,) = ZeroCost(str(folder), "synflow")(Proposal(scored.space.sample(np.random.default_rng(0))), scored, 0)
    assert set(measured.values) == {"synflow", "params", "flops", "activation_bytes"}
    assert measured.epoch == 0
    assert not measured.artifacts


def test_the_weights_follow_from_the_seed_and_the_batch_from_the_run(folder, scored):
    proposal = Proposal(scored.space.sample(np.random.default_rng(0)))
    other = Problem(scored.space, scored.signature, scored.objectives, seed=1)

    def value(name: str, problem: Problem, seed: int) -> float:
        return next(ZeroCost(str(folder), name, batch=16)(proposal, problem, seed)).values[name]

    assert value("synflow", scored, 0) != value("synflow", scored, 1)
    assert value("synflow", scored, 0) == value("synflow", other, 0)
    assert value("snip", scored, 0) != value("snip", other, 0)


def test_a_final_training_is_a_training_with_the_score_beside(folder, scored, tmp_path):
    evaluator = ZeroCost(str(folder), "synflow", str(tmp_path / "artifacts"))
    final = Proposal(scored.space.sample(np.random.default_rng(0)), Fidelity(2, 0.3), why={"by": "final", "of": 0})
    measured = list(evaluator(final, scored, 5))
    assert [found.epoch for found in measured] == [1, 2]
    assert {"synflow", "accuracy", "loss", "params"} <= set(measured[-1].values)
    assert measured[-1].notes["rate"] == 0.0
    assert weights_of(Artifacts(evaluator.artifacts).get(measured[-1].artifacts["checkpoint"]))


@pytest.mark.parametrize("name", sorted(SCORES))
def test_networks_of_symbols_have_a_score_or_a_reason_why_not(name):
    space, signature = get_space("rnn-cell", nodes=2, width=6, embedding=4), Signature(((7,),), (5,), (7,))
    network = build(space.graph(space.fill(lambda address, count: 0), signature), 0)
    y = torch.from_numpy(np.random.default_rng(1).integers(5, size=(8, 7)))
    if name in ("jacob_cov", "zen"):
        with pytest.raises(EvaluationError, match="not defined for a network of symbols"):
            score(name, network, y.float(), y, "classification")
    else:
        assert np.isfinite(score(name, network, y.float(), y, "classification"))
