"""Given architectures are proposed as a strategy proposes its first one."""

from __future__ import annotations

import pytest

from archwright.problem import Fidelity, Proposal
from archwright.strategies import get_strategy
from archwright.strategies.opening import START, Start, opening
from archwright.testing.strategy import simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

WHY = {"by": START, START: "mine"}
GIVEN = ToySpace().architecture(1, 2, 3, 4, 0, 1)


def test_nothing_is_proposed_without_starts():
    assert opening(get_strategy("random"), toy_problem(), ()) == ()


@pytest.mark.parametrize(
    ("strategy", "fidelity", "places"),
    [
        ("random", Fidelity(9), {}),
        ("grid", Fidelity(9), {}),
        ("halving", Fidelity(1), {"rung": 0}),
        ("hyperband", Fidelity(1), {"rung": 0, "bracket": 2}),
    ],
)
def test_starts_stand_where_new_architectures_do(strategy, fidelity, places):
    problem = toy_problem(fidelity=Fidelity(9))
    (only,) = opening(get_strategy(strategy), problem, [Start(GIVEN, WHY)])
    assert only == Proposal(GIVEN, fidelity, why={**WHY, **places})


@pytest.mark.parametrize("strategy", ["halving", "hyperband"])
def test_a_good_start_is_trained_to_the_top(strategy):
    problem = toy_problem(fidelity=Fidelity(9))
    best = ToySpace().architecture(1, 3, 0, 2, 4, 1)
    run = simulate(get_strategy(strategy), problem, ToyEvaluator(), 40, starts=[Start(best, WHY)])
    assert run.trials[0].proposal.architecture == best
    trained = {trial.proposal.fidelity for trial in run.trials if trial.proposal.architecture == best}
    assert Fidelity(9) in trained
