from __future__ import annotations

import pickle

import pytest

import archwright as aw
from archwright.errors import ArchwrightError
from archwright.problem import trial_seed
from archwright.space import OUTPUTS, chain, choice, op

SPACE = aw.Space(chain(op("dense", width=choice(4, 8)), op("linear", width=OUTPUTS)), "tiny")


def problem(**settings) -> aw.Problem:
    return aw.Problem(SPACE, aw.Signature(((5,),), (2,)), (aw.Objective("accuracy"),), **settings)


def trial(status="finished", **values) -> aw.Trial:
    return aw.Trial(0, aw.Proposal(aw.Architecture(())), status, (aw.Measurement(values),))


def test_only_constraints_on_costs_are_known_before_training():
    small, large = SPACE.architectures()
    bounded = problem(constraints=(aw.Constraint.parse("params<=50"), aw.Constraint.parse("accuracy>=0.9")))
    assert bounded.feasible(small)
    assert not bounded.feasible(large)


def test_a_score_is_more_is_better_and_absent_where_it_does_not_count():
    assert problem().score(trial(accuracy=0.5)) == 0.5
    assert aw.Problem(SPACE, aw.Signature(((5,),), (2,)), (aw.Objective("loss", "min"),)).score(trial(loss=0.5)) == -0.5
    assert problem().score(trial(accuracy=float("nan"))) is None
    assert problem().score(trial(loss=1.0)) is None
    assert problem().score(trial("failed", accuracy=0.5)) is None
    assert problem(constraints=(aw.Constraint.parse("accuracy>=0.6"),)).score(trial(accuracy=0.5)) is None


def test_a_problem_survives_pickling_with_its_cache():
    first = problem(seed=3)
    architecture = next(SPACE.architectures())
    fingerprint = first.graph(architecture).fingerprint
    assert pickle.loads(pickle.dumps(first)).graph(architecture).fingerprint == fingerprint


def test_trial_seeds_differ_by_trial_and_by_seed():
    seeds = {trial_seed(problem(seed=seed), number) for seed in range(20) for number in range(50)}
    assert len(seeds) == 1000
    with pytest.raises(ArchwrightError, match="-1"):
        trial_seed(problem(), -1)


def test_an_architecture_is_identified_by_its_choices():
    first, second = aw.Architecture((("a", 1),)), aw.Architecture((("a", 2),))
    assert first.id != second.id
    assert first.id == aw.Architecture((("a", 1),)).id
    assert hash(first) == hash(aw.Architecture((("a", 1),)))
