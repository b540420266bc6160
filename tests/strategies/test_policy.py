from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.space.zoo import get_space
from archwright.strategies.draws import Draws
from archwright.strategies.policy import Controller, Heads, Table, ascent, distribution, taken
from archwright.testing.toy import ToySpace, toy_problem

CNN = get_space("cnn")


def heads(space):
    return Heads.of(toy_problem(space), "reinforce")


def weights_of(policy, spread=0.5):
    rng = np.random.default_rng(1)
    start = policy.initial(rng)
    return start + spread * rng.normal(size=start.shape)


@pytest.mark.parametrize("policy", [Table(heads(CNN)), Controller(heads(CNN), 4)], ids=["table", "lstm"])
def test_the_gradient_is_that_of_finite_differences(policy):
    rng = np.random.default_rng(0)
    batch = policy.heads.batch([CNN.sample(rng) for _ in range(4)])
    assert len(set(batch.active.sum(1))) > 1, "expected architectures of different length"
    gains, weights = rng.normal(size=batch.tokens.shape), weights_of(policy)

    def value(weights):
        chances, logarithms = distribution(policy.forward(weights, batch)[0], batch, 1.3)
        return (gains * taken(batch, logarithms)).sum() - 0.7 * (chances * logarithms).sum()

    logits, trace = policy.forward(weights, batch)
    found = policy.backward(weights, trace, ascent(batch, logits, gains, 0.7, 1.3))
    assert found.shape == weights.shape
    for index in rng.choice(len(weights), min(80, len(weights)), replace=False):
        move = 1e-5 * (np.arange(len(weights)) == index)
        assert found[index] == pytest.approx((value(weights + move) - value(weights - move)) / 2e-5, abs=1e-7)


@pytest.mark.parametrize("policy", [Table(heads(CNN)), Controller(heads(CNN), 4)], ids=["table", "lstm"])
def test_probabilities_are_over_the_options_of_each_choice(policy):
    architectures = [CNN.sample(np.random.default_rng(seed)) for seed in range(3)]
    batch = policy.heads.batch(architectures)
    chances, _ = distribution(policy.forward(weights_of(policy), batch)[0], batch, 1.0)
    assert chances.sum(-1)[batch.active] == pytest.approx(1.0)
    assert (chances.sum(-1)[~batch.active] == 0).all()
    counts = {choice.address: len(choice.labels) for choice in CNN.choices()}
    for row, architecture in zip(chances, architectures):
        assert [int((step > 0).sum()) for step in row if step.any()] == [
            counts[address] for address, _ in architecture.choices
        ]


@pytest.mark.parametrize("kind", [Table, lambda heads: Controller(heads, 4)], ids=["table", "lstm"])
@pytest.mark.parametrize("temperature", [0.7, 1.5])
def test_draws_are_as_frequent_as_the_gradient_thinks(kind, temperature):
    space = ToySpace((2, 3))
    policy = kind(heads(space))
    weights = weights_of(policy)
    everything = list(space.architectures())
    batch = policy.heads.batch(everything)
    logarithms = distribution(policy.forward(weights, batch)[0], batch, temperature)[1]
    expected = np.exp(taken(batch, logarithms).sum(1))
    assert expected.sum() == pytest.approx(1.0)
    draws, rng = Draws(policy, weights, space), np.random.default_rng(5)
    drawn = [everything.index(draws.draw(rng, temperature)) for _ in range(6000)]
    found = np.bincount(drawn, minlength=6) / 6000
    assert (np.abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / 6000)).all()


def test_an_lstm_can_prefer_an_option_because_of_an_earlier_one():
    space = ToySpace((2, 2))
    policy = Controller(heads(space), 8)
    batch = policy.heads.batch([space.architecture(0, 0), space.architecture(1, 1)])
    weights = policy.initial(np.random.default_rng(0))
    for _ in range(200):
        logits, trace = policy.forward(weights, batch)
        d_logits = ascent(batch, logits, np.ones((2, 2)), 0.0, 1.0)
        weights = weights + 0.5 * policy.backward(weights, trace, d_logits)
    chances = distribution(policy.forward(weights, batch)[0], batch, 1.0)[0]
    assert chances[0, 0, 0] == pytest.approx(0.5, abs=0.1)
    assert chances[0, 1, 2] > 0.9
    assert chances[1, 1, 3] > 0.9


def test_spaces_of_another_kind_are_refused():
    problem = toy_problem()

    class Grown:
        name, size = "grown", 10

    with pytest.raises(StrategyError, match=r"'grown' does not allow.*Use a space made of an expression"):
        Heads.of(dataclasses.replace(problem, space=Grown()), "reinforce")
