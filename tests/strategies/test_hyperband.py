from __future__ import annotations

import itertools
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import StrategyError
from archwright.problem import Budget, Constraint, Fidelity, Measurement, Objective, Proposal, Trial
from archwright.strategies import Evolution, Random
from archwright.strategies.hyperband import Hyperband, bracket_sizes, divisions
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

WIDE = ToySpace((5,) * 10)


def rungs_of(trials):
    """``(bracket, epochs, trials)`` in the order of proposal."""
    named = [(trial.proposal.why["bracket"], trial.proposal.fidelity.epochs) for trial in trials]
    return [(*key, len(list(group))) for key, group in itertools.groupby(named)]


def test_the_brackets_are_those_of_the_paper():
    run = simulate(Hyperband(), toy_problem(WIDE, fidelity=Fidelity(81)), ToyEvaluator(), 206)
    assert rungs_of(run.trials) == [
        *((4, 1, 81), (4, 3, 27), (4, 9, 9), (4, 27, 3), (4, 81, 1)),
        *((3, 3, 34), (3, 9, 11), (3, 27, 3), (3, 81, 1)),
        *((2, 9, 15), (2, 27, 5), (2, 81, 1)),
        *((1, 27, 8), (1, 81, 2)),
        (0, 81, 5),
    ]


@pytest.mark.parametrize(("eta", "s_max"), [(2, 6), (3, 4), (4, 3), (5, 2)])
def test_sizes_follow_the_formula(eta, s_max):
    expected = [int(np.ceil((s_max + 1) * eta**s / (s + 1) - 1e-9)) for s in range(s_max, -1, -1)]
    assert list(bracket_sizes(s_max, eta)) == expected


@given(st.integers(1, 3000), st.integers(2, 7))
def test_divisions_are_the_floor_of_the_logarithm(epochs, eta):
    assert eta ** divisions(epochs, eta) <= epochs < eta ** (divisions(epochs, eta) + 1)


def test_the_best_of_a_rung_go_on_from_their_checkpoints():
    run = simulate(Hyperband(), toy_problem(WIDE, fidelity=Fidelity(27)), ToyEvaluator(0.02), 40)
    lower, upper = run.trials[:27], run.trials[27:36]
    ranked = sorted(lower, key=lambda trial: -trial.value("accuracy"))
    assert [trial.proposal.parent for trial in upper] == [trial.id for trial in ranked[:9]]
    for trial in upper:
        known = run.trials[trial.proposal.parent]
        assert trial.proposal.architecture == known.proposal.architecture
        assert trial.proposal.resume == known.final.artifacts["checkpoint"]
        assert [measurement.epoch for measurement in trial.measurements] == [2, 3]


class Play:
    """Asks and answers by hand."""

    def __init__(self, strategy, problem):
        self.strategy, self.problem, self.state, self.count = strategy, problem, strategy.init(problem), 0

    def start(self):
        trial = Trial(self.count, self.strategy.ask(self.state, self.problem, np.random.default_rng([0, self.count])))
        self.count += 1
        self.state = self.strategy.tell(self.state, self.problem, trial)
        return trial

    def end(self, trial, score):
        values = {"accuracy": score, "params": 1000.0}
        done = msgspec.structs.replace(trial, status="finished", measurements=(Measurement(values),))
        self.state = self.strategy.tell(self.state, self.problem, done)


def test_a_rung_waits_for_all_its_results_while_others_start_the_next_bracket():
    play = Play(Hyperband(), toy_problem(WIDE, fidelity=Fidelity(9)))
    first = [play.start() for _ in range(9)]
    for trial in first[:8]:
        play.end(trial, trial.id / 10)
    ahead = play.start().proposal
    assert (ahead.why["bracket"], ahead.fidelity, ahead.parent) == (1, Fidelity(3), None)
    play.end(first[8], 0.05)
    promoted = [play.start() for _ in range(3)]
    assert [trial.proposal.parent for trial in promoted] == [7, 6, 5]
    assert play.start().proposal.why["bracket"] == 1
    for trial in promoted:
        play.end(trial, trial.id / 10)
    assert play.start().proposal.parent == promoted[-1].id


def test_asynchronous_brackets_promote_as_soon_as_they_can():
    play = Play(Hyperband(synchronous=False), toy_problem(WIDE, fidelity=Fidelity(9)))
    for score in (0.1, 0.3, 0.2):
        play.end(play.start(), score)
    due = play.start().proposal
    assert (due.why["bracket"], due.fidelity, due.parent) == (2, Fidelity(3), 1)


def test_a_bracket_that_starts_again_chooses_among_all_that_wait():
    play = Play(Hyperband(), toy_problem(WIDE, fidelity=Fidelity(3)))
    sizes = bracket_sizes(1, 3)
    assert sizes == (3, 2)
    for score in (0.8, 0.9, 0.1):
        play.end(play.start(), score)
    for _ in range(3):
        play.end(play.start(), 0.5)
    for score in (0.2, 0.3, 0.4):
        play.end(play.start(), score)
    assert play.start().proposal.parent == 0


class Hearing(Random):
    """A proposer whose state is what it heard: ``(trial, status, score)``."""

    def tell(self, state, problem, trial):
        return (*state, (trial.id, trial.status, problem.score(trial)))


def test_each_bracket_has_a_proposer_that_hears_one_scale():
    run = simulate(Hyperband(Hearing()), toy_problem(WIDE, fidelity=Fidelity(9)), ToyEvaluator(0.05), 60)
    for bracket, state in zip((2, 1, 0), run.state.brackets, strict=True):
        entered = {
            trial.id
            for trial in run.trials
            if trial.proposal.why["bracket"] == bracket and trial.proposal.parent is None
        }
        assert {number for number, _, _ in state.proposer} == entered
        lowest = {run.trials[number].value("accuracy") for number in entered}
        assert {score for _, _, score in state.proposer if score is not None} <= lowest


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**16), st.integers(2, 4), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_no_rung_promotes_more_than_its_share(seed, eta, epochs, workers, synchronous):
    problem = toy_problem(fidelity=Fidelity(epochs), seed=seed)
    strategy = Hyperband(eta=eta, synchronous=synchronous)
    evaluator = ToyEvaluator(0.1, failing=0.1, broken=0.1)
    run = simulate(strategy, problem, evaluator, 80, workers=workers, rng=np.random.default_rng(seed))
    assert len(run.trials) == 80
    for bracket in run.state.brackets:
        assert all(len(rung.promoted) <= rung.results // eta for rung in bracket.rungs)
    sizes = bracket_sizes(divisions(epochs, eta), eta)
    new = Counter(trial.proposal.why["bracket"] for trial in run.trials if "from_rung" not in trial.proposal.why)
    order = itertools.islice(
        itertools.cycle(
            [bracket for bracket, size in zip(range(len(sizes) - 1, -1, -1), sizes, strict=True) for _ in range(size)]
        ),
        new.total(),
    )
    assert new == Counter(order)


def test_trials_of_others_do_no_harm():
    problem = toy_problem(fidelity=Fidelity(9))
    strategy, state = Hyperband(), Hyperband().init(problem)
    architecture = problem.space.sample(np.random.default_rng(0))
    for number, why in enumerate(({}, {"bracket": 7}, {"bracket": "x"}, {"bracket": -1})):
        trial = Trial(
            number, Proposal(architecture, Fidelity(1), why=why), "finished", (Measurement({"accuracy": 1.0}),)
        )
        state = strategy.tell(state, problem, trial)
    assert state == strategy.init(problem)


@pytest.mark.parametrize("options", [{"eta": 1}, {"proposer": "evolution"}])
def test_bad_options_are_refused(options):
    with pytest.raises(StrategyError, match="expected"):
        Hyperband(**options)


@pytest.mark.parametrize("strategy", [Hyperband(), Hyperband(Evolution(5, 2), 2, synchronous=False)], ids=str)
def test_it_keeps_the_contract(strategy):
    constraints = (Constraint.parse("params<=18k"),)
    space, budget = ToySpace(twins=True), Budget(8.0, 30, 60.0)
    problem = toy_problem(space, fidelity=Fidelity(9), constraints=constraints, budget=budget, workers=2, seed=3)
    check_strategy(strategy, problem, trials=40)
    objectives = (Objective("params", "min"), Objective("accuracy"))
    check_strategy(strategy, toy_problem(ToySpace((2, 1)), objectives=objectives, fidelity=Fidelity(3)), trials=25)
    assert len(simulate(strategy, toy_problem(ToySpace((1, 1)), fidelity=Fidelity(9)), ToyEvaluator(), 30).trials) == 30
