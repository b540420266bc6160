from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import SpaceError, StrategyError
from archwright.problem import Constraint, Fidelity
from archwright.space import OUTPUTS, Space, chain, choice, integer, op, parallel, repeat, shared
from archwright.space.zoo.cnn import cnn
from archwright.space.zoo.nasnet import nasnet
from archwright.strategies import Halving
from archwright.strategies.grid import Grid, GridState, following, permuted
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

INNER = shared("inner", choice(op("relu"), op("dense", width=choice(2, 4))))
OUTER = shared("outer", choice(op("identity"), parallel(INNER, choice(op("none"), op("relu")))))
NESTED = Space(chain(choice(OUTER, INNER, op("relu")), repeat(choice(INNER, OUTER), integer(0, 2)), INNER), "nested")
TOY = ToySpace((3, 2, 4))


class Numbered(ToySpace):
    """A toy space that gives the architecture of a number."""

    def at(self, index):
        return self.architecture(*map(int, np.unravel_index(index, self.options)))


def rng(seed=0):
    return np.random.default_rng(seed)


def proposed(run):
    return [trial.proposal.architecture for trial in run.trials]


@pytest.mark.parametrize("space", [NESTED, TOY, ToySpace((1, 1)), Space(op("linear", width=OUTPUTS), "one")], ids=str)
def test_each_architecture_follows_the_one_before(space):
    found = [space.fill(lambda address, options: 0)]
    while (after := following(space, found[-1])) is not None:
        found.append(after)
    assert found == list(space.architectures())


def test_the_space_gives_the_architecture_of_a_number():
    assert [NESTED.at(number) for number in range(NESTED.size)] == list(NESTED.architectures())
    with pytest.raises(SpaceError, match=rf"number {NESTED.size}; expected 0 to {NESTED.size - 1}"):
        NESTED.at(NESTED.size)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([cnn(), nasnet()]), st.floats(0, 1, exclude_max=True))
def test_numbers_are_in_order_in_spaces_too_large_to_list(space, where):
    number = int(where * (space.size - 1))
    architecture = space.at(number)
    space.validate(architecture)
    assert following(space, architecture) == space.at(number + 1)
    assert following(space, space.at(space.size - 1)) is None


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(0, 1000))
def test_a_random_order_has_each_number_once(size, seed):
    assert sorted(permuted(position, size, seed) for position in range(size)) == list(range(size))


def test_random_orders_are_uniform_and_differ_by_seed():
    orders = np.array([[permuted(position, 10, seed) for position in range(10)] for seed in range(3000)])
    shares = np.array([np.bincount(column, minlength=10) for column in orders.T]) / 3000
    assert np.abs(shares - 0.1).max() < 0.03
    assert np.abs(np.corrcoef(orders.T) + 1 / 9)[~np.eye(10, dtype=bool)].max() < 0.08
    assert 0 <= permuted(10**40, 10**50, 7) < 10**50


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("constraints", [(), (Constraint.parse("params<=6k"),)], ids=len)
def test_everything_feasible_is_proposed_once_in_order_and_then_nothing(workers, constraints):
    problem = toy_problem(TOY, constraints=constraints)
    run = simulate(Grid(), problem, ToyEvaluator(failing=0.2), 100, workers=workers)
    places = {n: each for n, each in enumerate(TOY.architectures()) if problem.feasible(each)}
    assert len(places) < 24 or not constraints
    assert proposed(run) == list(places.values())
    assert [trial.proposal.why for trial in run.trials] == [{"by": "grid", "position": n, "of": 24} for n in places]
    assert Grid().ask(run.state, problem, rng()) is None


def test_it_goes_on_from_its_position_alone():
    problem = toy_problem(TOY)
    run = simulate(Grid(), problem, ToyEvaluator(), 10)
    assert run.state == GridState(10, list(TOY.architectures())[9])
    assert Grid().ask(run.state, problem, rng()).architecture == list(TOY.architectures())[10]


def test_shuffled_it_goes_through_all_in_an_order_of_the_seed():
    orders, space = [], Numbered((3, 2, 4))
    for seed in range(2):
        run = simulate(Grid(shuffled=True), toy_problem(space, seed=seed), ToyEvaluator(), 100)
        orders.append(proposed(run))
        assert Grid(shuffled=True).ask(run.state, toy_problem(space, seed=seed), rng()) is None
    assert orders[0] != orders[1]
    assert sorted(orders[0], key=str) == sorted(orders[1], key=str) == sorted(space.architectures(), key=str)
    with pytest.raises(StrategyError, match=r"shuffled=True, but the space 'toy' has no method 'at'"):
        Grid(shuffled=True).init(toy_problem(TOY))
    assert Grid(shuffled=True).ask(GridState(), toy_problem(NESTED), rng()).why["of"] == NESTED.size


def test_it_gives_up_where_the_constraints_exclude_too_much_in_a_row():
    space = ToySpace((2, 5, 5, 5, 5, 5, 5))
    problem = toy_problem(space, constraints=(Constraint.parse("params>=35k"),))
    with pytest.raises(StrategyError, match=r"10,000 architectures in a row.*params>=35000.*shuffled=True"):
        Grid().ask(Grid().init(problem), problem, rng())


def test_it_keeps_the_contract():
    constraints = (Constraint.parse("params<=18k"),)
    problem = toy_problem(ToySpace(twins=True), constraints=constraints, workers=2, fidelity=Fidelity(9))
    check_strategy(Grid(), problem, trials=50)
    check_strategy(Halving(Grid()), problem, trials=50)
    shuffled = toy_problem(Numbered(), constraints=constraints, workers=2, seed=1)
    check_strategy(Grid(shuffled=True), shuffled, trials=50)
