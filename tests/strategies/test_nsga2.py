from __future__ import annotations

import math

import numpy as np
import pytest

from archwright.problem import Constraint, Measurement, Objective, Proposal, Trial
from archwright.strategies import Random
from archwright.strategies.generation import Generation, Individual
from archwright.strategies.nsga2 import NSGA2
from archwright.strategies.pareto import crowding, fronts, hypervolume, survivors
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

SPACE = ToySpace((5,) * 8)
TWO = (Objective("accuracy"), Objective("params", "min"))


def rng(seed=0):
    return np.random.default_rng(seed)


def problem_of(**settings):
    return toy_problem(SPACE, **{"objectives": TWO, **settings})


def trial(number, accuracy=None, params=None, status=None, network=""):
    values = {key: value for key, value in (("accuracy", accuracy), ("params", params)) if value is not None}
    measured = (Measurement(values, 1, 1.0),) if values else ()
    status = status or ("finished" if values else "running")
    return Trial(number, Proposal(SPACE.sample(rng(number))), status, measured, network or f"network {number}")


def told(strategy, problem, *trials):
    state = strategy.init(problem)
    for one in trials:
        state = strategy.tell(state, problem, one)
    return state


def test_the_best_of_parents_and_children_survive():
    problem, strategy = problem_of(), NSGA2(population=3)
    rows = [(0.5, 900), (0.9, 5000), (0.1, 1000), (0.6, 800), (0.2, 3000), (0.3, 700)]
    state = told(strategy, problem, *(trial(n, *row) for n, row in enumerate(rows)))
    expected = survivors([(accuracy, -params) for accuracy, params in rows], None, 3)
    assert [known.trial for known in state.members] == expected == [1, 3, 5]
    assert (state.number, state.children) == (2, ())


def test_feasible_networks_come_first_and_then_those_that_break_least():
    problem = problem_of(constraints=(Constraint("accuracy", ">=", 0.5),))
    rows = [(0.4, 10), (0.45, 9000), (0.6, 9000), (0.1, 1)]
    state = told(NSGA2(population=4), problem, *(trial(n, *row) for n, row in enumerate(rows)))
    assert [known.trial for known in state.members] == [2, 1, 0, 3]
    assert [known.violation for known in state.members] == pytest.approx([0.0, 0.1, 0.2, 0.8])


def test_equal_networks_count_once():
    problem, strategy = problem_of(), NSGA2(population=3)
    twins = trial(0, 0.5, 900, network="same"), trial(1, 0.5, 900, "duplicate", network="same")
    state = told(strategy, problem, *twins)
    assert [known.trial for known in state.children] == [0]
    corrected = strategy.tell(state, problem, trial(0, 0.6, 900, network="same"))
    assert corrected.children[0].scores == (0.6, -900.0)


@pytest.mark.parametrize(
    "bad", [{"accuracy": math.nan, "params": 1}, {"params": 1}, {"accuracy": 1, "params": math.inf}]
)
def test_what_lacks_an_objective_takes_no_part(bad):
    problem = problem_of()
    assert told(NSGA2(population=2), problem, trial(0, **bad)).children == ()
    assert told(NSGA2(population=2), problem, trial(0, 0.5, 10, "failed")).children == ()


def test_parents_win_by_front_and_then_by_crowding():
    rows = [(0.0, 10.0), (1.0, 6.0), (1.4, 5.5), (10.0, 0.0), (0.5, 1.0)]
    members = tuple(Individual(n, SPACE.sample(rng(n)), row) for n, row in enumerate(rows))
    problem, strategy = problem_of(), NSGA2(population=5, crossover_rate=0.0, mutation_rate=1.0)
    state, count = Generation(members, number=1, heard=4), 3000
    parents = [strategy.ask(state, problem, rng([7, seed])).parent for seed in range(count)]
    shares = np.bincount(parents, minlength=5) / count
    assert shares == pytest.approx([8 / 25, 3 / 25, 5 / 25, 8 / 25, 1 / 25], abs=0.03), "the ends, the less crowded"


def places(rows, violations):
    """Front and crowding distance of each row."""
    found = {}
    for level, front in enumerate(fronts(rows, violations)):
        found |= dict(zip(front.tolist(), ((level, round(gap, 9)) for gap in crowding(rows[front]).tolist())))
    return found


@pytest.mark.parametrize("constraints", [(), (Constraint("accuracy", ">=", 0.5),)], ids=["free", "constrained"])
def test_every_generation_of_a_search_is_the_one_pymoo_would_choose(constraints):
    pytest.importorskip("pymoo")
    from pymoo.core.individual import Individual as Theirs
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

    problem, strategy = problem_of(constraints=constraints, seed=4), NSGA2(population=12)
    run = simulate(strategy, problem, ToyEvaluator(noise=0.05), 300, workers=3)
    state, generations = strategy.init(problem), 0
    for heard in run.heard:
        before, state = state, strategy.tell(state, problem, heard)
        if state.number == before.number or before.number == 0:
            continue
        generations += 1
        last = Individual(heard.id, heard.proposal.architecture, problem.scores(heard), problem.violation(heard))
        pool = (*before.members, *before.children, last)
        rows, violations = np.array([one.scores for one in pool]), [one.violation for one in pool]
        individuals = [
            Theirs(X=np.array([n]), F=-row, G=np.array([v])) for n, (row, v) in enumerate(zip(rows, violations))
        ]
        asked = Problem(n_var=1, n_obj=2, n_ieq_constr=1)
        chosen = RankAndCrowding().do(asked, Population.create(*individuals), n_survive=12, random_state=rng())
        place, numbers = places(rows, violations), {one.trial: n for n, one in enumerate(pool)}
        expected = sorted(place[int(one.X[0])] for one in chosen)
        assert sorted(place[numbers[one.trial]] for one in state.members) == expected
    assert generations > 10


def volume(strategy, seed):
    trials = simulate(strategy, problem_of(seed=seed), ToyEvaluator(), 120, workers=2).trials
    rows = [(SPACE.value(one.proposal.architecture), -one.value("params")) for one in trials]
    return hypervolume(rows, [0.0, -40_000.0])


def test_its_fronts_dominate_more_than_those_of_random_search():
    gains = [volume(NSGA2(), seed) / volume(Random(), seed) for seed in range(8)]
    assert np.mean(gains) > 1.05
    assert np.mean(gains) - 1 > 3 * np.std(gains) / math.sqrt(len(gains))


@pytest.mark.parametrize("objectives", [TWO, TWO[:1], (*TWO, Objective("accuracy"))], ids=len)
def test_it_keeps_the_contract(objectives):
    constraints = (Constraint.parse("params<=18k"), Constraint.parse("accuracy>=0.5"))
    settings = {"objectives": objectives, "constraints": constraints, "workers": 2}
    check_strategy(NSGA2(population=6), toy_problem(ToySpace(twins=True), **settings), trials=40)
    check_strategy(NSGA2(), toy_problem(ToySpace((2, 1)), objectives=objectives), trials=25)
