"""Ensembles from end to end: selection, record, resume, export."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import archwright as aw
from archwright.engine import ensemble as subject
from archwright.engine.greedy import greedy
from archwright.engine.ranking import KEPT
from archwright.engine.settings import Settings
from archwright.errors import BudgetError
from archwright.evaluators.latency import operations
from archwright.graph.latency import entry
from archwright.problem.final import Ensemble, FinalRecord
from archwright.space import OUTPUTS, chain, choice, op

ROWS = 6
SPACE = aw.Space(
    chain(
        op("flatten"),
        op("dense", width=choice(4, 5, 6), activation=choice("relu", "tanh", "silu")),
        op("linear", width=OUTPUTS),
    ),
    "small",
)

VALUES = st.integers(-3, 3).map(float)
candidates = st.lists(arrays.arrays(np.float32, ROWS, elements=VALUES), min_size=1, max_size=6)


def near_zero(mean: np.ndarray) -> float:
    return -float(np.abs(mean).sum())


def mean_of(counts: dict[int, int], rows: dict[int, np.ndarray]) -> np.ndarray:
    return sum(count * rows[number] for number, count in counts.items()) / sum(counts.values())


@given(candidates, st.integers(1, 7), st.randoms())
def test_a_selection_is_never_worse_than_the_best_alone_and_needs_no_order(found, size, shuffler):
    rows = dict(enumerate(found))
    counts = greedy(rows, near_zero, size)
    assert 1 <= sum(counts.values()) <= size
    alone = max(near_zero(row) for row in found)
    together = near_zero(mean_of(counts, rows))
    assert together >= alone - 1e-5
    assert len(counts) == 1 or together > alone, "equals stay single"
    numbers = list(rows)
    shuffler.shuffle(numbers)
    assert greedy({number: rows[number] for number in numbers}, near_zero, size) == counts


@given(candidates, st.integers(1, 7), st.integers(0, 5))
def test_a_selection_keeps_to_what_is_allowed(found, size, bound):
    rows = dict(enumerate(found))
    counts = greedy(rows, near_zero, size, lambda members: sum(members) <= bound)
    assert len(counts) == 1 or sum(counts) <= bound


def test_a_selection_ends_in_time():
    rows = {0: np.ones(ROWS, np.float32), 1: -np.ones(ROWS, np.float32)}
    assert greedy(rows, near_zero, 5) == {0: 1, 1: 1}
    assert greedy(rows, near_zero, 5, late=lambda: True) == {0: 1}


def go(tmp_path, **settings: Any) -> aw.Result:
    given = {
        "budget": "7 trials, 50 epochs", "strategy": "random", "ensemble": 5,
        "workers": 1, "baseline": 0.0, "name": "evening", "store": tmp_path / "runs",
        "progress": "none",
    }  # fmt: skip
    return aw.search("digits", space=SPACE, **given | settings)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> aw.Result:
    return go(tmp_path_factory.mktemp("ensemble"))


def test_the_answer_is_the_weighted_mean_of_trials_of_the_search(result):
    final, best = result.final, result.best
    assert final.ensemble is not None, final.warnings
    made = final.ensemble
    assert len(made.trials) == len(set(made.trials)) > 1
    assert sum(made.weights) == pytest.approx(1.0)
    assert final.valid["accuracy"] > made.valid["accuracy"]
    task = result.task()
    x = torch.from_numpy(task.test.x)
    with torch.no_grad():
        parts = [
            weight * torch.softmax(result[number].module()(x), 1)
            for number, weight in zip(made.trials, made.weights)
            if number != final.trial
        ]
        if final.trial in made.trials:
            own = aw.engine.Candidate(result, result.trials[final.trial])
            share = made.weights[made.trials.index(final.trial)]
            parts.append(share * torch.softmax(own.module()(x), 1))
        found = torch.softmax(best.module()(x), 1)
    np.testing.assert_allclose(found.numpy(), sum(parts).numpy(), atol=1e-6)
    right = float((found.argmax(1).numpy() == task.test.y).mean())
    assert final.test["accuracy"].value == pytest.approx(right, abs=2 / len(task.test))
    assert made.comparison is not None
    gained = final.test["accuracy"].value - made.test["accuracy"].value
    assert made.comparison.difference == pytest.approx(gained)


def test_what_is_told_of_an_ensemble(result, tmp_path):
    from rich.console import Console

    from archwright.cli.handover import _say_result
    from archwright.cli.tables import show_run

    final, best = result.final, result.best
    assert str(final.ensemble) in repr(result)
    assert str(final.ensemble) in repr(best)
    assert best.metrics["params"] == final.cost.params == best.graph.cost.params
    assert {address.split(".")[0] for address in best.choices} == {
        f"member{number}" for number in range(1, len(final.ensemble.trials) + 1)
    }
    assert all(f"Trial {number} reached" in best.why() for number in final.ensemble.trials)
    page = result.report(tmp_path / "report.html").read_text()
    assert f"{len(final.ensemble.trials)} networks" in page
    assert "member2" in page
    console = Console(width=400, record=True)
    _say_result(result, console)
    show_run(result.name, result.store.folder, console, top=3, as_json=False)
    told = console.export_text()
    assert told.count(final.against_single) == 2
    assert told.count(final.answer) == 2


@pytest.mark.slow
@pytest.mark.sample
def test_an_ensemble_is_exported_and_verified_like_any_network(result, tmp_path):
    exported = result.best.export(tmp_path / "out")
    assert max(exported.checks.differences.values()) <= 1e-5
    value = result.final.test["log_loss"].value
    assert exported.checks.metrics["log_loss"] == pytest.approx(value, abs=1e-4)
    card = (tmp_path / "out" / "card.md").read_text()
    assert "An ensemble of trials" in card
    assert "the ensemble and trial" in card or "the ensemble beat trial" in card or "worse" in card
    single = result[result.final.ensemble.trials[0]]
    single.export(tmp_path / "single")
    assert "An ensemble" not in (tmp_path / "single" / "card.md").read_text()


def test_the_weights_of_the_members_and_of_the_answer_are_kept(result):
    artifacts = result.store.artifacts(result.name)
    assert result.final.weights in artifacts
    for number in result.final.ensemble.trials:
        assert result.checkpoint(result.trials[number]) is not None


def test_an_ensemble_keeps_the_constraints(tmp_path):
    bound = 1_000
    result = go(tmp_path, constraints=[f"params<={bound}"])
    assert result.final.cost.params <= bound
    tight = go(tmp_path, constraints=["params<=700"], name="tight", budget="3 trials, 3 epochs")
    assert tight.final.ensemble is None
    assert any("No ensemble" in warning for warning in tight.final.warnings)


def test_the_latency_of_an_ensemble_is_the_sum_of_its_members(tmp_path, result):
    calls = operations(SPACE, result.problem.signature)
    table = {entry(call): 1.0 for call in calls}
    bounded = go(tmp_path, latency=table, constraints=["latency_ms<=6"])
    assert len(result.final.ensemble.trials) > 2, "three operations each"
    assert len(bounded.final.ensemble.trials) == 2
    assert bounded.best.metrics["latency_ms"] == 6.0


def test_a_crash_before_the_record_is_survived(tmp_path, monkeypatch, result):
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subject.Selection, "answer", crash)
        assert go(tmp_path).interrupted
    again = aw.resume("evening", store=tmp_path / "runs", progress="none")
    assert again.tests == 1
    assert again.final.ensemble == result.final.ensemble, "the same as without the crash"
    assert again.final.weights == result.final.weights
    reasons = [trial.proposal.why for trial in again.trials]
    trained = Counter(why["of"] for why in reasons if why["by"] == "final")
    assert max(trained.values()) == 1


def test_a_network_that_was_trained_much_further_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "expected_error", lambda missing, trained, epochs: 0.0)
    found = go(tmp_path).final
    assert found.ensemble is None
    assert any("expected to be better alone" in warning for warning in found.warnings)


def test_rows_kept_back_from_the_final_training_decide(tmp_path, result):
    task, artifacts = result.task(), result.store.artifacts(result.name)
    best = result.best
    picked = subject.Selection(
        result.problem,
        True,
        tuple(member.trial for member in best.members),
        best.ensemble.weights,
        tuple(result.checkpoint(member.trial) for member in best.members),
        result.final.valid,
        best.ensemble.valid,
        len(best.members),
    )
    (again,) = (trial for trial in result.trials if trial.proposal.why["by"] == "final")
    assert picked._on_kept_rows(task, artifacts, best.weights(), again) is None
    why = again.proposal.why | {"keep": 0.5}
    proposal = msgspec.structs.replace(again.proposal, why=why)
    again = msgspec.structs.replace(again, proposal=proposal)
    found = picked._on_kept_rows(task, artifacts, best.weights(), again)
    assert found.metric == "accuracy"
    worse = msgspec.structs.replace(found, difference=-0.1, low=-0.2, high=0.0)
    better = msgspec.structs.replace(found, difference=0.1, low=0.0, high=0.2)
    said = [picked._refusal(best.trial, None, again, one) for one in (worse, better)]
    assert "rows kept back" in said[0]
    assert said[1] is None


def test_numbers_are_averaged_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(subject, "expected_error", lambda missing, trained, epochs: missing)
    result = aw.search(
        "diabetes", space=SPACE, budget="8 trials, 60 epochs", workers=1, ensemble=4,
        strategy="random", store=tmp_path, progress="none",
    )  # fmt: skip
    assert result.final.ensemble is not None, result.final.warnings
    assert not result.final.ensemble.logits
    task = result.task()
    with torch.no_grad():
        outputs = result.best.module()(torch.from_numpy(task.test.x)).numpy()
    from archwright.tasks import metrics

    found = metrics("regression", task.test.y, outputs, scale=task.target_std)
    assert result.final.test["rmse"].value == pytest.approx(found["rmse"], rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ensemble": 0}, "1 or more"),
        ({"ensemble": True}, "a number of networks"),
        ({"objectives": "params"}, "averaging can improve: accuracy"),
        ({"evaluator": "zero-cost:synflow", "budget": "7 trials"}, "leave no weights"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused_before_anything_runs(tmp_path, settings, message):
    with pytest.raises(BudgetError, match=message):
        go(tmp_path, **settings)


def test_records_of_earlier_versions_are_read(result):
    header = dict(result.run.header)
    del header["ensemble"]
    assert Settings.of(header, []).ensemble == 1
    record = msgspec.to_builtins(result.final)
    assert msgspec.convert(record, FinalRecord) == result.final
    del record["ensemble"]
    assert msgspec.convert(record, FinalRecord).answer == f"trial {result.final.trial}"


def test_candidates_are_those_whose_weights_are_kept():
    from archwright.engine import session

    assert session.KEPT is KEPT
    named = str(Ensemble(trials=(1, 2, 3), weights=(0.5, 0.25, 0.25)))
    assert named == "ensemble of trials 1 (50%), 2 (25%) and 3 (25%)"
