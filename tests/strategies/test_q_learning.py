from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Budget, Measurement, Trial
from archwright.strategies.q_learning import QLearning, greedy, learned, value_of
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

SPACE = ToySpace((2, 2, 2))
COUNTS = {f"choice{index}": 2 for index in range(3)}
START, MIDDLE, END = ("", 0, "choice0"), ("choice0", 1, "choice1"), ("choice1", 0, "choice2")


def lesson(*taken, reward):
    return SPACE.architecture(*taken).choices, reward


def test_a_reward_travels_back_to_the_first_choice_at_once():
    values = learned({}, [lesson(1, 0, 1, reward=0.9)], COUNTS, rate=1.0, discount=1.0, trace=0.0)
    assert values == {START: (0.5, 0.9), MIDDLE: (0.9, 0.5), END: (0.5, 0.9)}
    assert value_of(values, SPACE.architecture(1, 0, 1)) == 0.9
    assert value_of(values, SPACE.architecture(0, 1, 1)) == 0.5


def test_values_move_to_the_largest_that_follows_or_to_the_reward():
    known = {END: (0.8, 0.5), MIDDLE: (0.5, 0.5), START: (0.5, 0.5)}
    bad = [lesson(1, 0, 1, reward=0.1)]
    watkins = learned(known, bad, COUNTS, rate=0.5, discount=1.0, trace=0.0)
    assert watkins[END] == pytest.approx((0.8, 0.3))
    assert watkins[MIDDLE] == pytest.approx((0.65, 0.5))
    assert watkins[START] == pytest.approx((0.5, 0.575))
    monte_carlo = learned(known, bad, COUNTS, rate=0.5, discount=1.0, trace=1.0)
    assert monte_carlo[START] == pytest.approx((0.5, 0.3))
    mixed = learned(known, bad, COUNTS, rate=0.5, discount=0.9, trace=0.5)
    assert mixed[MIDDLE][0] == pytest.approx(0.5 + 0.5 * (0.9 * (0.05 + 0.4) - 0.5))
    assert known == {END: (0.8, 0.5), MIDDLE: (0.5, 0.5), START: (0.5, 0.5)}


def test_replay_converges_to_the_best_of_each_situation():
    lessons = [
        lesson(*architecture, reward=0.1 * architecture[1] + 0.2 * architecture[2])
        for architecture in np.ndindex(2, 2, 2)
    ]
    values = {}
    for _ in range(100):
        values = learned(values, lessons, COUNTS, rate=0.2, discount=1.0, trace=0.0)
    assert values["choice1", 1, "choice2"] == pytest.approx((0.1, 0.3), abs=1e-6)
    assert values[MIDDLE] == pytest.approx((0.2, 0.3), abs=1e-6)
    assert values[START] == pytest.approx((0.3, 0.3), abs=1e-6)


def test_choices_are_greedy_but_for_a_share_epsilon():
    values = {START: (0.2, 0.6), MIDDLE: (0.7, 0.6), END: (0.4, 0.4)}
    rng = np.random.default_rng(0)
    drawn = [greedy(values, SPACE, 0.2, rng) for _ in range(4000)]
    taken = np.array([[option for _, option in architecture.choices] for architecture in drawn])
    assert taken[:, 0].mean() == pytest.approx(0.9, abs=0.02)
    path = taken[taken[:, 0] == 1]
    assert path[:, 1].mean() == pytest.approx(0.1, abs=0.02)
    assert path[path[:, 1] == 0][:, 2].mean() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("budget", [Budget(trials=100), Budget(seconds=100.0), Budget(epochs=100.0)], ids=str)
def test_epsilon_follows_the_budget(budget):
    strategy, problem = QLearning(replay=0), toy_problem(budget=budget)

    def measured(proposal, problem, seed):
        return Measurement({"accuracy": problem.space.value(proposal.architecture)}, 1, 1.0)

    run = simulate(strategy, problem, measured, 110)
    found = [trial.proposal.why["epsilon"] for trial in run.trials]
    assert found[:20] == [1.0] * 20
    assert found == sorted(found, reverse=True)
    assert {round(epsilon, 3) for epsilon in found} == {round(0.1 * step, 3) for step in range(1, 11)}
    assert found[95] == pytest.approx(0.1)


def test_what_costs_nothing_does_not_count():
    strategy, problem = QLearning(replay=0), toy_problem(SPACE, budget=Budget(trials=50))
    state = simulate(strategy, problem, ToyEvaluator(), 40).state
    assert len(state.memory) == 40
    assert state.spent.trials == 8


def test_a_failure_is_remembered_as_the_worst_and_a_stop_is_not():
    strategy, problem = QLearning(replay=0, rate=1.0), toy_problem(SPACE)
    state = strategy.init(problem)
    for number, status in enumerate(("finished", "failed", "stopped")):
        trial = Trial(number, strategy.ask(state, problem, np.random.default_rng(number)))
        measured = (Measurement({"accuracy": 0.3}, 1, 1.0),) if status == "finished" else ()
        state = strategy.tell(state, problem, trial)
        state = strategy.tell(state, problem, Trial(number, trial.proposal, status, measured))
    assert [score for _, score in state.memory] == [0.3, None]
    assert value_of(state.values, state.memory[1][0]) == 0.25


def test_it_keeps_the_contract_and_finds_a_good_toy():
    check_strategy(QLearning(replay=5, trace=0.0), toy_problem(ToySpace(twins=True), seed=3), trials=20)
    best = []
    for seed in range(3):
        problem = toy_problem(seed=seed, budget=Budget(trials=120))
        run = simulate(QLearning(replay=32), problem, ToyEvaluator(), 120)
        best.append(max(ToySpace().value(trial.proposal.architecture) for trial in run.trials))
    assert np.mean(best) > 0.9


@pytest.mark.parametrize("options", [{"explore": 1.5}, {"rate": -0.1}, {"replay": -1}, {"trace": 2.0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(StrategyError, match=f"Got {next(iter(options))}="):
        QLearning(**options)
