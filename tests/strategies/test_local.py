from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import StrategyError
from archwright.problem import Constraint, Measurement, Proposal, Trial
from archwright.strategies import Halving, Random
from archwright.strategies.genetic import Genetic
from archwright.strategies.local import Local
from archwright.strategies.tournament import Tournament
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

SPACE = ToySpace((3, 3, 3))
PROBLEM = toy_problem(SPACE)
FOLDER = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
TABLE = FOLDER / "benchmarks" / "nas-bench-201.npz"


def rng(seed=0):
    return np.random.default_rng(seed)


def run(strategy, value, trials, space=SPACE, **settings):
    """A search in which architectures are worth what a function of their options says."""

    def measured(proposal, problem, seed):
        return float(value(*[option for _, option in proposal.architecture.choices]))

    return simulate(strategy, toy_problem(space, **settings), measured, trials).trials


def near(one, other):
    return other in set(SPACE.neighbours(one))


@pytest.mark.parametrize("improvement", ["first", "best"])
def test_a_climb_goes_by_improving_steps_to_the_optimum(improvement):
    trials = run(Local(improvement, starts=1), lambda a, b, c: a + b + c, 27)
    best = trials[0]
    for one in trials[1:]:
        if one.proposal.parent is None:
            break
        parent = trials[one.proposal.parent]
        assert near(parent.proposal.architecture, one.proposal.architecture)
        assert parent.value("accuracy") >= best.value("accuracy"), "it stands where it is best"
        best = max(best, parent, key=lambda trial: trial.value("accuracy"))
    assert trials[best.id].value("accuracy") == 6


def test_first_improvement_moves_at_once_and_best_improvement_looks_at_all():
    def value(a, b, c):
        return a + 10 * b + 100 * c

    for seed in range(10):
        first = run(Local("first", starts=1), value, 8, seed=seed)
        for before, after in pairwise(first[1:]):
            better = before.value("accuracy") > first[before.proposal.parent].value("accuracy")
            assert after.proposal.parent in ((before.id,) if better else (before.proposal.parent, None))
        best = run(Local("best", starts=1), value, 8, seed=seed)
        assert [one.proposal.parent for one in best[1:7]] == [0] * 6
        tried = max(best[:7], key=lambda one: one.value("accuracy"))
        assert best[7].proposal.parent == (tried.id if tried.id else None)


@pytest.mark.parametrize("improvement", ["first", "best"])
@pytest.mark.parametrize("workers", [1, 3])
def test_nothing_is_tried_twice_until_all_is_known(improvement, workers):
    problem = toy_problem(SPACE, workers=workers)
    trials = simulate(Local(improvement, starts=2), problem, ToyEvaluator(0.1), 27, workers=workers).trials
    assert len({trial.proposal.architecture for trial in trials}) >= 24
    climbs = [trial for trial in trials if trial.proposal.parent is not None]
    assert len({trial.proposal.architecture for trial in climbs}) == len(climbs)


def test_it_goes_on_drawing_where_all_is_known():
    trials = run(Local(starts=4), lambda a, b: 0.5, 30, ToySpace((2, 2)))
    assert len(trials) == 30
    assert len({trial.proposal.architecture for trial in trials}) == 4


def test_equal_is_not_better():
    trials = run(Local("first", starts=1), lambda a, b, c: 0.5, 7)
    assert [trial.proposal.parent for trial in trials] == [None, 0, 0, 0, 0, 0, 0]
    assert run(Local("first", starts=1), lambda a, b, c: 0.5, 8)[7].proposal.parent is None


def test_neighbours_come_in_random_order():
    space = ToySpace((9, 9))
    steps = [run(Local(starts=1), lambda a, b: 0.5, 2, space, seed=seed)[1].proposal for seed in range(10)]
    assert {address for step in steps for address in step.why["edit"]} == {"choice0", "choice1"}


def test_each_climb_begins_at_the_best_of_its_starts():
    peaks = ToySpace((7, 7))
    trials = run(Local(starts=4), lambda a, b: max(-abs(a - 1) - abs(b - 1), -abs(a - 5) - abs(b - 5)), 40, peaks)
    starts, climbs = [], []
    for trial in trials:
        if trial.proposal.parent is None:
            starts.append(trial)
        elif trial.proposal.parent in [start.id for start in starts]:
            climbs.append((trial.proposal.parent, starts))
            starts = []
    assert len(climbs) >= 2
    for parent, drawn in climbs:
        assert len(drawn) == 4
        assert trials[parent].value("accuracy") == max(one.value("accuracy") for one in drawn)


def trial(number, proposal, score=None, status=None):
    measured = () if score is None else (Measurement({"accuracy": score}, 1, 1.0),)
    return Trial(number, proposal, status or ("running" if score is None else "finished"), measured)


def test_workers_try_neighbours_at_once_and_the_last_to_end_may_still_be_the_step():
    strategy, state = Local(starts=1), Local(starts=1).init(PROBLEM)
    proposals = []
    for number in range(4):
        proposals.append(strategy.ask(state, PROBLEM, rng(number)))
        state = strategy.tell(state, PROBLEM, trial(number, proposals[-1]))
        if number == 0:
            state = strategy.tell(state, PROBLEM, trial(0, proposals[0], 0.5))
    assert [one.parent for one in proposals] == [None, 0, 0, 0]
    state = strategy.tell(state, PROBLEM, trial(1, proposals[1], 0.6))
    moved = strategy.ask(state, PROBLEM, rng())
    assert moved.parent == 1
    state = strategy.tell(state, PROBLEM, trial(4, moved))
    state = strategy.tell(state, PROBLEM, trial(2, proposals[2], 0.55))
    assert strategy.ask(state, PROBLEM, rng()).parent == 1, "worse than where it stands by now"
    state = strategy.tell(state, PROBLEM, trial(3, proposals[3], 0.9))
    assert strategy.ask(state, PROBLEM, rng()).parent == 3


def test_it_waits_only_while_steps_run_and_there_are_enough_starts():
    problem, strategy = toy_problem(ToySpace((2, 4))), Local(starts=1)
    state = strategy.init(problem)
    first = strategy.ask(state, problem, rng())
    state = strategy.tell(strategy.tell(state, problem, trial(0, first)), problem, trial(0, first, 0.5))
    number = 1
    while (proposal := strategy.ask(state, problem, rng(number))) is not None:
        state = strategy.tell(state, problem, trial(number, proposal))
        number += 1
    assert number == 6, "four neighbours, and the start of the next climb"
    state = strategy.tell(state, problem, trial(5, proposal or first, status="failed"))
    assert strategy.ask(state, problem, rng()).parent is None


def test_scores_are_corrected_where_they_matter():
    strategy, state = Local(starts=1), Local(starts=1).init(PROBLEM)
    for number, score in ((0, 0.5), (1, 0.6)):
        proposal = strategy.ask(state, PROBLEM, rng(number))
        state = strategy.tell(
            strategy.tell(state, PROBLEM, trial(number, proposal)), PROBLEM, trial(number, proposal, score)
        )
    assert (state.centre.score, state.better.score) == (0.5, 0.6)
    worse = strategy.tell(state, PROBLEM, trial(1, proposal, 0.4))
    assert (worse.centre.score, worse.better) == (0.5, None)
    check_strategy(Halving(Local(starts=2)), toy_problem(), trials=40)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["run", "score", "fail", "nan"])), max_size=40))
def test_any_order_of_news_is_survived(news):
    strategy = Local(starts=2)
    state = strategy.init(PROBLEM)
    for number, what in news:
        plain = Proposal(SPACE.sample(rng(number)), parent=None if number < 3 else number - 3)
        heard = {"run": trial(number, plain), "score": trial(number, plain, number / 20)}
        heard |= {"fail": trial(number, plain, status="failed"), "nan": trial(number, plain, math.nan)}
        state = strategy.tell(state, PROBLEM, heard[what])
    assert state.better is None or state.centre is None or state.better.score > state.centre.score
    proposal = strategy.ask(state, PROBLEM, rng())
    assert proposal is not None or state.pending


@pytest.mark.parametrize("strategy", [Local(), Local("best", 2)], ids=str)
def test_it_keeps_the_contract(strategy):
    constraints = (Constraint.parse("params<=18k"),)
    check_strategy(strategy, toy_problem(ToySpace(twins=True), constraints=constraints, workers=2), trials=50)
    check_strategy(strategy, toy_problem(ToySpace((2, 1))), trials=25)


def test_errors_say_what_is_expected():
    with pytest.raises(StrategyError, match=r"improvement='steepest'.*first, best"):
        Local("steepest")
    with pytest.raises(StrategyError, match=r"starts=0.*at least 1"):
        Local(starts=0)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [Local(), Local("best"), Tournament(), Genetic()], ids=lambda one: f"{one}"[:16])
def test_it_beats_random_search_on_nas_bench_201(strategy):
    if not TABLE.exists():
        pytest.skip(f"No {TABLE}: set ARCHWRIGHT_TEST_DATA to the folder of the test data.")
    with np.load(TABLE) as stored:
        chosen_by, test = stored["c100_single_seed_200ep"].astype(float), stored["c100_test_200ep"].astype(float)
        cells = {tuple(cell): index for index, cell in enumerate(stored["ops"].tolist())}

    def found(strategy, seed):
        trials = run(strategy, lambda *ops: chosen_by[cells[ops]], 150, ToySpace((5,) * 6), seed=seed)
        best = max(trials, key=lambda one: one.value("accuracy"))
        return test[cells[tuple(option for _, option in best.proposal.architecture.choices)]]

    ours, theirs = (np.array([found(one, seed) for seed in range(30)]) for one in (strategy, Random()))
    error = 1.96 / math.sqrt(30)
    assert ours.mean() - error * ours.std(ddof=1) > theirs.mean() + error * theirs.std(ddof=1)
