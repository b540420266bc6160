from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Budget, Measurement, Trial
from archwright.strategies.policy import distribution, taken
from archwright.strategies.ppo import PPO, clipped_gains
from archwright.strategies.reinforce import reinforce_gradient
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem


def finished(trial, score, seconds=1.0):
    return Trial(trial.id, trial.proposal, "finished", (Measurement({"accuracy": score}, 1, seconds),), seconds=seconds)


def run_to(strategy, problem, scores):
    state = strategy.init(problem)
    states = [state]
    for number, score in enumerate(scores):
        trial = Trial(number, strategy.ask(state, problem, np.random.default_rng([2, number])))
        state = strategy.tell(strategy.tell(state, problem, trial), problem, finished(trial, score))
        states.append(state)
    return states


def test_gains_are_the_derivative_of_the_clipped_objective():
    logarithms = np.linspace(-1.0, 1.0, 101)[:, None] + 1e-4
    advantages = np.array([[-2.0, -0.5, 0.0, 0.5, 2.0]])

    def objective(logarithms):
        ratios = np.exp(logarithms)
        return np.minimum(ratios * advantages, np.clip(ratios, 0.8, 1.2) * advantages)

    expected = (objective(logarithms + 1e-6) - objective(logarithms - 1e-6)) / 2e-6
    assert clipped_gains(np.exp(logarithms), advantages, 0.2) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("budget", "size"),
    [(Budget(trials=4000), 20), (Budget(trials=100), 5), (Budget(trials=10), 2), (Budget(seconds=120.0), 6)],
    ids=str,
)
def test_the_batch_is_a_twentieth_of_what_the_budget_allows(budget, size):
    states = run_to(PPO(hidden=4), toy_problem(budget=budget), np.linspace(0.1, 0.9, 21))
    updates = [number for number, state in enumerate(states) if state.adam != states[number - 1].adam and number]
    assert updates[0] == size
    assert not states[size].batch
    assert updates == list(range(size, 22, size))
    assert states[size].adam.steps == 5


def test_the_first_pass_is_reinforce():
    strategy = PPO(passes=1, entropy=0.0, hidden=4)
    problem = toy_problem(budget=Budget(trials=60))
    _, _, before, after = run_to(strategy, problem, [0.3, 0.9, 0.1])
    (last,) = after.known - before.known
    architectures = [*(sample.architecture for sample in before.batch), last]
    gains = np.array([*(sample.advantage for sample in before.batch), after.ranks.normal(0.1) - before.baseline])
    gradient = reinforce_gradient(before.policy, before.adam.weights.values, architectures, gains)
    assert after.adam.mean.values == pytest.approx(0.1 * gradient, abs=1e-12)


def test_a_trial_is_compared_with_the_policy_that_made_it():
    strategy, problem = PPO(hidden=4), toy_problem(budget=Budget(trials=40))
    state = strategy.init(problem)
    proposal = strategy.ask(state, problem, np.random.default_rng(0))
    slow = Trial(0, proposal)
    state = first = strategy.tell(state, problem, slow)
    for number in range(1, 3):
        trial = Trial(number, strategy.ask(state, problem, np.random.default_rng(number)))
        state = strategy.tell(strategy.tell(state, problem, trial), problem, finished(trial, number / 2))
    assert state.adam != first.adam
    state = strategy.tell(state, problem, finished(slow, 0.9))
    batch = state.policy.heads.batch([proposal.architecture])
    logits, _ = first.policy.forward(first.adam.weights.values, batch)
    made = taken(batch, distribution(logits, batch, 1.0)[1])[0]
    assert state.batch[-1].before.values == pytest.approx(made)
    assert made.sum() == pytest.approx(proposal.why["log_probability"])


def test_it_keeps_the_contract_and_finds_the_optimum_of_a_toy():
    check_strategy(PPO(hidden=4, passes=2), toy_problem(ToySpace(twins=True), seed=3), trials=20)
    best = []
    for seed in range(3):
        problem = toy_problem(seed=seed, budget=Budget(trials=120))
        run = simulate(PPO(hidden=16), problem, ToyEvaluator(), 120)
        best.append(max(ToySpace().value(trial.proposal.architecture) for trial in run.trials))
    assert np.mean(best) > 0.93


@pytest.mark.parametrize("options", [{"clip": 0.0}, {"passes": 0}, {"rate": 0.0}, {"momentum": -0.1}])
def test_wrong_options_are_refused(options):
    with pytest.raises(StrategyError, match=f"Got {next(iter(options))}="):
        PPO(**options)
