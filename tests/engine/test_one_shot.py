"""Searches with shared weights, from the call to the result."""

from __future__ import annotations

import time
from collections import Counter

import msgspec
import numpy as np
import pytest

import archwright as aw
from archwright.artifacts import Artifacts
from archwright.engine import Store, one_shot
from archwright.errors import ArchwrightError, BudgetError, StrategyError, SupernetError
from archwright.evaluators.one_shot.evaluator import OneShot
from archwright.explain import audit
from archwright.problem import ALONE, AUDIT, BASELINE, FINAL, INTERIM, SUPERNET, Fidelity, purpose
from archwright.space import OUTPUTS, chain, choice, op


def space() -> aw.Space:
    layer = choice(
        op("conv_bn_relu", width=6, kernel=3, name="conv"),
        op("max_pool", kernel=3, name="pool"),
        op("identity", name="skip"),
        name="op",
    )
    return aw.Space(
        chain(
            op("conv_bn_relu", width=6, name="stem"),
            chain(layer, name="one"),
            chain(layer, name="two"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS),
        ),
        "small",
    )


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 240)
    x = rng.normal(size=(240, 1, 6, 6)).astype(np.float32)
    for label in range(3):
        x[y == label, 0, :, 2 * label : 2 * label + 2] += 1.5
    return x, y


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr("archwright.engine.plan.TRIAL_SAMPLES", 300)
    monkeypatch.setattr("archwright.engine.plan.FINAL_SAMPLES", 600)


def search(tmp_path, **settings):
    defaults = {
        "space": space(),
        "evaluator": "supernet:uniform",
        "strategy": "evolution",
        "budget": "5 trials",
        "workers": 1,
        "store": tmp_path / "runs",
        "progress": "none",
        "name": "one",
    }
    return aw.search(data(), **{**defaults, **settings})


def record(result) -> list[tuple]:
    """What a ledger says of its trials, times aside."""
    return [
        (
            trial.proposal.architecture,
            purpose(trial),
            trial.status,
            tuple((m.epoch, tuple(sorted(m.values.items())), tuple(m.artifacts.items())) for m in trial.measurements),
        )
        for trial in result.trials
    ]


def test_the_course_of_a_search(tmp_path):
    result = search(tmp_path)
    counts = Counter(purpose(trial) for trial in result.trials)
    assert counts[SUPERNET] == 1
    assert counts[BASELINE] == one_shot.CONTROLS
    assert counts["search"] >= 5
    assert 1 <= counts[ALONE] <= one_shot.FINALISTS
    assert counts[AUDIT] == sum(
        trial.status in ("finished", "duplicate") for trial in result.trials if purpose(trial) == BASELINE
    )
    assert result.final is not None
    assert purpose(result.best.trial) in (ALONE, BASELINE)
    assert all(trial.status in ("finished", "duplicate") for trial in result.trials)
    shared = [trial for trial in result.trials if purpose(trial) == "search"]
    own = [trial for trial in result.trials if purpose(trial) == ALONE]
    assert all(trial.proposal.fidelity == one_shot.SHARED for trial in shared)
    best = {trial.proposal.why["of"] for trial in own}
    worst = min(result.problem.score(trial) for trial in shared if trial.id in best)
    others = {trial.fingerprint for trial in shared} - {trial.fingerprint for trial in own}
    assert all(result.problem.score(trial) <= worst for trial in shared if trial.fingerprint in others)


def test_a_gradient_strategy_brings_its_evaluator(tmp_path):
    result = search(tmp_path, strategy="darts", evaluator=None, budget="4 trials")
    assert result.settings.evaluator == "supernet:darts"
    found = [trial for trial in result.trials if purpose(trial) == "search"]
    assert [trial.proposal.why["place"] for trial in found] == list(range(1, len(found) + 1))
    notes = next(trial for trial in result.trials if purpose(trial) == SUPERNET).final.notes[SUPERNET]
    assert tuple(map(tuple, notes["derived"][0])) == found[0].proposal.architecture.choices
    assert 0 <= notes["entropy"] <= 1


def test_options_of_a_gradient_strategy_reach_its_picker(tmp_path):
    result = search(tmp_path, strategy="darts", options={"order": 2}, evaluator=None, budget="2 trials")
    assert result.settings.evaluator == "supernet:darts(order=2)"


class Killed(BaseException):
    """As a process that is killed."""


@pytest.mark.parametrize("picker", ["uniform", "darts"])
def test_killed_in_the_shared_training_and_resumed_it_ends_the_same(tmp_path, monkeypatch, picker):
    settings = {"evaluator": f"supernet:{picker}", "budget": "3 trials"}
    whole = record(search(tmp_path, name="whole", **settings))
    train = OneShot._train
    for survived in (1, 3):

        def dying(self, proposal, problem, survived=survived):
            for number, measurement in enumerate(train(self, proposal, problem)):
                if number == survived:
                    raise Killed
                yield measurement

        monkeypatch.setattr(OneShot, "_train", dying)
        with pytest.raises(Killed):
            search(tmp_path, name=f"killed{survived}", **settings)
        monkeypatch.setattr(OneShot, "_train", train)
        resumed = aw.resume(f"killed{survived}", data=data(), store=tmp_path / "runs", progress="none")
        assert record(resumed) == whole


def test_two_workers_train_the_control_beside_the_shared_weights(tmp_path):
    result = search(tmp_path, workers=2, budget="3 trials")
    assert result.final is not None
    events = [(event.kind, event.trial) for event in result.run.events()]
    supernet = next(trial.id for trial in result.trials if purpose(trial) == SUPERNET)
    control = next(trial.id for trial in result.trials if purpose(trial) == BASELINE)
    assert events.index(("started", control)) < events.index(("finished", supernet))


def test_a_time_budget_is_kept_and_divided(tmp_path):
    result = search(tmp_path, budget="12s")
    assert result.final is not None
    assert result.run.spent + result.settings.notes["setup_seconds"] <= 12.0
    plan = result.settings.notes["one_shot"]
    assert 0 < plan["seconds"] < 12
    assert plan["needs"]["parameters"] > 0


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"strategy": "darts", "evaluator": "train"}, StrategyError, "'darts'.*'supernet:darts'"),
        ({"strategy": "darts", "evaluator": "supernet:uniform"}, StrategyError, "Leave the evaluator out"),
        ({"strategy": "darts", "evaluator": lambda p, q, s: 1.0}, StrategyError, "Leave the evaluator out"),
        ({"strategy": "hyperband"}, StrategyError, "spends fidelities.*'evolution'"),
        ({"evaluator": "supernet:unifrom"}, SupernetError, "Did you mean 'uniform'"),
        ({"evaluator": "supernet"}, ArchwrightError, "supernet:PICKER"),
        ({"evaluator": "supernet:gdas(heat=1)"}, SupernetError, "no option 'heat'.*hot=10.0"),
        ({"evaluator": "supernet:gdas(hot='x')"}, SupernetError, "expected float"),
        ({"budget": "50 epochs"}, BudgetError, "trains nothing"),
        (
            {"space": aw.Space(chain(op("flatten"), op("linear", width=OUTPUTS)))},
            SupernetError,
            "nothing in|nothing is chosen",
        ),
    ],
)
def test_impossible_pairings_are_refused_before_anything_runs(tmp_path, settings, error, words):
    with pytest.raises(error, match=words):
        search(tmp_path, **settings)
    assert not (tmp_path / "runs" / "one").exists()


def test_a_supernet_that_does_not_fit_is_refused_with_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("archwright.evaluators.one_shot.forecast.available_bytes", lambda: 1000)
    with pytest.raises(ArchwrightError, match=r"needs about .* GB .*parameters.*smaller batches"):
        search(tmp_path)


def test_a_shared_training_that_fails_ends_the_search_with_the_reason(tmp_path, monkeypatch):
    def broken(self, proposal, problem):
        raise aw.errors.EvaluationError("the wheel came off")
        yield

    monkeypatch.setattr(OneShot, "_train", broken)
    result = search(tmp_path)
    assert "could not be trained" in result.ended
    assert "the wheel came off" in result.ended


def test_more_budget_goes_on_with_the_same_shared_weights(tmp_path):
    first = search(tmp_path, budget="2 trials")
    more = aw.resume("one", budget="6 trials", data=data(), store=tmp_path / "runs", progress="none")
    assert sum(purpose(trial) == SUPERNET for trial in more.trials) == 1
    assert len(more.trials) >= len(first.trials)


def test_shared_weights_that_ran_out_of_time_are_trained_on_with_more(tmp_path, monkeypatch):
    train = OneShot._train

    def slow(self, proposal, problem):
        for measured in train(self, msgspec.structs.replace(proposal, why={**proposal.why, "seconds": None}), problem):
            yield measured
            time.sleep(2.0)

    with monkeypatch.context() as patched:
        patched.setattr(OneShot, "_train", slow)
        first = search(tmp_path, budget="4s")
    assert [(purpose(trial), trial.status) for trial in first.trials] == [(SUPERNET, "stopped")]
    (stopped,) = first.trials
    with pytest.raises(ArchwrightError, match="Nothing is lost; go on with a larger budget: archwright resume one"):
        _ = first.best
    more = aw.resume("one", budget="30s", data=data(), store=tmp_path / "runs", progress="none")
    trained = [trial for trial in more.trials if purpose(trial) == SUPERNET]
    assert [trial.status for trial in trained] == ["stopped", "finished"]
    assert trained[1].proposal.resume == stopped.measurements[-1].artifacts[INTERIM]
    assert trained[1].final.epoch > stopped.final.epoch
    assert more.final is not None
    assert (
        one_shot.plan_of(more.settings.notes["one_shot"]).seconds
        > 5 * one_shot.plan_of(first.settings.notes["one_shot"]).seconds
    )


def test_finalists_can_begin_with_their_shared_weights(tmp_path):
    wide = aw.get_space("cnn", depth=1, widths=((4, 8, 12), (8, 12, 16)))
    result = search(tmp_path, space=wide, evaluator="supernet:uniform(warm=True)", budget="3 trials")
    own = [trial for trial in result.trials if purpose(trial) == ALONE and trial.status == "finished"]
    assert own
    assert all(trial.final.notes["inherited"] == {"from": "the shared weights"} for trial in own)


def test_only_the_shared_weights_of_the_last_epoch_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(Artifacts, "keep_only", lambda *_: 0)
    result = search(tmp_path, budget="1 trials")
    folder = Store(tmp_path / "runs").artifacts("one")
    (trained,) = (trial for trial in result.trials if purpose(trial) == SUPERNET)
    left = [digest in folder for measured in trained.measurements for digest in measured.artifacts.values()]
    assert left == [False] * (len(left) - 1) + [True]


def test_without_a_baseline_only_the_answer_is_trained_in_the_end(tmp_path):
    finals = [trial for trial in search(tmp_path, baseline=0.0).trials if purpose(trial) == FINAL]
    assert len(finals) == 1


def test_the_plan_divides_the_time():
    found = one_shot.plan(60, Fidelity(40), 100.0, 1.0, 2)
    assert found.seconds == 50.0
    assert found.alone.cost == pytest.approx(5, abs=1)
    assert one_shot.plan(60, Fidelity(40), 100.0, 1.0, 2, derives=True).seconds == 65.0
    alone = one_shot.plan(60, Fidelity(40), 100.0, 1.0, 1)
    assert alone.seconds + 8 * alone.alone.cost <= 60
    assert one_shot.plan(60, Fidelity(40), None, None, 2) == one_shot.Plan(60, Fidelity(40))
    short = one_shot.plan(60, Fidelity(40), 10.0, 100.0, 2)
    assert short.alone.share < 0.1


def test_the_audit_reads_the_run(tmp_path):
    result = search(tmp_path)
    found = audit(result.trials, result.problem)
    assert found is not None
    assert found.picker == "uniform"
    assert found.epochs == len(found.history) > 1
    assert sum(pair.random for pair in found.pairs) >= 1
    assert found.collapse is not None
    assert 0 <= found.collapse.free <= found.collapse.choices <= 2
    assert found.collapse.expected == pytest.approx(4 / 3 * found.collapse.choices / 2)
    text = result.report(tmp_path / "report.html")
    assert "The shared weights" in (tmp_path / "report.html").read_text(), text
