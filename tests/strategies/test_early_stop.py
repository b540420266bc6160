from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import pytest

import archwright as aw
from archwright import strategies as registry
from archwright.errors import StrategyError
from archwright.ledger.session import Session
from archwright.problem import Budget, Constraint, Fidelity, Measurement, Objective, Proposal, Trial
from archwright.space import OUTPUTS, Space, chain, choice, integer, op, repeat
from archwright.strategies import Auto, Halving, Random
from archwright.strategies.early_stop import EarlyStop, curve_of
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

WIDE = ToySpace((5,) * 8)
EPOCHS = 12


def epochs_of(run):
    return sum(trial.final.epoch for trial in run.trials if trial.final is not None and trial.status != "duplicate")


def test_it_saves_training_and_finds_the_same_answer():
    problem = toy_problem(WIDE, fidelity=Fidelity(EPOCHS))
    mine = simulate(EarlyStop(Random()), problem, ToyEvaluator(0.01), 100)
    theirs = simulate(Random(), problem, ToyEvaluator(0.01), 100)
    assert [trial.proposal for trial in mine.trials] == [trial.proposal for trial in theirs.trials]
    assert epochs_of(mine) < 0.5 * epochs_of(theirs)
    best = max(theirs.trials, key=lambda trial: trial.value("accuracy"))
    assert mine.trials[best.id].status == "finished"
    assert mine.seconds < 0.6 * theirs.seconds


def test_what_is_stopped_is_hopeless():
    problem = toy_problem(WIDE, fidelity=Fidelity(EPOCHS))
    mine = simulate(EarlyStop(Random()), problem, ToyEvaluator(0.02), 200)
    theirs = simulate(Random(), problem, ToyEvaluator(0.02), 200)
    wrong = 0
    for trial in mine.trials:
        if trial.status == "stopped":
            before = [one.value("accuracy") for one in theirs.trials[: trial.id]]
            wrong += theirs.trials[trial.id].value("accuracy") > max(before)
            assert trial.reason.startswith("early-stop: hopeless after epoch")
            assert 0 < len(trial.measurements) < EPOCHS
    assert Counter(trial.status for trial in mine.trials)["stopped"] > 100
    assert wrong <= 2


def test_nothing_is_stopped_before_there_are_enough_curves():
    run = simulate(EarlyStop(Random(), curves=15), toy_problem(WIDE, fidelity=Fidelity(EPOCHS)), ToyEvaluator(), 40)
    assert {trial.status for trial in run.trials[:15]} == {"finished"}
    assert "stopped" in {trial.status for trial in run.trials[15:]}


def curve(trial, values, size, status="finished"):
    """A trial on a toy space with an accuracy for each epoch; its parameters are 1,000 times the sum of ``size``."""
    architecture = ToySpace((9,)).architecture(size - 1)
    measured = tuple(
        Measurement({"accuracy": value, "params": 1000.0 * size}, epoch) for epoch, value in enumerate(values, 1)
    )
    return Trial(trial, Proposal(architecture), status, measured)


def played(problem, *more):
    """The state after twelve trials of size 5 that rise steadily to 0.3 ... 0.52, and more."""
    strategy = EarlyStop(Random())
    state = strategy.init(problem)
    known = [curve(number, np.linspace(0, 0.3 + number / 50, 7)[1:], 5) for number in range(12)]
    for trial in (*known, *more):
        state = strategy.tell(state, problem, trial)
    return dict(strategy.stop(state, problem))


def test_one_objective_compares_with_the_best():
    problem = toy_problem(ToySpace((9,)), fidelity=Fidelity(6))
    stopped = played(
        problem,
        curve(20, [0.05, 0.1], 1, "running"),
        curve(21, [0.09, 0.18], 9, "running"),
        curve(22, [], 9, "running"),
    )
    assert set(stopped) == {20}
    assert "accuracy 0.1, 0.3" in stopped[20]
    assert "0.52 to beat (trial 11)" in stopped[20]


def test_a_smaller_network_can_join_the_front_whatever_its_accuracy():
    objectives = (Objective("accuracy"), Objective("params", "min"))
    problem = toy_problem(ToySpace((9,)), fidelity=Fidelity(6), objectives=objectives)
    running = [curve(20 + size, [0.05, 0.1], size, "running") for size in (4, 5, 6)]
    assert set(played(problem, *running)) == {25, 26}
    small = curve(12, np.linspace(0, 0.5, 7)[1:], 4)
    assert set(played(problem, small, *running)) == {24, 25, 26}


def test_a_network_must_be_worse_than_one_of_the_front_in_every_learned_objective():
    objectives = (Objective("accuracy"), Objective("error", "min"))
    problem = toy_problem(ToySpace((9,)), fidelity=Fidelity(6), objectives=objectives)

    def with_error(trial, factor):
        measured = tuple(
            Measurement({**one.values, "error": factor * one.values["accuracy"]}, one.epoch)
            for one in trial.measurements
        )
        return msgspec.structs.replace(trial, measurements=measured)

    strategy, state = EarlyStop(Random()), EarlyStop(Random()).init(problem)
    for number in range(16):
        trial = curve(number, np.linspace(0, 0.3 + number / 50, 7)[1:], 5)
        state = strategy.tell(state, problem, with_error(trial, 1.0 + 0.5 * (number % 2)))
    for number, factor in ((20, 1.0), (21, 1.5), (22, 3.0)):
        state = strategy.tell(state, problem, with_error(curve(number, [0.05, 0.1], 5, "running"), factor))
    found = dict(strategy.stop(state, problem))
    assert 20 not in found, "no other has so small an error"
    assert 22 in found
    assert "error 0.3" in found[22]


def test_only_answers_that_keep_the_constraints_are_to_be_beaten():
    problem = toy_problem(ToySpace((9,)), fidelity=Fidelity(6), constraints=(Constraint.parse("accuracy<=0.1"),))
    assert played(problem, curve(20, [0.05, 0.1], 1, "running")) == {}


class Hearing(Random):
    """A proposer whose state is the trials that it heard of."""

    def tell(self, state, problem, trial):
        return (*state, trial)


def test_the_proposer_hears_the_score_to_be_expected_of_a_stopped_trial():
    problem = toy_problem(WIDE, fidelity=Fidelity(EPOCHS))
    run = simulate(EarlyStop(Hearing()), problem, ToyEvaluator(0.01), 60)
    heard = {trial.id: trial for trial in run.state.proposer if trial.done}
    stopped = [trial for trial in run.trials if trial.status == "stopped"]
    assert stopped
    for trial in stopped:
        assert heard[trial.id].status == "finished"
        value = problem.space.value(trial.proposal.architecture) * (1 - 0.5 ** (EPOCHS / 2))
        assert abs(heard[trial.id].value("accuracy") - value) < 0.15
        assert heard[trial.id].measurements[:-1] == trial.measurements[:-1]
    assert [trial for trial in run.heard if trial.status not in ("stopped",)] == [
        trial for trial in run.state.proposer if trial.id not in {one.id for one in stopped} or not trial.done
    ]


def test_lower_fidelities_are_left_to_the_strategy():
    run = simulate(
        EarlyStop(Halving(Random()), curves=5), toy_problem(WIDE, fidelity=Fidelity(9)), ToyEvaluator(0.02), 200
    )
    stopped = [trial for trial in run.trials if trial.status == "stopped"]
    assert stopped
    assert {trial.proposal.fidelity for trial in stopped} == {Fidelity(9)}
    assert all(trial.measurements[0].epoch == 4 for trial in stopped), "judged from where it was resumed"


def test_curves_take_what_is_measured():
    problem = toy_problem(objectives=(Objective("loss", "min"), Objective("params", "min")))
    architecture = problem.space.architecture(0, 0, 0, 0, 0, 0)
    values = [{"loss": 2.0}, {"loss": float("nan")}, {}, {"loss": 1.0, "params": 9.0}]
    trial = Trial(4, Proposal(architecture), "duplicate", tuple(map(Measurement, values)), duplicate_of=2)
    found = curve_of(problem, trial)
    assert (found.trial, found.steps, found.values) == (2, (1, 4), ((-2.0, -1.0),))
    assert found.costs == (np.log1p(9.0), 0.0)


@pytest.mark.parametrize("options", [{"curves": 2}, {"probability": 0.0}, {"proposer": "evolution"}])
def test_bad_options_are_refused(options):
    with pytest.raises(StrategyError, match="expected"):
        EarlyStop(**options)


@pytest.mark.parametrize("strategy", [EarlyStop(), EarlyStop(Auto(), curves=5)], ids=str)
def test_it_keeps_the_contract(strategy):
    constraints = (Constraint.parse("params<=18k"),)
    problem = toy_problem(
        ToySpace(twins=True), fidelity=Fidelity(6), constraints=constraints, budget=Budget(trials=30), workers=2, seed=3
    )
    check_strategy(strategy, problem, ToyEvaluator(0.05, failing=0.1, broken=0.1), trials=40)
    objectives = (Objective("params", "min"), Objective("accuracy"))
    check_strategy(strategy, toy_problem(ToySpace((2, 1)), objectives=objectives, fidelity=Fidelity(3)), trials=25)


class TestInTheLoop:
    """The hook, end to end: a search with a quick evaluator."""

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path, monkeypatch):
        monkeypatch.setitem(registry._BUILT_IN, "early-stop", "archwright.strategies.early_stop:EarlyStop")
        layer = op("dense", width=choice(4, 8, 16, 32), activation=choice("relu", "tanh"))
        self.space = Space(chain(repeat(layer, integer(1, 4)), op("linear", width=OUTPUTS)), "small")
        self.store = tmp_path / "runs"

    @staticmethod
    def evaluate(proposal, problem, seed):
        labels = [label for _, label in problem.space.describe(proposal.architecture)]
        value = sum(int(label) for label in labels if label.isdigit()) / 128
        for epoch in range(1, 13):
            yield Measurement({"score": value * (1 - 0.7**epoch)}, epoch, 0.1 * epoch)

    def search(self, **settings):
        defaults = {
            "strategy": "early-stop",
            "options": {"proposer": "random"},
            "baseline": 0.0,
            "budget": "60 trials",
            "workers": 1,
        }
        given = {"evaluator": self.evaluate, "store": self.store, "progress": "none", **defaults, **settings}
        return aw.search(space=self.space, signature=aw.Signature(((6,),), (3,)), fidelity=Fidelity(12), **given)

    @staticmethod
    def record(result):
        def timeless(payload):
            return msgspec.structs.replace(payload, seconds=0.0) if hasattr(payload, "seconds") else payload

        return [(event.kind, event.trial, timeless(event.payload)) for event in result.run.events()]

    def test_stopped_trials_keep_what_they_measured_and_are_never_the_answer(self):
        result = self.search()
        stopped = [trial for trial in result.trials if trial.status == "stopped" and trial.measurements]
        assert stopped
        for trial in stopped:
            assert trial.reason.startswith("early-stop: hopeless after epoch")
            assert trial.final.epoch < 12
        assert result.best.trial.status == "finished"
        counted = [trial for trial in result.trials if trial.status == "finished" or trial in stopped]
        assert len(counted) == 60

    def test_the_network_of_a_stopped_trial_is_not_tried_again(self):
        calls = []

        def evaluate(proposal, problem, seed):
            calls.append(problem.graph(proposal.architecture).fingerprint)
            yield from self.evaluate(proposal, problem, seed)

        result = self.search(evaluator=evaluate, budget="120 trials")
        assert len(calls) == len(set(calls))
        again = [trial for trial in result.trials if trial.status == "stopped" and not trial.measurements]
        assert again
        for trial in again:
            twin = next(one for one in result.trials if one.fingerprint == trial.fingerprint)
            assert twin.id < trial.id
            assert trial.reason == f"the same network as trial {twin.id}, which was stopped: {twin.reason}"

    def test_it_ends_when_all_that_is_proposed_is_known(self):
        self.space = Space(chain(op("dense", width=choice(*range(2, 14))), op("linear", width=OUTPUTS)), "tiny")
        result = self.search(budget="1000 trials", options={"proposer": "random", "curves": 5})
        assert "known already" in result.ended
        assert Counter(trial.status for trial in result.trials if trial.measurements)["stopped"] > 0

    def test_a_stopped_trial_gives_back_the_epochs_that_it_did_not_use(self):
        result = self.search(budget="300 epochs")
        spent = sum(
            trial.final.epoch for trial in result.trials if trial.status in ("finished", "stopped") and trial.final
        )
        assert "300 epochs are spent" in result.ended
        assert 300 <= spent < 312

    def test_killed_after_any_event_and_resumed_the_ledger_is_the_same(self, monkeypatch):
        class Killed(BaseException):
            pass

        whole = self.record(self.search(name="whole", budget="25 trials"))
        stops = [place for place, event in enumerate(whole) if event[0] == "stopped"]
        assert len(stops) >= 3
        append = Session.append
        for survived in sorted({stops[0] - 1, stops[0], stops[0] + 1, stops[1], stops[2] - 2}):
            written = []

            def dying(self, *event, survived=survived, written=written):
                if len(written) == survived:
                    raise Killed
                written.append(event)
                return append(self, *event)

            monkeypatch.setattr(Session, "append", dying)
            with pytest.raises(Killed):
                self.search(name=f"cut-{survived}", budget="25 trials")
            monkeypatch.setattr(Session, "append", append)
            resumed = aw.resume(f"cut-{survived}", evaluator=self.evaluate, store=self.store, progress="none")
            assert self.record(resumed) == whole

    @pytest.mark.slow
    def test_several_workers(self):
        import time

        def evaluate(proposal, problem, seed):
            for measurement in self.evaluate(proposal, problem, seed):
                time.sleep(0.005)
                yield measurement

        result = self.search(evaluator=evaluate, workers=2, budget="40 trials")
        assert any(trial.status == "stopped" and trial.measurements for trial in result.trials)
        assert (
            sum(trial.status in ("finished", "stopped") and bool(trial.measurements) for trial in result.trials) == 40
        )
