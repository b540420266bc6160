from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Constraint, Fidelity
from archwright.strategies import get_strategy
from archwright.strategies.reference import PROBE, Reference
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem


@dataclasses.dataclass(frozen=True)
class Known(ToySpace):
    """A toy space with references, the first of which is the largest."""

    @property
    def references(self):
        return {"large": self.architecture(4, 4, 4, 4, 4, 4), "small": self.architecture(0, 0, 0, 0, 0, 0)}


def proposed(strategy, problem):
    return [trial.proposal for trial in simulate(strategy, problem, ToyEvaluator(), 10).trials]


@pytest.mark.parametrize("which", ["first", "all", "small"])
def test_it_keeps_the_contract_of_strategies(which):
    check_strategy(Reference(which), toy_problem(Known(), fidelity=Fidelity(3)), ends=True)


def test_a_lone_reference_is_tried_briefly_and_nothing_else_is():
    problem = toy_problem(Known(), fidelity=Fidelity(9))
    (only,) = proposed(Reference(), problem)
    assert only.architecture == Known().references["large"]
    assert only.fidelity == Fidelity(1, PROBE)
    assert only.why == {"by": "reference", "reference": "large", "position": 0}


def test_several_are_compared_at_the_full_fidelity_in_order():
    both = proposed(Reference("all"), toy_problem(Known(), fidelity=Fidelity(9)))
    assert [one.architecture for one in both] == list(Known().references.values())
    assert [one.fidelity for one in both] == [None, None]


def test_one_is_chosen_by_its_name():
    (only,) = proposed(get_strategy("reference:small"), toy_problem(Known()))
    assert only.architecture == Known().references["small"]


def test_the_first_that_keeps_the_constraints_is_taken():
    problem = toy_problem(Known(), constraints=(Constraint.parse("params<=10k"),))
    (only,) = proposed(Reference(), problem)
    assert only.why["reference"] == "small"


@pytest.mark.parametrize(
    ("strategy", "space", "limit", "message"),
    [
        (Reference(), ToySpace(), "1M", "names no references"),
        (Reference("smal"), Known(), "1M", "Did you mean 'small'"),
        (Reference(), Known(), "1k", "keeps the constraints"),
    ],
)
def test_what_cannot_be_proposed_is_told(strategy, space, limit, message):
    problem = toy_problem(space, constraints=(Constraint.parse(f"params<={limit}"),))
    with pytest.raises(StrategyError, match=message):
        strategy.init(problem)


def test_it_ends_after_the_last():
    assert Reference().ask(1, toy_problem(Known()), np.random.default_rng(0)) is None
