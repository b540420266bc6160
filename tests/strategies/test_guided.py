from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Constraint, Fidelity
from archwright.strategies import Evolution, Random
from archwright.strategies.guided import Guided
from archwright.strategies.history import Observed, best_and_latest, functions
from archwright.strategies.surrogate import MOST
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

SPACE = ToySpace((4,) * 7, name="guided")


def search(strategy, count=50, noise=0.02, space=SPACE, **settings):
    problem = toy_problem(space, fidelity=Fidelity(1), **settings)
    return simulate(strategy, problem, ToyEvaluator(noise), count)


def best(run, space=SPACE):
    found = max(run.trials, key=lambda trial: trial.value("accuracy"))
    return space.value(found.proposal.architecture)


def test_it_keeps_the_contract():
    constraints = (Constraint.parse("params<=18k"),)
    check_strategy(Guided(6, 3, 4), toy_problem(ToySpace(twins=True), constraints=constraints, seed=3), trials=25)


def test_random_draws_then_the_model_says_what_it_expects_and_why():
    run = search(Guided(initial=8), 30)
    kinds = [trial.proposal.why["by"] for trial in run.trials]
    assert kinds[:8] == ["random"] * 8
    assert "surrogate" in kinds[8:]
    why = next(trial.proposal.why for trial in reversed(run.trials) if trial.proposal.why["by"] == "surrogate")
    assert why["model"] == "gaussian process on choices, costs"
    assert 0 < why["rank_correlation"] <= 1
    assert 0 < why["predicted"] < 1.5
    assert why["uncertainty"] > 0
    assert why["acquisition"] > 0


def test_edits_are_against_the_parent():
    run = search(Guided(initial=8), 30)
    edited = [trial for trial in run.trials if "edit" in trial.proposal.why]
    assert edited
    for trial in edited:
        parent = run.trials[trial.proposal.parent].proposal.architecture
        assert trial.proposal.architecture in set(SPACE.neighbours(parent))


def test_it_beats_evolution_and_random_search():
    found = {
        kind: np.mean([best(search(kind, seed=seed)) for seed in range(6)])
        for kind in (Guided(), Evolution(10, 5), Random())
    }
    guided, evolution, drawn = found.values()
    assert guided > evolution + 0.02
    assert guided > drawn + 0.1


def test_the_model_proposes_no_function_that_is_known():
    space = ToySpace((5, 5, 4), name="twins", twins=True)
    run = search(Guided(initial=4), 50, space=space)
    guided = [trial for trial in run.trials if trial.proposal.why["by"] == "surrogate"]
    assert len(guided) > 20
    assert {trial.status for trial in guided} == {"finished"}


def test_where_nothing_can_be_predicted_proposals_are_left_to_evolution():
    def chance(proposal, problem, seed):
        return float(np.random.default_rng(seed).random())

    kinds = [
        trial.proposal.why["by"]
        for seed in range(3)
        for trial in simulate(Guided(initial=8), toy_problem(SPACE, seed=seed), chance, 60).trials
    ]
    assert kinds.count("mutation") + kinds.count("random") > 1.5 * kinds.count("surrogate")


def test_what_runs_is_taken_into_account():
    problem = toy_problem(SPACE)
    run = simulate(Guided(initial=8), problem, ToyEvaluator(0.02), 40, workers=4)
    architectures = [trial.proposal.architecture for trial in run.trials]
    assert len(set(architectures)) == 40


class Unhashable(ToySpace):
    """A space without a hash."""

    __hash__ = None


def test_without_a_hash_it_is_evolution_and_says_so():
    run = search(Guided(8, 4, 4), 20, space=Unhashable())
    reasons = {trial.proposal.why.get("reason") for trial in run.trials if trial.proposal.why["by"] == "mutation"}
    assert reasons == {"the space has no hash"}


def test_a_failed_trial_counts_as_the_worst_and_a_function_once():
    one, two, three = (SPACE.sample(np.random.default_rng(seed)) for seed in range(3))
    observed = (
        Observed(0, one, (0.5,), "a"),
        Observed(1, two, None, "b"),
        Observed(2, three, (0.5,), "a"),
        Observed(3, three, (0.7,), ""),
    )
    assert [(item.trial, item.scores) for item in functions(observed)] == [(0, (0.5,)), (1, (0.5,)), (3, (0.7,))]
    assert functions((Observed(1, two, None, "b"),)) == []


def test_of_many_observations_the_best_and_the_latest_are_kept():
    count = 3 * MOST
    scores = tuple(float((7 * place) % count) for place in range(count))
    architectures = tuple(ToySpace((count,)).architecture(place) for place in range(count))
    kept, results = best_and_latest(architectures, scores, MOST)
    assert len(kept) == len(results) == MOST
    assert set(sorted(scores)[-MOST // 2 :]) <= set(results.tolist())
    assert kept[-1] == architectures[-1]
    assert [scores[architectures.index(one)] for one in kept] == results.tolist()
    assert best_and_latest(architectures[:5], scores[:5], MOST)[0] == list(architectures[:5])


def test_its_options_are_checked():
    with pytest.raises(StrategyError, match="initial"):
        Guided(initial=1)
    with pytest.raises(StrategyError, match="population"):
        Guided(population=0)
    assert dataclasses.asdict(Guided()) == {"population": 20, "sample": 10, "initial": 10}
