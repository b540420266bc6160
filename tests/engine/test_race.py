"""A search in a time that is too short for whole trainings, on real pictures: the answer's training goes on from it."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

import archwright as aw
from archwright.cli import handover
from archwright.engine import plan
from archwright.evaluators import State, Train, train
from archwright.graph.module import build
from archwright.problem import BASELINE, FINAL, INTERIM, purpose
from archwright.space import OUTPUTS, chain, choice, op
from archwright.strategies import race

LAYER = op("conv_bn_relu", width=choice(4, 8, 12, 16), kernel=choice(1, 3), stride=2, name="conv")
BODY = chain(LAYER, op("conv_bn_relu", width=16, stride=2), op("global_avg_pool"), op("linear", width=OUTPUTS))
SPACE = aw.Space(
    BODY,
    "pictures",
    {
        "narrow": {"conv.width": "4", "conv.kernel": "3"},
        "wide-1": {"conv.width": "8", "conv.kernel": "3"},
        "wide-2": {"conv.width": "16", "conv.kernel": "3"},
    },
)


@pytest.fixture(scope="module")
def pictures():
    """Stripes of three directions on noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=600)
    rows, columns = np.mgrid[:24, :24]
    waves = np.stack([np.sin(rows), np.sin(columns), np.sin(rows + columns)])
    x = waves[y][:, None] + rng.normal(0.0, 2.0, size=(600, 3, 24, 24))
    return x.astype(np.float32), y


@pytest.fixture
def go(tmp_path, monkeypatch, pictures):
    monkeypatch.setattr(plan, "LEAST_EPOCHS", 10**6)
    monkeypatch.setattr(plan, "EPOCHS", (3, 5000))
    monkeypatch.setattr(plan, "SEEN", 1)

    def search(budget="5s", **settings):
        given = {"space": SPACE, "workers": 1, "name": "short", "store": tmp_path / "runs", "progress": "none"}
        return aw.search(pictures, budget=budget, **{**given, **settings})

    return search


def finals(result):
    return [trial for trial in result.trials if purpose(trial) == FINAL]


def said(result):
    console = Console(record=True, width=500)
    handover._say_result(result, console)
    return console.export_text()


def check(result, seconds):
    """What holds of every race that ended."""
    final, terms = finals(result)[-1], result.settings.notes["race"]
    assert result.settings.fidelity == aw.Fidelity(terms["epochs"])
    assert result.final is not None
    assert result.tests >= 1
    assert result.run.spent + result.settings.notes["setup_seconds"] <= seconds
    found = result.trials[result.final.trial]
    before = found.final.artifacts["checkpoint"]
    assert result.final.weights == final.final.artifacts["checkpoint"] != before
    assert final.proposal.why["of"] == found.id
    assert final.proposal.architecture == found.proposal.architecture
    return found, final


@pytest.mark.slow
@pytest.mark.sample
def test_the_answer_goes_on_from_the_leader_s_weights_inside_the_budget(go, pictures, tmp_path):
    result = go()
    found, final = check(result, 5.0)
    assert final.proposal.resume == found.final.artifacts["checkpoint"]
    assert final.measurements[0].epoch == found.final.epoch + 1
    assert [trial.proposal.why.get("reference") for trial in result.trials][:1] == ["narrow"]
    module = build(result.problem.graph(found.proposal.architecture), 0)
    artifacts = result.store.artifacts("short")
    ended = State.from_bytes(artifacts.get(result.final.weights), module)
    assert ended.progress == 1, "the rate has decayed"
    assert ended.recipe == State.from_bytes(artifacts.get(final.proposal.resume), module).recipe
    text = said(result)
    assert "trains too slowly" not in text
    terms = result.settings.notes["race"]
    assert f"Time: {terms['epochs']} epochs of narrow in all" in text
    networks = {trial.proposal.architecture for trial in result.trials if purpose(trial) == "search"}
    if len(networks & set(SPACE.references.values()) - {found.proposal.architecture}):
        assert "Beside it: after " in text
    more = aw.resume("short", budget="20s", data=pictures, store=tmp_path / "runs", progress="none")
    check(more, 20.0)
    later = more.settings.notes["race"]
    before, after = (known["seconds"] + known["spare"] for known in (terms, later))
    assert before < after <= before + 15.0 - 0.5 * final.seconds, "the first answer's training is spent"
    assert more.trials[: len(result.trials)] == result.trials
    longer = finals(more)[-1]
    assert longer.proposal.why["seconds"] > 2 * final.proposal.why["seconds"]
    assert more.final.epochs > result.final.epochs
    again = aw.resume("short", data=pictures, store=tmp_path / "runs", progress="none")
    assert finals(again) == finals(more), "without more time nothing is trained again"
    assert again.final == more.final


class Killed(BaseException):
    """As a process that is killed."""


def test_killed_in_the_final_training_it_goes_on_from_there(go, pictures, tmp_path, monkeypatch):
    train_one = Train._train
    monkeypatch.setattr(train, "INTERIM_EVERY", 0.0)

    def dying(self, proposal, problem, seed):
        for number, measurement in enumerate(train_one(self, proposal, problem, seed)):
            yield measurement
            if proposal.why.get("by") == FINAL and number == 2:
                raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Train, "_train", dying)
        with pytest.raises(Killed):
            go("6s")
    result = aw.resume("short", data=pictures, store=tmp_path / "runs", progress="none")
    first, second = finals(result)
    found, _ = check(result, 6.0)
    assert first.status == "stopped"
    assert first.proposal.resume == found.final.artifacts["checkpoint"]
    assert second.proposal.resume in {measured.artifacts[INTERIM] for measured in first.measurements}
    assert second.measurements[0].epoch >= first.measurements[-2].epoch + 1
    assert second.proposal.why["spent"] > 0


@pytest.mark.parametrize("at", [0, 1])
def test_killed_in_the_search_no_trial_is_lost_and_the_same_is_proposed(go, pictures, tmp_path, monkeypatch, at):
    train_one, begun = Train._train, []
    monkeypatch.setattr(race, "_cost", lambda state, *_: float(len(state.candidates) > 2))

    def dying(self, proposal, problem, seed):
        begun.append(proposal)
        for measurement in train_one(self, proposal, problem, seed):
            if len(begun) > at:
                raise Killed
            yield measurement

    with monkeypatch.context() as patched:
        patched.setattr(Train, "_train", dying)
        with pytest.raises(Killed):
            go("6s")
    before = aw.open_run("short", store=tmp_path / "runs").trials
    assert len(before) == at + 1
    result = aw.resume("short", data=pictures, store=tmp_path / "runs", progress="none")
    assert result.trials[:at] == before[:at]
    assert result.trials[at].proposal == before[at].proposal
    assert result.trials[at].status == "finished"
    check(result, 6.0)


def test_if_no_reference_can_be_trained_the_answer_is_another_network(go, monkeypatch):
    train_one = Train._train

    def failing(self, proposal, problem, seed):
        if proposal.architecture in SPACE.references.values():
            raise aw.errors.EvaluationError("It diverged.")
        yield from train_one(self, proposal, problem, seed)

    monkeypatch.setattr(Train, "_train", failing)
    result = go()
    found, _ = check(result, 5.0)
    assert [trial.status for trial in result.trials[:3]] == ["failed"] * 3
    assert found.proposal.why["by"] in ("random", "mutation")


def test_if_the_leader_s_weights_are_gone_its_training_begins_anew(go, monkeypatch):
    from archwright.engine.interim import Interim

    monkeypatch.setattr(Interim, "__contains__", lambda self, digest: False)
    result = go()
    _, final = check(result, 5.0)
    assert final.proposal.resume is None
    assert final.measurements[0].epoch == 1


def test_the_control_is_random_and_has_no_more_than_its_share(go):
    result = go(baseline=0.3, strategy="auto")
    drawn = [trial for trial in result.trials if purpose(trial) == BASELINE]
    searched = [trial for trial in result.trials if purpose(trial) == "search"]
    assert len(drawn) <= 0.3 / 0.7 * len(searched) + 1e-9
    assert all(trial.proposal.fidelity == searched[0].proposal.fidelity for trial in drawn)
    assert result.final.baseline_trial is None
