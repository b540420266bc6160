from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Constraint
from archwright.strategies import Evolution, Halving, Random
from archwright.strategies.common import SAMPLE_TRIES, edit, mutate_feasible, sample_feasible
from archwright.testing.toy import ToySpace, toy_problem


def rng(seed=0):
    return np.random.default_rng(seed)


class Uneven(ToySpace):
    """Draws option 0 of the first choice only, unless asked for uniform draws."""

    def sample(self, rng, *, uniform=False):
        drawn = super().sample(rng)
        return drawn if uniform else self.architecture(0, *[option for _, option in drawn.choices[1:]])


class Plain(ToySpace):
    """Knows of no uniform draws."""

    def sample(self, rng):
        return super().sample(rng)


def test_samples_satisfy_the_constraints():
    problem = toy_problem(constraints=(Constraint("params", "<=", 12_000), Constraint("flops", ">=", 18_000)))
    drawn = [sample_feasible(problem, rng(seed)) for seed in range(50)]
    params = [problem.graph(architecture).cost.params for architecture in drawn]
    assert 9_000 <= min(params) <= max(params) <= 12_000
    assert len(set(drawn)) > 30


def test_an_impossible_constraint_says_how_close_the_samples_came():
    constraints = (
        Constraint("params", "<=", 5_000),
        Constraint("flops", ">=", 1_000),
        Constraint("accuracy", ">=", 0.9),
    )
    for strategy in (Random(), Evolution(), Halving()):
        problem = toy_problem(constraints=constraints)
        with pytest.raises(StrategyError) as caught:
            strategy.ask(strategy.init(problem), problem, rng())
        message = str(caught.value)
        assert f"params<=5,000 held for 0 of {SAMPLE_TRIES} (smallest " in message
        assert f"flops>=1,000 held for {SAMPLE_TRIES} of {SAMPLE_TRIES} (largest " in message
        assert "accuracy" not in message
        assert "Relax" in message


def test_uniform_draws_reach_what_draws_by_choice_do_not():
    problem = toy_problem(Uneven((3, 2)))
    for uniform, expected in ((False, {0}), (True, {0, 1, 2})):
        strategy = Random(uniform=uniform)
        state = strategy.init(problem)
        assert {strategy.ask(state, problem, rng(seed)).architecture.choices[0][1] for seed in range(40)} == expected


def test_uniform_draws_need_a_space_that_knows_them():
    with pytest.raises(StrategyError, match="has no argument 'uniform'"):
        Random(uniform=True).init(toy_problem(Plain()))
    Random().init(toy_problem(Plain()))


def test_avoided_architectures_are_drawn_only_where_there_is_nothing_else():
    space = ToySpace((2,))
    problem = toy_problem(space)
    known = {space.architecture(0)}
    assert sum(sample_feasible(problem, rng(seed), avoid=known) in known for seed in range(200)) <= 3
    both = {space.architecture(0), space.architecture(1)}
    assert sample_feasible(problem, rng(), avoid=both) in both
    assert mutate_feasible(problem, space.architecture(0), rng(), avoid=both) == space.architecture(1)


def test_no_mutation_is_returned_that_breaks_the_constraints():
    space = ToySpace((2, 2))
    problem = toy_problem(space, constraints=(Constraint("params", "<=", 3_000),))
    children = {mutate_feasible(problem, space.architecture(1, 0), rng(seed)) for seed in range(20)}
    assert children == {space.architecture(0, 0)}
    tight = toy_problem(space, constraints=(Constraint("params", "<=", 2_000),))
    assert mutate_feasible(tight, space.architecture(0, 0), rng()) is None


def test_an_edit_lists_what_changed_and_what_became_inactive():
    class Labelled(ToySpace):
        def describe(self, architecture):
            shown = dict(super().describe(architecture))
            if shown["choice0"] == "a":
                shown.pop("choice1")
            return tuple(shown.items())

    space = Labelled((2, 2, 2))
    found = edit(toy_problem(space), space.architecture(1, 1, 0), space.architecture(0, 1, 0))
    assert found == {"choice0": ["b", "a"], "choice1": ["b", None]}
    assert edit(toy_problem(space), space.architecture(1, 1, 0), space.architecture(1, 1, 0)) == {}
