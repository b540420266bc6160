from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from archwright.errors import GraphError, StrategyError
from archwright.problem import Architecture, Constraint, Objective, Problem, Signature
from archwright.space.zoo import get_space
from archwright.space.zoo.nas_bench_201 import from_ops
from archwright.strategies.features import cost_of, fits, hashable, neighbours, scores_of, view
from archwright.testing.toy import ToySpace, toy_problem

CELLS = Problem(get_space("nas-bench-201"), Signature(((3, 32, 32),), (10,)), (Objective("accuracy"),))


def test_equal_networks_look_alike_but_for_their_choices():
    """What no path from input to output goes through changes nothing."""
    one, two = from_ops([3, 0, 0, 1, 2, 0]), from_ops([3, 4, 0, 1, 2, 0])
    assert CELLS.graph(one).fingerprint == CELLS.graph(two).fingerprint
    rows = view(CELLS, [one, two])
    assert rows.names == ("choices", "paths", "costs")
    assert (rows.choices[0] != rows.choices[1]).any()
    assert (rows.paths[0] == rows.paths[1]).all()
    assert (rows.costs[0] == rows.costs[1]).all()
    assert len(rows) == 2


def test_costs_are_the_graphs_and_paths_the_spaces():
    architecture = from_ops([3, 2, 1, 4, 0, 2])
    rows, cost = view(CELLS, [architecture]), CELLS.graph(architecture).cost
    assert np.expm1(rows.costs[0]) == pytest.approx([cost.params, cost.flops, cost.activation_bytes])
    assert rows.paths[0].tolist() == CELLS.space.encode_paths(architecture).tolist()
    assert view(CELLS, [architecture], ("choices",)).names == ("choices",)


def test_a_space_without_dags_has_no_paths():
    assert view(toy_problem(), [ToySpace().architecture(0, 1, 2, 3, 4, 0)]).names == ("choices", "costs")
    cnn = Problem(get_space("cnn"), Signature(((1, 8, 8),), (10,)), (Objective("accuracy"),))
    assert view(cnn, [cnn.space.sample(np.random.default_rng(0))]).paths is None


@dataclasses.dataclass(frozen=True)
class Counting(ToySpace):
    """Counts the graphs it builds, and cannot build those whose first choice is its last option."""

    built: dict = dataclasses.field(default_factory=dict, compare=False)

    def graph(self, architecture, signature):
        self.built[architecture] = self.built.get(architecture, 0) + 1
        if architecture.choices[0][1] == self.options[0] - 1:
            raise GraphError("The shapes do not fit.")
        return super().graph(architecture, signature)


def test_each_network_is_built_once_and_one_that_cannot_be_does_not_fit():
    space = Counting((3, 3), name="counting")
    problem = toy_problem(space, constraints=(Constraint.parse("params<=4k"),))
    every = list(space.architectures())
    for _ in range(2):
        fit = [one for one in every if fits(problem, one)]
        view(problem, every)
    assert set(space.built.values()) == {1}
    assert fit == [one for one in every if one.choices[0][1] < 2 and sum(option for _, option in one.choices) <= 2]
    assert cost_of(problem, space.architecture(2, 0)) is None


def test_neighbours_are_the_spaces():
    architecture = ToySpace().architecture(0, 1, 2, 3, 4, 0)
    assert neighbours(toy_problem(), architecture) == tuple(ToySpace().neighbours(architecture))


def test_zero_cost_scores_of_the_problem_are_standardised_and_what_is_missing_is_the_mean():
    space = ToySpace((4,), name="scored")
    every = list(space.architectures())
    given = {one.id: {"synflow": float(place), "fisher": float("inf")} for place, one in enumerate(every[:3])}
    problem = toy_problem(space, settings={"zero_cost": given})
    assert scores_of(problem, every)[:, 0] == pytest.approx([-(1.5**0.5), 0.0, 1.5**0.5, 0.0])
    assert view(problem, every).names == ("choices", "costs", "scores")
    assert scores_of(toy_problem(space), every) is None


class Unhashable(ToySpace):
    """A space without a hash."""

    __hash__ = None


def test_a_space_without_a_hash_cannot_be_seen():
    problem = toy_problem(Unhashable())
    with pytest.raises(StrategyError, match="Unhashable a frozen dataclass"):
        hashable(problem.space)
    with pytest.raises(StrategyError, match="__hash__"):
        view(problem, [Architecture((("choice0", 0),))])
