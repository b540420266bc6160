"""Bayesian optimisation: what it proposes, why, and how well it searches."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Budget, Constraint, Fidelity, Measurement, Objective, Proposal, Trial
from archwright.space.zoo import get_space
from archwright.space.zoo.nas_bench_201 import to_ops
from archwright.strategies import Random
from archwright.strategies.bayes import Bayes
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

TABLE = (
    Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "benchmarks"
    / "nas-bench-201.npz"
)
CONSTRAINTS = (Constraint.parse("params<=18k"),)


def told(problem, strategy, trials):
    state = strategy.init(problem)
    for trial in trials:
        state = strategy.tell(state, problem, trial)
    return state


def finished(problem, count, seed=0, value=None):
    """Finished trials of random architectures, each once."""
    rng = np.random.default_rng(seed)
    drawn = list(dict.fromkeys(problem.space.sample(rng) for _ in range(4 * count)))[:count]
    score = value or problem.space.value
    return [
        Trial(index, Proposal(item), "finished", (Measurement({"accuracy": score(item)}),), item.id)
        for index, item in enumerate(drawn)
    ]


@pytest.mark.parametrize("acquisition", ["ei", "thompson"])
def test_it_keeps_the_contract(acquisition):
    problem = toy_problem(ToySpace((5, 5, 4, 3), twins=True), fidelity=Fidelity(3), constraints=CONSTRAINTS, workers=2)
    check_strategy(Bayes(acquisition, initial=4, candidates=40), problem, trials=20)


def test_tiny_spaces_run_on_after_all_is_known():
    objectives = (Objective("params", "min"), Objective("accuracy"))
    check_strategy(Bayes(initial=2), toy_problem(ToySpace((2, 1)), objectives=objectives), trials=12)
    assert len(simulate(Bayes(initial=2), toy_problem(ToySpace((1, 1))), ToyEvaluator(), 12).trials) == 12


def test_it_begins_with_random_draws_and_then_says_what_it_expects():
    problem = toy_problem(seed=3)
    run = simulate(Bayes(initial=7), problem, ToyEvaluator(), 30)
    by = [trial.proposal.why["by"] for trial in run.trials]
    assert by == ["random"] * 7 + ["bayes"] * 23
    children = [trial for trial in run.trials if trial.proposal.parent is not None]
    assert children
    for trial in run.trials[7:]:
        why = trial.proposal.why
        assert why["uncertainty"] > 0.0
        assert why["acquisition"] >= 0.0
        assert math.isfinite(why["predicted"])
        assert ("edit" in why) == (trial.proposal.parent is not None)
    for trial in children:
        assert len(trial.proposal.why["edit"]) == 1
    late = run.trials[15:]
    errors = [abs(trial.proposal.why["predicted"] - trial.value("accuracy")) for trial in late]
    spread = np.std([trial.value("accuracy") for trial in run.trials])
    assert np.median(errors) < spread


def test_no_function_is_proposed_twice():
    problem = toy_problem(ToySpace((5, 5, 3, 3), twins=True), seed=1)
    run = simulate(Bayes(), problem, ToyEvaluator(0.05), 60, workers=3, rng=np.random.default_rng(0))
    assert len({trial.fingerprint for trial in run.trials}) == 60


def test_running_trials_are_kept_away_from():
    problem, strategy = toy_problem(ToySpace((6, 6, 6))), Bayes()
    state = told(problem, strategy, finished(problem, 25))
    proposed = []
    for number in range(25, 33):
        proposal = strategy.ask(state, problem, np.random.default_rng(1))
        proposed.append(proposal)
        state = strategy.tell(state, problem, Trial(number, proposal))
    assert len({item.architecture for item in proposed}) == 8
    gains = [item.why["acquisition"] for item in proposed]
    assert gains[-1] < gains[0]


def test_it_finds_the_optimum_where_random_search_does_not():
    def reached(strategy, seed):
        problem = toy_problem(ToySpace((5,) * 7), seed=seed)
        run = simulate(strategy, problem, ToyEvaluator(), 50)
        return max(problem.space.value(trial.proposal.architecture) for trial in run.trials)

    found = [reached(Bayes(), seed) for seed in range(3)]
    drawn = [reached(Random(), seed) for seed in range(3)]
    assert min(found) > max(drawn)
    assert np.mean(found) > 0.97


def test_failures_count_as_the_worst_score():
    space = ToySpace((6, 6, 6, 6))
    problem, strategy = toy_problem(space), Bayes()
    trials = finished(problem, 60, value=lambda item: 0.5 + 0.1 * space.value(item))
    taken = [dict(trial.proposal.architecture.choices)["choice0"] for trial in trials]
    failing = [
        msgspec.structs.replace(trial, status="failed", measurements=()) if option < 3 else trial
        for trial, option in zip(trials, taken)
    ]
    ignored = [trial for trial, option in zip(trials, taken) if option >= 3]

    def share(given):
        state = told(problem, strategy, given)
        asked = [strategy.ask(state, problem, np.random.default_rng(seed)) for seed in range(25)]
        return np.mean([dict(proposal.architecture.choices)["choice0"] < 3 for proposal in asked])

    assert share(failing) < 0.5 * share(ignored)


def test_only_failures_leave_random_draws():
    problem = toy_problem()
    run = simulate(Bayes(initial=3), problem, ToyEvaluator(failing=1.0), 15)
    assert {trial.proposal.why["by"] for trial in run.trials} == {"random"}


def test_proposals_satisfy_the_constraints():
    problem = toy_problem(constraints=CONSTRAINTS)
    run = simulate(Bayes(initial=3), problem, ToyEvaluator(), 40)
    assert all(problem.feasible(trial.proposal.architecture) for trial in run.trials)


def test_told_again_it_corrects_a_score():
    problem, strategy = toy_problem(), Bayes()
    trials = finished(problem, 20)
    better = msgspec.structs.replace(trials[4], measurements=(Measurement({"accuracy": 5.0}),))
    state = told(problem, strategy, [*trials, better])
    assert len(state.observed) == 20
    assert state.observed[4].scores == (5.0,)
    parents = {strategy.ask(state, problem, np.random.default_rng(seed)).parent for seed in range(20)}
    assert 4 in parents


@pytest.mark.parametrize("options", [{"acquisition": "eii"}, {"initial": 1}, {"candidates": 0}, {"initial": 2.5}])
def test_wrong_options_are_refused(options):
    with pytest.raises(StrategyError, match=str(next(iter(options.values())))):
        Bayes(**options)


def test_an_ask_at_150_observations_is_cheap():
    space = get_space("nas-bench-201")
    problem = toy_problem(space, budget=Budget(trials=200))
    strategy = Bayes()
    trials = finished(problem, 150, value=lambda item: sum(option for _, option in item.choices) / 24)
    state, seconds = told(problem, strategy, trials[:140]), []
    for trial in trials[140:]:
        state = strategy.tell(state, problem, trial)
        before = time.process_time()
        strategy.ask(state, problem, np.random.default_rng(trial.id))
        seconds.append(time.process_time() - before)
    assert np.median(seconds) < 0.1, seconds


@pytest.mark.slow
@pytest.mark.parametrize(("data", "least"), [("c10", 94.1), ("c100", 73.1), ("in16", 46.3)])
def test_it_reaches_what_a_good_process_reaches_on_nas_bench_201(data, least):
    if not TABLE.exists():
        pytest.skip(f"No {TABLE}: set ARCHWRIGHT_TEST_DATA to the folder of the test data.")
    with np.load(TABLE) as stored:
        noisy, test = stored[f"{data}_single_seed_200ep"].astype(float), stored[f"{data}_test_200ep"].astype(float)
        cells = {tuple(cell): index for index, cell in enumerate(stored["ops"].tolist())}

    def cell(architecture):
        return cells[tuple(to_ops(architecture))]

    def answer(seed):
        problem = toy_problem(get_space("nas-bench-201"), seed=seed, budget=Budget(trials=150))
        run = simulate(Bayes(), problem, lambda proposal, problem, seed: noisy[cell(proposal.architecture)], 150)
        assert len({trial.fingerprint for trial in run.trials}) == 150
        return test[cell(max(run.trials, key=lambda trial: trial.value("accuracy")).proposal.architecture)]

    assert np.mean([answer(seed) for seed in range(8)]) > least
