from __future__ import annotations

import os
import pickle
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import torch

from archwright.artifacts import Artifacts
from archwright.errors import EvaluationError
from archwright.evaluators import Train, memory, predict, train, weights_of
from archwright.graph.module import build
from archwright.problem import Fidelity, Objective, Problem, Proposal
from archwright.space import OUTPUTS, Space, chain, op
from archwright.tasks import load_task
from archwright.testing.evaluator import check_evaluator

METRICS = {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "loss", "params", "flops", "activation_bytes"}


@pytest.fixture
def evaluator(folder, tmp_path):
    return Train(str(folder), str(tmp_path / "artifacts"))


@pytest.fixture
def candidate(problem):
    return problem.space.sample(np.random.default_rng(1))


def test_contract(evaluator, problem):
    wide = Space(
        chain(op("conv_bn_relu", width=10_000_000), op("global_avg_pool"), op("linear", width=OUTPUTS)), "too-wide"
    )
    huge = Problem(wide, problem.signature, problem.objectives, fidelity=Fidelity(1))
    short = msgspec.structs.replace(problem.fidelity, epochs=2)
    check_evaluator(
        evaluator,
        problem,
        proposals=[Proposal(problem.space.sample(np.random.default_rng(0)), short)],
        impossible=[(Proposal(wide.sample(np.random.default_rng(0))), huge)],
    )


def test_a_measurement_for_each_epoch_with_all_metrics(evaluator, problem, candidate, digits):
    measurements = list(evaluator(Proposal(candidate), problem, 0))
    assert [m.epoch for m in measurements] == [1, 2, 3, 4]
    assert all(set(m.values) == METRICS for m in measurements)
    assert [bool(m.artifacts) for m in measurements] == [False, False, False, True]
    assert measurements[-1].values["accuracy"] > 0.3
    assert measurements[-1].notes["numerics"] in ("fp32", "fp32, channels_last", "bf16, channels_last")
    assert measurements[-1].notes["recipe"]["optimizer"] == "sgd"
    module = build(problem.graph(candidate), seed=5)
    module.load_state_dict(weights_of(Artifacts(evaluator.artifacts).get(measurements[-1].artifacts["checkpoint"])))
    right = predict(module, digits.valid.x).argmax(1) == digits.valid.y
    assert right.mean() == pytest.approx(measurements[-1].values["accuracy"], abs=0.01)


def test_a_promotion_equals_a_training_without_a_stop(evaluator, problem, candidate):
    straight = list(evaluator(Proposal(candidate), problem, 7))
    low = list(evaluator(Proposal(candidate, Fidelity(1)), problem, 7))
    high = list(evaluator(Proposal(candidate, Fidelity(4), resume=low[-1].artifacts["checkpoint"]), problem, 8))
    assert [m.epoch for m in high] == [2, 3, 4]
    assert [m.values for m in low + high] == [m.values for m in straight]
    assert high[-1].artifacts == straight[-1].artifacts


@pytest.mark.slow
def test_the_same_in_another_process(evaluator, problem, candidate):
    here = list(evaluator(Proposal(candidate, Fidelity(2)), problem, 3))
    code = "import pickle, sys; e, q, p = pickle.load(sys.stdin.buffer); print([m.values for m in e(q, p, 3)])"
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", code],
            input=pickle.dumps((evaluator, Proposal(candidate, Fidelity(2)), problem)),
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            check=True,
        )
        assert there.stdout.decode().strip() == str([m.values for m in here])


def test_a_share_of_the_data_takes_fewer_steps_and_can_be_continued(evaluator, problem, candidate):
    low = list(evaluator(Proposal(candidate, Fidelity(1, 0.1)), problem, 0))
    state = Artifacts(evaluator.artifacts).get(low[-1].artifacts["checkpoint"])
    assert b'\\"steps\\": 3' in state
    high = list(evaluator(Proposal(candidate, Fidelity(4), resume=low[-1].artifacts["checkpoint"]), problem, 0))
    assert [m.epoch for m in high] == [2, 3, 4]
    assert high[-1].notes["rate"] == 0


def test_regression_is_measured_in_the_units_of_the_target(tmp_path, rows_problem):
    task = load_task("diabetes")
    evaluator = Train(str(task.store(tmp_path / "data")), str(tmp_path / "artifacts"))
    last = list(
        evaluator(Proposal(rows_problem.space.sample(np.random.default_rng(0)), Fidelity(30)), rows_problem, 0)
    )[-1]
    assert last.values["r2"] > 0.2
    assert 30 < last.values["mae"] < last.values["rmse"] < 80


def test_the_final_training_sees_the_validation_rows_and_keeps_to_its_time(evaluator, problem, candidate):
    plain = list(evaluator(Proposal(candidate, Fidelity(1)), problem, 0))
    final = list(evaluator(Proposal(candidate, Fidelity(1), why={"by": "final"}), problem, 0))
    assert final[-1].values["loss"] != plain[-1].values["loss"]
    assert "seen" in final[-1].notes
    assert "seen" not in plain[-1].notes
    timed = list(evaluator(Proposal(candidate, Fidelity(100_000), why={"by": "final", "seconds": 2.0}), problem, 0))
    assert timed[-1].artifacts
    assert timed[-1].seconds < 4


def test_a_final_training_uses_the_threads_it_is_given(evaluator, problem, candidate, monkeypatch):
    used = []
    fit = train.fit
    monkeypatch.setattr(
        train, "fit", lambda *given, **more: used.append(torch.get_num_threads()) or fit(*given, **more)
    )
    before = torch.get_num_threads()
    for why in ({}, {"by": "final"}, {"by": "final", "seconds": 0.5, "threads": 2, "most": 3}):
        measurements = list(evaluator(Proposal(candidate, Fidelity(1), why=why), problem, 0))
    assert used == [1, 1, 2]
    assert 1 <= len(measurements) <= 3
    assert torch.get_num_threads() == before


def test_divergence_is_a_reason(evaluator, problem, candidate):
    with pytest.raises(EvaluationError, match="diverged"):
        list(Train(evaluator.data, evaluator.artifacts, recipe={"lr": 1e30})(Proposal(candidate), problem, 0))


def test_too_large_a_network_is_refused_before_training(evaluator, problem, candidate, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(EvaluationError, match="too large"):
        next(evaluator(Proposal(candidate), problem, 0))


@pytest.mark.parametrize(
    ("changes", "message"), [({"speed": 1}, "speed"), ({"lr": "high"}, "lr"), ({"lr": -1.0}, "lr=-1.0")]
)
def test_a_wrong_recipe_is_named(evaluator, problem, candidate, changes, message):
    with pytest.raises(EvaluationError, match=message):
        next(Train(evaluator.data, evaluator.artifacts, recipe=changes)(Proposal(candidate), problem, 0))


def test_without_checkpoints_nothing_is_stored(evaluator, problem, candidate, tmp_path):
    last = list(Train(evaluator.data, evaluator.artifacts, keep=False)(Proposal(candidate, Fidelity(1)), problem, 0))[
        -1
    ]
    assert not last.artifacts
    assert not (tmp_path / "artifacts").exists()


def test_two_objectives_are_both_measured(evaluator, problem, candidate):
    both = Problem(
        problem.space,
        problem.signature,
        (Objective("log_loss", "min"), Objective("params", "min")),
        fidelity=Fidelity(1),
    )
    last = list(evaluator(Proposal(candidate), both, 0))[-1]
    assert last.values["params"] == both.graph(candidate).cost.params


def test_outputs_that_are_not_finite_are_a_reason(evaluator, problem, candidate, monkeypatch):
    monkeypatch.setattr("archwright.evaluators.engine.predict", lambda module, x, mode: np.full((len(x), 10), np.inf))
    with pytest.raises(EvaluationError, match="not finite after epoch 1"):
        next(evaluator(Proposal(candidate), problem, 0))
