from __future__ import annotations

import math

import pytest

from archwright.problem import Budget, Fidelity, Proposal, Trial
from archwright.strategies.plan import Amount
from archwright.strategies.progress import cost_of, expected_trials, progress
from archwright.testing.toy import toy_problem


@pytest.mark.parametrize(
    ("budget", "share"),
    [
        (Budget(trials=40), 0.25),
        (Budget(seconds=50.0), 0.4),
        (Budget(epochs=60.0), 0.5),
        (Budget(50.0, 40, 60.0), 0.5),
        (Budget(trials=5), 1.0),
        (Budget(), 0.0),
    ],
    ids=str,
)
def test_the_nearest_limit_counts(budget, share):
    problem, spent = toy_problem(budget=budget), Amount(20.0, 10.0, 30.0)
    assert progress(spent, problem) == pytest.approx(share)
    assert progress(Amount(), problem) == 0.0
    trials = 10 / share if 0 < share < 1 else 5 if share else math.inf
    assert expected_trials(spent, problem) == pytest.approx(trials)


def test_several_workers_and_a_baseline_share_the_time():
    problem = toy_problem(budget=Budget(seconds=50.0), workers=4, settings={"baseline": 0.2})
    assert progress(Amount(80.0, 8.0, 8.0), problem) == pytest.approx(0.5)
    assert expected_trials(Amount(80.0, 8.0, 8.0), problem) == pytest.approx(16)


def test_before_the_first_trial_the_budget_says_what_it_can():
    assert expected_trials(Amount(), toy_problem(budget=Budget(trials=30))) == 30
    assert expected_trials(Amount(), toy_problem(budget=Budget(seconds=30.0))) == math.inf


def test_a_known_network_is_free():
    problem = toy_problem(fidelity=Fidelity(8))
    low = Proposal(problem.space.architecture(0, 0, 0, 0, 0, 0), Fidelity(4, 0.5))
    assert cost_of(Trial(0, low, "finished", seconds=3.0), problem) == Amount(3.0, 1.0, 2.0)
    full = Proposal(low.architecture)
    assert cost_of(Trial(1, full, "failed", seconds=1.0), problem) == Amount(1.0, 1.0, 8.0)
    assert cost_of(Trial(2, full, "duplicate", duplicate_of=1), problem) == Amount()
