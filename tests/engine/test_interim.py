"""An evaluation that was interrupted goes on from what it left."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

import archwright as aw
from archwright.engine import final, session
from archwright.engine.accounts import Accounts
from archwright.engine.interim import LATEST, Interim, outdated
from archwright.evaluators import Train, train
from archwright.executors import Job
from archwright.ledger import Session
from archwright.problem import FINAL, INTERIM, SUPERNET, purpose
from archwright.space import OUTPUTS, chain, choice, op

SPACE = aw.Space(chain(op("dense", width=choice(4, 8)), op("linear", width=OUTPUTS)), "tiny")
PROPOSAL = aw.Proposal(aw.Architecture((("a", 0),)), why={"by": "random"})


def trial(*measurements: aw.Measurement, status="running", by="random") -> aw.Trial:
    return aw.Trial(0, aw.Proposal(PROPOSAL.architecture, why={"by": by}), status, measurements)


def measured(epoch: int, left: str | None = None) -> aw.Measurement:
    return aw.Measurement({}, epoch, 10.0 * epoch, {INTERIM: left} if left else {})


@pytest.mark.parametrize(
    ("left", "there", "resume", "skip", "spent"),
    [
        ([], "", None, 0, None),
        ([None, None], "", None, 2, None),
        (["a", None], "a", "a", 1, 10.0),
        (["a", "b"], "ab", "b", 0, 20.0),
        ([None, "b", None, None], "b", "b", 2, 20.0),
        (["a", "b", None], "a", "a", 2, 10.0),
        (["a", "b"], "", None, 2, None),
    ],
)
def test_what_remains_of_a_job_follows_the_last_that_is_still_there(left, there, resume, skip, spent):
    known = trial(*(measured(epoch + 1, digest) for epoch, digest in enumerate(left)))
    job = Interim(there).remaining(Job(0, PROPOSAL, 5, 60.0), known)
    assert (job.proposal.resume, job.skip, job.proposal.why.get("spent")) == (resume, skip, spent)
    assert (job.trial, job.seed, job.seconds, job.proposal.why["by"]) == (0, 5, 60.0, "random")


@pytest.mark.parametrize(
    ("status", "by", "gone"),
    [
        ("running", "random", ["b"]),
        ("finished", FINAL, ["a", "b", "c", "d"]),
        ("failed", FINAL, ["a", "b", "c", "d"]),
        ("stopped", "random", ["a", "b", "c", "d"]),
        ("stopped", FINAL, []),
        ("stopped", SUPERNET, []),
    ],
)
def test_what_is_needed_no_more_is_known(status, by, gone):
    found = trial(*(measured(epoch, left) for epoch, left in enumerate("abcd")), measured(5), status=status, by=by)
    assert outdated(found) == gone
    assert LATEST == 2


class Killed(BaseException):
    """As a process that is killed."""


@pytest.fixture
def search(tmp_path):
    def go(name: str, budget: str = "2 trials", **settings):
        return aw.search(
            "wine", space=SPACE, budget=budget, fidelity=aw.Fidelity(6), workers=1, baseline=0.0, strategy="random",
            store=tmp_path / "runs", name=name, progress="none", **settings,
        )  # fmt: skip

    return go


@pytest.fixture
def epochs(monkeypatch):
    """Keeps the state of each epoch; lists the epochs trained, and kills the process after so many."""
    trained: list[tuple[str, int]] = []
    train_one = Train._train
    monkeypatch.setattr(train, "INTERIM_EVERY", 0.0)

    def survive(count: float):
        trained.clear()

        def dying(self, proposal, problem, seed):
            for measurement in train_one(self, proposal, problem, seed):
                if len(trained) >= count:
                    raise Killed
                trained.append((purpose(aw.Trial(0, proposal)), measurement.epoch))
                yield measurement

        monkeypatch.setattr(Train, "_train", dying)
        return trained

    return survive


def measurements(result):
    """All that was measured, and the final weights, but nothing that was left on the way."""
    return [[(m.epoch, m.values, m.artifacts.get("checkpoint")) for m in trial.measurements] for trial in result.trials]


def test_killed_and_resumed_no_epoch_but_the_one_under_way_is_trained_again(search, epochs, tmp_path):
    whole = epochs(float("inf"))
    expected = measurements(search("whole"))
    count = len(whole)
    assert count == 6 + 6 + max(epoch for who, epoch in whole if who == "final")
    for survived in (2, 6, 9, count - 2):
        epochs(survived)
        with pytest.raises(Killed):
            search(f"killed{survived}")
        again = epochs(float("inf"))
        result = aw.resume(f"killed{survived}", store=tmp_path / "runs", progress="none")
        assert measurements(result) == expected
        assert len(again) == count - survived


def test_where_what_was_left_is_gone_the_training_begins_again(search, epochs, tmp_path):
    expected = measurements(search("whole"))
    epochs(4)
    with pytest.raises(Killed):
        search("killed")
    for file in artifacts(tmp_path, "killed"):
        file.unlink()
    epochs(float("inf"))
    result = aw.resume("killed", store=tmp_path / "runs", progress="none")
    assert measurements(result) == expected


def artifacts(tmp_path: Path, name: str) -> list[Path]:
    return list((tmp_path / "runs" / name / "artifacts").glob("??/*"))


def test_little_is_left_on_the_disk_and_nothing_after_the_end(search, epochs, tmp_path):
    epochs(5)
    with pytest.raises(Killed):
        search("killed")
    assert len(artifacts(tmp_path, "killed")) == LATEST + 1  # the last was stored, and not told of
    epochs(float("inf"))
    result = aw.resume("killed", store=tmp_path / "runs", progress="none")
    kept = {digest for trial in result.trials for digest in trial.final.artifacts.values()}
    assert {file.name for file in artifacts(tmp_path, "killed")} == kept


def test_seconds_before_an_interruption_count(search, epochs, tmp_path, monkeypatch):
    fit = train.fit

    def slow(*args, **settings):
        for epoch in fit(*args, **settings):
            time.sleep(0.1)
            yield epoch

    monkeypatch.setattr(train, "fit", slow)
    epochs(4)
    with pytest.raises(Killed):
        search("killed", budget="1 trials")
    epochs(float("inf"))
    result = aw.resume("killed", store=tmp_path / "runs", progress="none")
    first = result.trials[0]
    assert first.status == "finished"
    seconds = [measurement.seconds for measurement in first.measurements]
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(seconds))
    assert first.seconds >= 0.6


def test_a_final_training_inside_a_time_budget_goes_on_in_the_time_that_is_left(search, epochs, tmp_path, monkeypatch):
    train_one = Train._train

    def dying(self, proposal, problem, seed):
        for measurement in train_one(self, proposal, problem, seed):
            yield measurement
            if proposal.why.get("by") == FINAL and measurement.epoch == 3:
                raise Killed

    monkeypatch.setattr(Train, "_train", dying)
    with pytest.raises(Killed):
        search("killed", budget="12s")
    monkeypatch.setattr(Train, "_train", train_one)
    result = aw.resume("killed", store=tmp_path / "runs", progress="none")
    first, second = (trial for trial in result.trials if purpose(trial) == FINAL)
    assert first.status == "stopped"
    assert second.status == "finished"
    assert second.proposal.resume in {m.artifacts[INTERIM] for m in first.measurements}
    assert second.proposal.why["seconds"] > second.proposal.why["spent"] > 0
    assert second.measurements[0].epoch in (3, 4)
    assert second.measurements[0].seconds > first.measurements[0].seconds
    assert result.final is not None
    assert result.final.epochs == second.final.epoch > 4
    assert result.run.spent + result.settings.notes["setup_seconds"] <= 12.0


def finals(result):
    return [trial for trial in result.trials if purpose(trial) == FINAL]


def test_killed_in_the_test_the_final_training_is_not_done_again(search, tmp_path, monkeypatch):
    append = Session.append

    def dying(self, kind, *event):
        if kind == "final":
            raise Killed
        return append(self, kind, *event)

    with monkeypatch.context() as patched:
        patched.setattr(Session, "append", dying)
        with pytest.raises(Killed):
            search("killed", budget="10s")
    before = finals(aw.open_run("killed", store=tmp_path / "runs"))
    assert [trial.status for trial in before] == ["finished"]
    result = aw.resume("killed", store=tmp_path / "runs", progress="none")
    assert finals(result) == before
    assert result.final is not None
    assert result.final.weights == before[0].final.artifacts["checkpoint"]
    assert not [warning for warning in result.final.warnings if "too little time" in warning]


def test_an_interrupted_session_s_finalists_are_kept_whatever_the_clock_says(search, epochs, tmp_path, monkeypatch):
    epochs(13)
    with pytest.raises(Killed):
        search("killed")
    begun = [trial.proposal.why["of"] for trial in finals(aw.open_run("killed", store=tmp_path / "runs"))]
    monkeypatch.setattr(
        final, "choose", lambda trials, *_, **options: pytest.fail("it is chosen already") if list(trials) else None
    )
    epochs(float("inf"))
    result = aw.resume("killed", store=tmp_path / "runs", progress="none")
    assert [trial.proposal.why["of"] for trial in finals(result)] == begun == [result.final.trial]


def test_with_more_time_the_answer_is_trained_for_longer(search, tmp_path):
    first = search("more", budget="6s")
    result = aw.resume("more", budget="18s", store=tmp_path / "runs", progress="none")
    short, *_, long = finals(result)
    assert long.proposal.why["seconds"] > final.MORE * short.proposal.why["seconds"]
    assert result.final.weights == long.final.artifacts["checkpoint"] != first.final.weights


def test_weights_of_the_answer_and_what_could_go_on_outlive_the_search(monkeypatch):
    monkeypatch.setattr(session, "KEPT", 0)
    given_up = trial(measured(1, "left"), measured(2), status="stopped", by=FINAL)
    result = SimpleNamespace(trials=[given_up], problem=None, final=SimpleNamespace(weights="the search's"))
    monkeypatch.setattr(session, "ranking", lambda trials, problem: [])
    assert session._kept(result) == {"left", "the search's"}


@pytest.mark.parametrize("trains", [True, False])
def test_a_final_training_counts_as_hanging_by_the_pace_of_trainings_only(trains):
    problem = aw.Problem(SPACE, aw.Signature(((5,),), (2,)), (aw.Objective("accuracy"),), budget=aw.Budget(trials=9))
    quick = aw.Trial(0, aw.Proposal(PROPOSAL.architecture), "finished", (aw.Measurement({}),), seconds=0.1)
    again = aw.Proposal(PROPOSAL.architecture, aw.Fidelity(60), 0, {"by": FINAL, "of": 0})
    trials = {0: msgspec.structs.replace(quick, proposal=aw.Proposal(PROPOSAL.architecture, aw.Fidelity(60)))}
    accounts = Accounts(problem, trials, trains)
    accounts.note_end(quick)
    assert accounts.patience(msgspec.structs.replace(quick, id=2), 100.0) is not None
    for resume in (None, "interim"):
        proposal = msgspec.structs.replace(again, resume=resume)
        patience = accounts.patience(aw.Trial(1, proposal), float("inf"))
        assert patience == (pytest.approx(60.0 + 20 * 60 * 0.1) if trains else None)
