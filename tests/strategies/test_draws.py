from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Constraint
from archwright.strategies.common import FRESH_TRIES
from archwright.strategies.draws import TRIES, new_architecture, propose
from archwright.strategies.policy import Heads, Table
from archwright.testing.toy import ToySpace, toy_problem

RNG = np.random.default_rng(0)


def sharp(problem, *taken):
    """A policy that is nearly sure of an architecture."""
    policy = Table(Heads.of(problem, "reinforce"))
    weights = np.zeros(policy.heads.total)
    weights[policy.heads.tokens(problem.space.architecture(*taken))] = 20.0
    return policy, weights


def test_what_is_known_is_not_proposed_again():
    problem = toy_problem(ToySpace((3, 3, 3)))
    policy, weights = sharp(problem, 0, 1, 2)
    known = set()
    for number in range(20):
        found, why = propose(policy, weights, problem, known, np.random.default_rng(number), 1.0)
        assert found not in known
        assert why["draws"] == 1 or why["draws"] > FRESH_TRIES
        known.add(found)
    known = set(problem.space.architectures())
    found, why = propose(policy, weights, problem, known, RNG, 1.0)
    assert found in known
    assert why["draws"] == TRIES
    assert "known" in why["reason"]


def test_a_policy_that_is_sure_of_what_is_infeasible_gives_way():
    problem = toy_problem(ToySpace((3, 3, 3)), constraints=(Constraint.parse("params<=3k"),))
    policy, weights = sharp(problem, 2, 2, 2)
    found, why = propose(policy, weights, problem, (), np.random.default_rng(0), 1.0)
    assert found == problem.space.architecture(0, 0, 0)
    assert why["draws"] > FRESH_TRIES or why["by"] == "random"


def test_draws_are_counted_and_end():
    problem = toy_problem(ToySpace((3, 3)), constraints=(Constraint.parse("params<=1k"),))
    heats = []

    def draw(heat):
        heats.append(heat)
        return problem.space.architecture(2, 2)

    with pytest.raises(StrategyError, match="broke the constraints"):
        new_architecture(problem, (), RNG, draw)
    assert heats == [0] * FRESH_TRIES + list(range(1, TRIES - FRESH_TRIES + 1))


def test_it_says_how_likely_the_choices_were():
    problem = toy_problem(ToySpace((2, 4)))
    policy = Table(Heads.of(problem, "reinforce"))
    _, why = propose(policy, np.zeros(6), problem, (), RNG, 1.0)
    assert why["log_probability"] == pytest.approx(-np.log(8))
    assert why["entropy"] == pytest.approx(np.log(8))
