from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from archwright.errors import StrategyError
from archwright.problem import Budget, Constraint, Fidelity, Objective
from archwright.strategies import Random
from archwright.strategies.bohb import Bohb
from archwright.strategies.hyperband import Hyperband
from archwright.strategies.kde import Kde
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

FOLDER = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
TABLE = FOLDER / "benchmarks" / "nas-bench-201.npz"
WIDE = ToySpace((5,) * 8)


def test_brackets_and_promotions_are_those_of_hyperband():
    problem = toy_problem(WIDE, fidelity=Fidelity(27))
    mine = simulate(Bohb(), problem, ToyEvaluator(0.02), 150)
    theirs = simulate(Hyperband(), problem, ToyEvaluator(0.02), 150)

    def shape(run):
        return [(trial.proposal.why["bracket"], trial.proposal.fidelity.epochs) for trial in run.trials]

    assert shape(mine) == shape(theirs)
    best = max(mine.trials[:27], key=lambda trial: trial.value("accuracy"))
    assert mine.trials[27].proposal.parent == best.id
    assert mine.trials[27].proposal.resume == best.final.artifacts["checkpoint"]


def test_new_architectures_come_from_the_model_once_a_fidelity_has_enough_results():
    run = simulate(Bohb(), toy_problem(WIDE, fidelity=Fidelity(9)), ToyEvaluator(0.02), 120)
    new = [trial for trial in run.trials if trial.proposal.parent is None]
    modelled = [trial for trial in new if trial.proposal.why["by"] == "density"]
    assert {trial.proposal.why["by"] for trial in new} == {"density", "random"}
    assert min(trial.id for trial in modelled) >= len(WIDE.options) + 3
    for trial in modelled:
        epochs = trial.proposal.why["epochs"]
        before = [
            one for one in run.trials[: trial.id] if one.status == "finished" and one.proposal.fidelity.cost == epochs
        ]
        higher = [
            one for one in run.trials[: trial.id] if one.status == "finished" and one.proposal.fidelity.cost > epochs
        ]
        assert len(before) >= len(WIDE.options) + 3 > len([one for one in higher if one.proposal.fidelity.cost == 9.0])


@pytest.mark.slow
def test_it_finds_better_networks_than_hyperband_with_the_same_epochs():
    def best(strategy, seed):
        problem = toy_problem(WIDE, fidelity=Fidelity(9), seed=seed)
        run = simulate(strategy, problem, ToyEvaluator(0.02, half=3.0), 140)
        full = [trial for trial in run.trials if trial.proposal.fidelity == Fidelity(9)]
        chosen = max(full, key=lambda trial: trial.value("accuracy") or 0.0)
        return problem.space.value(chosen.proposal.architecture)

    mine, theirs = (np.array([best(strategy, seed) for seed in range(16)]) for strategy in (Bohb(), Hyperband()))
    assert stats.ttest_rel(mine, theirs, alternative="greater").pvalue < 0.05


@pytest.mark.slow
def test_the_model_beats_random_search_on_nas_bench_201():
    if not TABLE.exists():
        pytest.skip(f"No {TABLE}: set ARCHWRIGHT_TEST_DATA to the folder of the test data.")
    with np.load(TABLE) as stored:
        valid, test = stored["c10_valid_12ep"].astype(float), stored["c10_test_200ep"].astype(float)
        cells = {tuple(cell): index for index, cell in enumerate(stored["ops"].tolist())}

    def cell(architecture):
        return cells[tuple(option for _, option in architecture.choices)]

    def answers(strategy):
        found = []
        for seed in range(30):
            problem = toy_problem(ToySpace((5,) * 6), seed=seed)
            run = simulate(strategy, problem, lambda proposal, problem, seed: valid[cell(proposal.architecture)], 150)
            found.append(test[cell(max(run.trials, key=lambda trial: trial.value("accuracy")).proposal.architecture)])
        return np.mean(found), 1.96 * np.std(found, ddof=1) / np.sqrt(len(found))

    (mine, half), (theirs, other) = answers(Kde()), answers(Random())
    assert mine - half > theirs + other


@pytest.mark.parametrize("options", [{"eta": 1}, {"samples": 0}, {"random": 2.0}])
def test_bad_options_are_refused(options):
    with pytest.raises(StrategyError):
        Bohb(**options)


@pytest.mark.parametrize("strategy", [Bohb(), Bohb(2, random=0.0, synchronous=False)], ids=str)
def test_it_keeps_the_contract(strategy):
    constraints = (Constraint.parse("params<=18k"),)
    space, budget = ToySpace((4, 4, 4), twins=True), Budget(8.0, 30, 60.0)
    problem = toy_problem(space, fidelity=Fidelity(9), constraints=constraints, budget=budget, workers=2, seed=3)
    check_strategy(strategy, problem, trials=40)
    objectives = (Objective("params", "min"), Objective("accuracy"))
    check_strategy(strategy, toy_problem(ToySpace((2, 1)), objectives=objectives, fidelity=Fidelity(3)), trials=25)
    assert len(simulate(strategy, toy_problem(ToySpace((1, 1)), fidelity=Fidelity(9)), ToyEvaluator(), 30).trials) == 30
