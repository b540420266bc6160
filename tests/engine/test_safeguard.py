from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.engine.safeguard import KEPT, goes_on, harm, harmful, kept_share, supported_epochs
from archwright.evaluators import Train, train
from archwright.evaluators.train import _rows, kept_back
from archwright.problem import FINAL, purpose
from archwright.problem.final import Comparison
from archwright.space import OUTPUTS, chain, choice, op
from archwright.tasks import load_task

SPACE = aw.Space(chain(op("flatten"), op("dense", width=choice(8, 16)), op("linear", width=OUTPUTS)), "tiny")


def problem(epochs=1, **settings):
    return aw.Problem(
        SPACE, aw.Signature(((5,),), (2,)), (aw.Objective("accuracy"),), (), aw.Budget.parse("1m"),
        fidelity=aw.Fidelity(epochs), settings=settings,
    )  # fmt: skip


def trial(losses, metric="log_loss", fidelity=None, why=None, **artifacts):
    """A trial with such a learning curve."""
    measured = tuple(
        aw.Measurement({metric: loss, "accuracy": 0.5}, epoch + 1, artifacts=artifacts)
        for epoch, loss in enumerate(losses)
    )
    proposal = aw.Proposal(aw.Architecture(()), fidelity or aw.Fidelity(max(1, len(losses))), why=why or {})
    return aw.Trial(0, proposal, "finished", measured)


def power(exponent, epochs=9):
    return [2.0 * (epoch + 1.0) ** -exponent for epoch in range(epochs)]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (power(0.5), 60),
        (power(0.05), 36),
        (power(0.0), 9),
        (power(-0.3), 9),
        ([1.0, 0.5, 0.3, 0.25, 0.24, 0.3, 0.4, 0.5, 0.6], 9),
        ([0.7], 60),
        ([0.0, 0.0, 0.0], 3),
    ],
    ids=["falling", "nearly flat", "flat", "rising", "turned", "one epoch", "perfect"],
)
def test_a_training_is_longer_than_the_trial_s_only_if_the_loss_still_fell(losses, expected):
    assert supported_epochs(trial(losses), problem(), 60) == expected


@given(st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=30), st.integers(1, 100))
def test_it_is_never_longer_than_what_there_is_nor_shorter_than_an_epoch(losses, most):
    found = supported_epochs(trial(losses), problem(), most)
    assert isinstance(found, int)
    assert min(most, len(losses)) <= found <= most


def test_without_a_loss_it_is_as_long_as_the_trial_s_own_training_on_all_the_data():
    assert supported_epochs(trial([0.5] * 4, "f1"), problem(), 60) == 4
    assert supported_epochs(trial([0.5] * 4, "f1", aw.Fidelity(4, 0.3)), problem(), 60) == 4, "passes over a share"
    assert supported_epochs(trial(power(0.0), "rmse"), problem(), 60) == 9


@pytest.mark.parametrize(
    ("epochs", "artifacts", "valid", "kept"),
    [
        (8, {"checkpoint": "a"}, 400, KEPT),
        (8, {"checkpoint": "a"}, 199, 0.0),
        (8, {}, 400, 0.0),
        (3, {"checkpoint": "a"}, 400, 0.0),
    ],
    ids=["kept", "few rows", "no weights", "a short training"],
)
def test_rows_are_kept_back_if_there_is_something_to_compare(epochs, artifacts, valid, kept):
    found = trial([0.5], fidelity=aw.Fidelity(epochs), **artifacts)
    assert kept_share(problem(epochs=8), found, valid, 60) == kept


def test_only_the_beginning_of_the_answer_s_training_is_gone_on_from():
    short, probe = (trial([0.5], checkpoint="a", why={"by": "reference", "probe": begun}) for begun in (False, True))
    assert [goes_on(problem(race={}), one) for one in (short, probe)] == [None, "a"]
    assert goes_on(problem(), probe) is None
    assert goes_on(problem(race={}), trial([], why={"probe": True})) is None


def scored(number, epochs, accuracy, network=0, **why):
    measured = aw.Measurement({"log_loss": 1.0 / epochs, "accuracy": accuracy}, epochs)
    proposal = aw.Proposal(aw.Architecture((("network", network),)), aw.Fidelity(epochs), why=why)
    return aw.Trial(number, proposal, "finished", (measured,))


def test_a_longer_training_of_the_same_network_that_was_no_better_ends_its_curve():
    found, better, worse = scored(0, 2, 0.8), scored(1, 6, 0.9), scored(2, 6, 0.7)
    assert supported_epochs(found, problem(epochs=18), 60) == 60
    assert supported_epochs(found, problem(epochs=18), 60, [found, better]) == 60
    assert supported_epochs(found, problem(epochs=18), 60, [found, better, worse]) == 2
    final = scored(3, 18, 0.7, by=FINAL)
    assert supported_epochs(found, problem(epochs=18), 60, [found, final]) == 60, "it saw those rows"


@pytest.mark.parametrize(
    ("others", "expected"),
    [((0.7,), 60), ((0.7, 0.7), 5), ((0.7, 0.7, 0.9, 0.9), 60), ((0.7, 0.7, 0.9), 5), ((), 60)],
    ids=["one alone may be noise", "two were worse", "as many were better", "most were worse", "nobody tried"],
)
def test_longer_trainings_of_other_networks_tell_how_long_is_of_use(others, expected):
    found = scored(0, 5, 0.8)
    pairs = [scored(10 * n + e, e, a, n) for n, after in enumerate(others, 1) for e, a in ((5, 0.8), (14, after))]
    assert supported_epochs(found, problem(epochs=18), 60, [found, *pairs]) == expected


@pytest.fixture(scope="module")
def digits():
    return load_task("digits")


@given(st.floats(0.05, 0.9), st.integers(0, 5))
def test_rows_kept_back_are_none_that_the_final_training_sees(digits, share, seed):
    kept = kept_back(digits, share, seed)
    x, y = _rows(digits, 1.0, seed, True, kept)
    assert len(x) == len(y) == len(digits.train) + len(digits.valid) - len(kept)
    assert len(kept) == pytest.approx(share * len(digits.valid), abs=11)
    seen = digits.valid.x[np.setdiff1d(np.arange(len(digits.valid)), kept)]
    assert np.array_equal(x[len(digits.train) :].numpy(), seen)
    assert set(digits.valid.y[kept]) == set(digits.valid.y)
    assert kept_back(digits, 0.0, seed) is None
    assert len(_rows(digits, 1.0, seed, True, None)[0]) == len(digits.train) + len(digits.valid)


@pytest.fixture
def go(tmp_path):
    def search(**settings):
        given = {"budget": "6s", "strategy": "random", "fidelity": aw.Fidelity(8), "baseline": 0.0, **settings}
        return aw.search("digits", space=SPACE, workers=1, store=tmp_path, name="safe", progress="none", **given)

    return search


class Killed(BaseException):
    """As a process that is killed."""


def final_of(result):
    (found,) = [trial for trial in result.trials if purpose(trial) == FINAL]
    return found


def test_a_final_training_is_measured_on_rows_that_it_has_not_seen(go, monkeypatch, digits):
    rows, fit = [], train.fit

    def counting(state, x, y, **settings):
        if settings["deadline"] is not None:
            rows.append((len(x), len(settings["valid"])))
        return fit(state, x, y, **settings)

    monkeypatch.setattr(train, "fit", counting)
    result = go()
    again = final_of(result)
    kept = kept_back(digits, KEPT, result.settings.seed)
    assert again.proposal.why["keep"] == KEPT
    assert again.proposal.fidelity.epochs <= again.proposal.why["most"]
    assert again.final.epoch <= again.proposal.why["most"]
    assert rows == [(len(digits.train) + len(digits.valid) - len(kept), len(kept))]
    assert "seen" not in again.final.notes
    found = result.trials[result.final.trial]
    compared = harm(result.problem, digits, again, found, result.store.artifacts("safe"))
    assert compared is not None
    handed_over = found if harmful(compared) else again
    assert result.final.weights == handed_over.final.artifacts["checkpoint"]
    assert bool([said for said in result.final.warnings if "did worse" in said]) is harmful(compared)


def test_a_final_training_that_ruined_the_weights_is_not_handed_over(go, monkeypatch):
    fit = train.fit

    def ruining(state, x, y, **settings):
        for epoch in fit(state, x, y, **settings):
            if settings["deadline"] is not None:
                for value in [*state.module.state_dict().values(), *state.average.values()]:
                    torch.zero_(value)
            yield epoch

    monkeypatch.setattr(train, "fit", ruining)
    result = go()
    found = result.trials[result.final.trial]
    assert result.final.weights == found.final.artifacts["checkpoint"] != final_of(result).final.artifacts["checkpoint"]
    (said,) = [said for said in result.final.warnings if "did worse" in said]
    assert f"Training trial {found.id} again did worse than the search had, by +" in said
    assert "on rows that neither was trained on; the search's weights are handed over" in said
    assert result.final.epochs == found.final.epoch
    assert result.final.test["accuracy"].value > 0.5


def test_killed_and_resumed_the_final_training_keeps_back_the_same_rows(go, monkeypatch, tmp_path):
    train_one = Train._train
    monkeypatch.setattr(train, "INTERIM_EVERY", 0.0)

    def dying(self, proposal, problem, seed):
        for measurement in train_one(self, proposal, problem, seed):
            yield measurement
            if proposal.why.get("by") == FINAL and measurement.epoch == 2:
                raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Train, "_train", dying)
        with pytest.raises(Killed):
            go(budget="8s")
    result = aw.resume("safe", store=tmp_path, progress="none")
    first, second = (trial.proposal for trial in result.trials if purpose(trial) == FINAL)
    assert second.resume is not None
    assert (second.why["keep"], second.why["most"]) == (first.why["keep"], first.why["most"])
    assert second.why["keep"] == KEPT


def test_without_weights_or_rows_nothing_is_compared(go, digits):
    result = go(budget="2 trials")
    again, artifacts = final_of(result), result.store.artifacts("safe")
    assert "keep" not in again.proposal.why
    assert "seen" in again.final.notes
    assert harm(result.problem, digits, again, result.trials[0], artifacts) is None


@given(st.floats(-0.2, 0.2), st.floats(1e-3, 0.2))
def test_a_difference_within_the_noise_is_no_harm(difference, half):
    found = Comparison("accuracy", difference, difference - half, difference + half, "tie")
    assert harmful(found) is (difference > 2 * half / 3.92)
    assert not harmful(None)
