from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Constraint
from archwright.strategies import Evolution, Random
from archwright.strategies.predictor import Predictor
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

SPACE = ToySpace((4,) * 7, name="predictor")


def search(strategy, count=40, seed=0, noise=0.02, **settings):
    return simulate(strategy, toy_problem(SPACE, seed=seed, **settings), ToyEvaluator(noise), count)


def best(run):
    found = max(run.trials, key=lambda trial: trial.value("accuracy"))
    return SPACE.value(found.proposal.architecture)


def test_it_keeps_the_contract():
    constraints = (Constraint.parse("params<=18k"),)
    problem = toy_problem(ToySpace(twins=True), constraints=constraints, seed=3)
    check_strategy(Predictor(initial=5, candidates=20, refit=10), problem, trials=10)


def test_random_draws_then_mutants_with_reasons():
    run = search(Predictor(initial=10, refit=10), 30)
    kinds = [trial.proposal.why["by"] for trial in run.trials]
    assert kinds == ["random"] * 10 + ["predictor"] * 20
    why = run.trials[-1].proposal.why
    assert 0 < why["rank_correlation"] <= 1
    assert 0 <= why["share_of_trees"] <= 1
    assert 0 < why["predicted"] < 1.5
    assert why["uncertainty"] > 0
    edited = [trial for trial in run.trials if "edit" in trial.proposal.why]
    assert len(edited) > 10
    for trial in edited:
        assert len(trial.proposal.why["edit"]) == 1
        assert trial.proposal.parent is not None


@pytest.mark.parametrize("acquisition", ["thompson", "ei", "mean"])
def test_it_is_no_worse_than_evolution_and_better_than_random_search(acquisition):
    kinds = (Predictor(acquisition, refit=10), Evolution(10, 5), Random())
    found = [np.mean([best(search(kind, 40, seed)) for seed in range(3)]) for kind in kinds]
    assert found[0] > found[1] - 0.03
    assert found[0] > found[2] + 0.05


def test_zero_cost_scores_of_the_problem_make_it_rank_better():
    """Scores that are the true values, where measurements are noisy."""
    given = {one.id: {"score": SPACE.value(one)} for one in SPACE.architectures()}
    plain, scored = (
        np.mean(
            [
                search(Predictor(refit=30), 11, seed, 0.1, settings=settings)
                .trials[-1]
                .proposal.why["rank_correlation"]
                for seed in range(3)
            ]
        )
        for settings in ({}, {"zero_cost": given})
    )
    assert scored > plain


def test_its_options_are_checked():
    for options in ({"initial": 3}, {"candidates": 1}, {"refit": 0}, {"acquisition": "ie"}):
        with pytest.raises(StrategyError, match=next(iter(options))):
            Predictor(**options)


class Unhashable(ToySpace):
    """A space without a hash."""

    __hash__ = None


def test_it_says_what_a_space_must_have():
    with pytest.raises(StrategyError, match="__hash__"):
        Predictor().init(toy_problem(Unhashable()))
