from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

import archwright as aw
from archwright.errors import ArchwrightError, BudgetError, EvaluationError
from archwright.evaluators import Inherit, Train, ZeroCost, get_evaluator, list_evaluators, names
from archwright.problem import Fidelity, Objective
from archwright.space import OUTPUTS, chain, choice, op


def test_names_give_evaluators():
    assert get_evaluator("train", data="d", artifacts="a") == Train("d", "a")
    assert get_evaluator("inherit", data="d", artifacts="a") == Inherit("d", "a")
    assert get_evaluator("zero-cost:snip", data="d", artifacts="a") == ZeroCost("d", "snip", "a")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trian", "Did you mean 'train'"),
        ("train:fast", "expected 'train', which takes no option"),
        ("zero-cost", "expected 'zero-cost:SCORE'"),
        ("zero-cost:sinflow", "Did you mean 'synflow'"),
    ],
)
def test_other_names_are_refused(name, message):
    with pytest.raises(EvaluationError, match=message):
        get_evaluator(name)


def test_all_are_listed_as_they_are_written():
    listed = list_evaluators()
    assert {"train", "inherit", "zero-cost:synflow", "zero-cost:params"} <= set(listed)
    for name, line in listed.items():
        assert line.strip()
        get_evaluator(name)


@dataclasses.dataclass(frozen=True)
class Constant:
    """Says what it was told."""

    value: str

    def __call__(self, proposal, problem, seed):
        return float(self.value)


def test_packages_bring_their_own(monkeypatch):
    points = EntryPoints(
        [
            EntryPoint("constant", f"{Constant.__module__}:Constant", names.GROUP),
            EntryPoint("broken", "archwright.nowhere:Nothing", names.GROUP),
        ]
    )
    monkeypatch.setattr(names, "entry_points", lambda group: points)
    monkeypatch.setattr(EntryPoint, "load", lambda self: Constant if self.name == "constant" else _load(self))
    assert get_evaluator("constant:0.5", data="unused") == Constant("0.5")
    listed = list_evaluators()
    assert listed["constant"] == "Says what it was told."
    assert "cannot be loaded" in listed["broken"]


_load = EntryPoint.load


# A search with an evaluator that was named.

LAYER = op("conv_bn_relu", width=choice(2, 3, 4, 6), kernel=choice(1, 3), activation=choice("relu", "silu"))
TINY = aw.Space(chain(LAYER, op("global_avg_pool"), op("linear", width=OUTPUTS)), "tiny")


@pytest.fixture
def search(digits, tmp_path):
    def go(evaluator, **settings):
        defaults = {"budget": "4 trials", "strategy": "evolution", "workers": 1, "progress": "none"}
        return aw.search("digits", space=TINY, evaluator=evaluator, store=tmp_path, **{**defaults, **settings})

    return go


@pytest.mark.slow
def test_a_search_by_a_score_trains_and_tests_what_it_found(search, tmp_path):
    result = search("zero-cost:synflow", name="cheap", baseline=0.3)
    assert result.settings.objectives == (Objective("synflow"),)
    assert result.final.metric == "accuracy"
    assert result.final.test["accuracy"].value > 0.3
    assert result.final.epochs > 10
    assert result.best.metrics["synflow"] == max(t.value("synflow") for t in result.trials if t.value("loss") is None)
    assert result.best.module().training is False
    again = aw.resume("cheap", budget="6 trials", store=tmp_path, progress="none")
    assert sum(trial.status == "finished" for trial in again.trials) > sum(
        t.status == "finished" for t in result.trials
    )
    assert again.tests == 2


@pytest.mark.slow
def test_time_is_kept_for_the_training_that_a_score_does_without(search):
    result = search("zero-cost:params", budget="20s", name="timed")
    assert result.final is not None
    assert result.best.metrics["params"] == max(
        trial.value("params") for trial in result.trials if trial.value("params")
    )


@pytest.mark.slow
def test_a_search_that_inherits_says_from_whom(search):
    result = search("inherit", budget="8 trials", options={"population": 4, "sample": 2}, fidelity=Fidelity(2))
    heirs = [trial for trial in result.trials if "inherit" in trial.proposal.why]
    assert heirs
    for trial in heirs:
        parent = result.trials[trial.proposal.parent]
        assert trial.proposal.why["inherit"]["checkpoint"] == parent.final.artifacts["checkpoint"]
        assert trial.proposal.why["inherit"]["choices"] == [list(pair) for pair in parent.proposal.architecture.choices]
        if trial.status == "finished":
            assert trial.final.notes["inherited"]["from"] == parent.id
    assert all("inherit" not in t.proposal.why for t in result.trials if t.proposal.why.get("by") == "final")
    assert "inherit" not in result.best.why()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"evaluator": "zero-cost:synflow", "budget": "20 epochs"}, BudgetError, "trains nothing"),
        ({"evaluator": "zero-cost:synflow", "objectives": "accuracy"}, BudgetError, "the evaluator does not measure"),
        ({"evaluator": "zero-cost:snip", "constraints": "accuracy>=0.5"}, BudgetError, "does not measure"),
        ({"evaluator": "zero-cost"}, EvaluationError, "zero-cost:SCORE"),
    ],
)
def test_what_cannot_be_is_refused_before_it_begins(search, settings, error, message):
    with pytest.raises(error, match=message):
        search(**settings)


def test_a_name_needs_data():
    with pytest.raises(ArchwrightError, match="no data for the evaluator 'zero-cost:synflow'"):
        aw.search(space=TINY, evaluator="zero-cost:synflow", progress="none")


def test_a_user_s_function_may_have_the_name_of_an_evaluator(tmp_path):
    def train(proposal, problem, seed):
        return float(np.random.default_rng(seed).random())

    train.__qualname__ = "train"
    signature = aw.Signature(((1, 8, 8),), (10,))
    settings = {"store": tmp_path, "progress": "none"}
    aw.search(space=TINY, evaluator=train, signature=signature, budget="3 trials", name="own", **settings)
    with pytest.raises(ArchwrightError, match="started with your function train"):
        aw.resume("own", budget="5 trials", **settings)
    assert aw.resume("own", budget="5 trials", evaluator=train, **settings).final is None
