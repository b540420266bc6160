"""From candidates to a proposal: mutants, acquisitions, and the best that is new."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from archwright.problem import Constraint, Measurement, Proposal, Trial
from archwright.strategies.candidates import Judgement, best_candidate, expected_improvement, judge, mutants
from archwright.strategies.history import History, hear
from archwright.strategies.surrogate import Marks
from archwright.testing.toy import ToySpace, toy_problem

SPACE = ToySpace((4,) * 5)
PROBLEM = toy_problem(SPACE)
MARKS, _ = Marks.of(np.linspace(0.1, 0.9, 9))


def heard(problem, count, seed=0):
    """A history of random architectures that ended."""
    rng, history = np.random.default_rng(seed), History()
    for number in range(count):
        drawn = problem.space.sample(rng)
        ended = Trial(number, Proposal(drawn), "finished", (Measurement({"accuracy": 0.5}),), drawn.id)
        history = hear(history, ended, (problem.space.value(drawn),))
    return history


def test_expected_improvement_agrees_with_simulation():
    rng = np.random.default_rng(0)
    mean, deviation = np.array([-1.0, 0.0, 0.4, 2.0]), np.array([0.5, 1.0, 0.1, 2.0])
    draws = mean + deviation * rng.standard_normal((400_000, 4))
    simulated = np.maximum(draws - 0.5, 0.0).mean(axis=0)
    assert np.allclose(expected_improvement(mean, deviation, 0.5), simulated, atol=0.01)


def test_mutants_are_one_choice_from_the_best_and_the_others_are_draws():
    history = heard(PROBLEM, 40)
    pool = mutants(PROBLEM, history, 300, 4, np.random.default_rng(1))
    assert not set(pool) & history.known()
    scores = sorted({item.architecture: item.scores[0] for item in history.observed}.values())
    for candidate, parent in pool.items():
        if parent is not None:
            assert parent.scores[0] >= scores[-10]
            assert sum(a != b for a, b in zip(candidate.choices, parent.architecture.choices)) == 1
    assert 0.15 < np.mean([parent is None for parent in pool.values()]) < 0.5


def test_without_results_and_in_a_space_of_one_all_are_draws():
    assert set(mutants(PROBLEM, History(), 20, 2, np.random.default_rng(0)).values()) == {None}
    single = toy_problem(ToySpace((1,)))
    assert mutants(single, heard(single, 1), 20, 2, np.random.default_rng(0)) == {}


@pytest.mark.parametrize("how", ["ei", "thompson", "mean"])
def test_acquisitions_prefer_what_is_surely_better(how):
    candidates = [SPACE.sample(np.random.default_rng(seed)) for seed in range(3)]
    predicted = np.array([0.0, 5.0, -5.0]), np.full(3, 0.1)
    found = judge(candidates, predicted, 0.0, how, np.random.default_rng(0))
    assert found.gain.argmax() == 1
    assert found.candidates == candidates


def test_thompson_takes_the_uncertain_as_often_as_it_may_be_better():
    candidates = [SPACE.sample(np.random.default_rng(seed)) for seed in range(2)]
    predicted, rng = (np.array([0.1, 0.0]), np.array([0.01, 1.0])), np.random.default_rng(0)
    taken = [int(judge(candidates, predicted, 0.0, "thompson", rng).gain.argmax()) for _ in range(400)]
    assert np.mean(taken) == pytest.approx(0.46, abs=0.08)  # the chance that a standard normal exceeds 0.1


def proposal(problem, history, pool, gains, seed=0):
    candidates = list(pool)
    judged = Judgement(candidates, np.array(gains), np.full(len(gains), 0.1), np.array(gains)) if candidates else None
    return best_candidate(problem, history, pool, judged, MARKS, {"by": "model"}, np.random.default_rng(seed))


def test_the_best_new_one_is_proposed_with_what_is_expected_of_it():
    history = heard(PROBLEM, 5)
    pool = mutants(PROBLEM, history, 6, 2, np.random.default_rng(2))
    place = next(index for index, parent in enumerate(pool.values()) if parent is not None)
    gains = [1.0 if index == place else 0.0 for index in range(len(pool))]
    found = proposal(PROBLEM, history, pool, gains)
    chosen, parent = list(pool.items())[place]
    assert (found.architecture, found.parent) == (chosen, parent.trial)
    assert found.why["by"] == "model"
    assert found.why["predicted"] == pytest.approx(MARKS.back(1.0))
    assert found.why["uncertainty"] > 0
    assert found.why["acquisition"] == 1.0
    assert len(found.why["edit"]) == 1


def test_what_breaks_a_constraint_is_passed_over():
    pool = dict.fromkeys(SPACE.sample(np.random.default_rng(seed)) for seed in range(12))
    params = np.array([PROBLEM.graph(one).cost.params for one in pool])
    most = int(np.median(params))
    problem = toy_problem(SPACE, constraints=(Constraint.parse(f"params<={most}"),))
    found = proposal(problem, History(), pool, params / params.max())
    assert problem.graph(found.architecture).cost.params == params[params <= most].max()


@pytest.mark.parametrize("known", [True, False])
def test_where_nothing_is_new_a_random_draw_is_proposed_and_says_so(known):
    history = heard(PROBLEM, 3)
    pool = dict.fromkeys(item.architecture for item in history.observed) if known else {}
    found = proposal(PROBLEM, history, pool, [0.5] * len(pool))
    assert found.architecture not in history.known()
    assert (found.why["by"], found.why["reason"]) == ("random", "no candidate is new")
    assert msgspec.json.encode(found.why)
