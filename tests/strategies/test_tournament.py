from __future__ import annotations

import math

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Constraint, Measurement, Proposal, Trial
from archwright.strategies import Evolution, Random
from archwright.strategies.evolution import EvolutionState, Member
from archwright.strategies.tournament import Tournament
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

PROBLEM = toy_problem()


def population(count):
    """A state of so many individuals, each better than the one before."""
    draw = PROBLEM.space.sample
    return EvolutionState(tuple(Member(n, draw(np.random.default_rng(n)), n / count) for n in range(count)), (), count)


def test_nobody_dies():
    run = simulate(Tournament(5), PROBLEM, ToyEvaluator(failing=0.2, broken=0.2), 60, workers=3)
    scored = [trial.id for trial in run.trials if math.isfinite(trial.value("accuracy") or math.nan)]
    assert sorted(member.trial for member in run.state.members) == scored
    assert 20 < len(scored) < 60


@pytest.mark.parametrize(("share", "count", "size"), [(0.05, 100, 5), (0.05, 20, 2), (0.25, 30, 8), (1.0, 30, 30)])
def test_a_share_takes_part_and_the_best_of_it_is_the_parent(share, count, size):
    strategy, state = Tournament(5, share), population(count)
    asked = [strategy.ask(state, PROBLEM, np.random.default_rng([3, seed])).parent for seed in range(1500)]
    expected = (count + 1) * size / (size + 1) - 1
    assert np.mean(asked) == pytest.approx(expected, abs=4 * count / size / math.sqrt(1500) + 1e-9)
    assert min(asked) >= size - 1, "drawn without replacement"


def test_it_begins_with_random_draws():
    run = simulate(Tournament(8), PROBLEM, ToyEvaluator(), 20)
    assert [trial.proposal.parent is None for trial in run.trials] == [True] * 8 + [False] * 12


def test_a_lucky_result_stays_a_parent_unless_the_population_ages():
    space = ToySpace((5,) * 6)
    problem = toy_problem(space)

    def told(strategy):
        state = strategy.init(problem)
        for number in range(60):
            trial = Trial(number, Proposal(space.sample(np.random.default_rng(number))))
            state = strategy.tell(state, problem, trial)
            score = Measurement({"accuracy": 9.0 if number == 0 else 0.5})
            state = strategy.tell(state, problem, Trial(number, trial.proposal, "finished", (score,)))
        return [strategy.ask(state, problem, np.random.default_rng(seed)).parent for seed in range(100)]

    assert told(Tournament(5, 1.0)) == [0] * 100
    assert 0 not in told(Evolution(20, 10))


def test_it_beats_random_search():
    space = ToySpace((5,) * 10)

    def best(strategy, seed):
        trials = simulate(strategy, toy_problem(space, seed=seed), ToyEvaluator(noise=0.01), 150, workers=2).trials
        return max(space.value(item.proposal.architecture) for item in trials)

    gains = [best(Tournament(share=0.25), seed) - best(Random(), seed) for seed in range(9)]
    assert np.mean(gains) > 3 * np.std(gains) / math.sqrt(len(gains))


@pytest.mark.parametrize("strategy", [Tournament(), Tournament(3, 1.0)], ids=str)
def test_it_keeps_the_contract(strategy):
    constraints = (Constraint.parse("params<=18k"),)
    check_strategy(strategy, toy_problem(ToySpace(twins=True), constraints=constraints, workers=2), trials=35)
    check_strategy(strategy, toy_problem(ToySpace((2, 1))), trials=25)


def test_errors_say_what_is_expected():
    with pytest.raises(StrategyError, match=r"share=0.*\(0, 1\]"):
        Tournament(share=0)
    with pytest.raises(StrategyError, match=r"initial=0.*at least 1"):
        Tournament(initial=0)
