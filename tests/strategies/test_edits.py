from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Budget, Measurement, Trial
from archwright.space import choice, integer, op, repeat
from archwright.space.combinators import chain
from archwright.space.space import Space
from archwright.space.zoo import get_space
from archwright.strategies.editor import Editor
from archwright.strategies.edits import Edits, discounted, edited, kind_of, token_of
from archwright.strategies.policy import Heads, ascent, distribution, taken
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

CNN = get_space("cnn")


def editor(space, hidden=3):
    return Editor(Heads.of(toy_problem(space), "edits"), hidden)


def test_the_gradient_is_that_of_finite_differences():
    policy, rng = editor(CNN), np.random.default_rng(0)
    start = policy.initial(rng)
    weights = start + 0.3 * rng.normal(size=start.shape)
    batch = policy.heads.batch([CNN.sample(rng) for _ in range(3)])
    assert len(set(batch.active.sum(1))) > 1, "expected architectures of different length"
    every = policy.actions(batch, np.zeros(3, int)).options[:, 0]
    actions = policy.actions(batch, np.array([rng.choice(np.flatnonzero(row)) for row in every]))
    gains = rng.normal(size=(3, 1))

    def value(weights):
        chances, logarithms = distribution(policy.forward(weights, batch)[0], actions, 1.0)
        return (gains * taken(actions, logarithms)).sum() - 0.3 * (chances * logarithms).sum()

    logits, trace = policy.forward(weights, batch)
    found = policy.backward(weights, trace, ascent(actions, logits, gains, 0.3, 1.0))
    for index in rng.choice(len(weights), 80, replace=False):
        move = 1e-5 * (np.arange(len(weights)) == index)
        assert found[index] == pytest.approx((value(weights + move) - value(weights - move)) / 2e-5, abs=1e-7)


def test_the_actions_are_all_other_options_of_the_choices_made():
    policy = editor(CNN)
    for seed in range(10):
        architecture = CNN.sample(np.random.default_rng(seed))
        counts = {choice.address: len(choice.labels) for choice in CNN.choices()}
        batch = policy.heads.batch([architecture])
        actions = policy.actions(batch, np.zeros(1, int))
        expected = {
            policy.heads.starts[address] + option
            for address, taken in architecture.choices
            for option in range(counts[address])
            if option != taken
        }
        assert set(np.flatnonzero(actions.options[0, 0])) == expected
        for token in expected:
            child = edited(CNN, policy.heads, architecture, token, np.random.default_rng(0))
            CNN.validate(child)
            assert token_of(policy.heads, architecture, child) == token


def test_edits_add_delete_and_change_layers():
    layer = op("dense", width=choice(8, 16, 32))
    space = Space(chain(repeat(layer, integer(1, 4), name="body"), op("linear", width=2)), "layers")
    heads = editor(space).heads
    (depth,) = [address for address in heads.addresses if "width" not in address]
    two = next(architecture for architecture in space.architectures() if len(architecture.choices) == 3)
    rng = np.random.default_rng(0)

    def kind(address, option):
        return kind_of(two, edited(space, heads, two, heads.starts[address] + option, rng))

    assert kind(depth, 2) == "add"
    assert kind(depth, 0) == "delete"
    assert kind(two.choices[1][0], 2) == "change"
    longer = edited(space, heads, two, heads.starts[depth] + 3, rng)
    assert dict(longer.choices).items() >= dict(two.choices[1:]).items()
    _, proposals = play(Edits(), toy_problem(space), [0.1 * (number % 7) for number in range(40)])
    assert {proposal.why["kind"] for proposal in proposals if "kind" in proposal.why} == {"add", "delete", "change"}


def test_returns_are_discounted():
    assert discounted([1.0, 2.0, 3.0], 0.5).tolist() == [2.75, 3.5, 3.0]
    assert discounted([1.0, 2.0, 3.0], 0.0).tolist() == [1.0, 2.0, 3.0]
    assert discounted([], 0.5).tolist() == []


def scored(problem, trial, score):
    measured = () if score is None else (Measurement({"accuracy": score}, 1, 1.0),)
    return Trial(trial.id, trial.proposal, "failed" if score is None else "finished", measured)


def play(strategy, problem, scores):
    """The states and proposals of a search by one worker."""
    state = strategy.init(problem)
    states, proposals = [state], []
    for number, score in enumerate(scores):
        trial = Trial(number, strategy.ask(state, problem, np.random.default_rng([4, number])))
        state = strategy.tell(strategy.tell(state, problem, trial), problem, scored(problem, trial, score))
        states.append(state)
        proposals.append(trial.proposal)
    return states, proposals


def test_episodes_start_at_the_best_and_go_on_from_the_last():
    scores = [0.1, 0.5, 0.2, 0.3, 0.4, 0.3, 0.2, 0.9, 0.1, 0.2]
    states, proposals = play(Edits(length=3), toy_problem(), scores)
    assert [proposal.parent for proposal in proposals] == [None] * 5 + [1, 5, 6, 7, 8]
    assert [proposal.why.get("step") for proposal in proposals[5:]] == [1, 2, 3, 1, 2]
    for proposal in proposals[5:]:
        ((address, (old, new)),) = proposal.why["edit"].items()
        before = dict(problem_labels(proposals[proposal.parent].architecture))
        assert before[address] == old != new
        assert proposal.why["kind"] == "change"
        assert proposal.why["parent_score"] == scores[proposal.parent]
    learned = [number for number in range(1, 11) if states[number].adam != states[number - 1].adam]
    assert learned == [8]
    assert states[8].returns[0] == 3


def problem_labels(architecture):
    return ToySpace().describe(architecture)


def test_a_failure_ends_an_episode_and_teaches():
    states, proposals = play(Edits(length=3), toy_problem(), [0.1, 0.5, 0.2, 0.3, 0.4, 0.45, None, 0.3])
    assert [proposal.parent for proposal in proposals[5:]] == [1, 5, 1]
    assert states[7].adam.steps == 1
    assert not states[7].episodes


def test_an_edit_that_paid_becomes_likelier():
    strategy, problem = Edits(length=2, discount=0.0, entropy=0.0), toy_problem()
    states, proposals = play(strategy, problem, [0.1, 0.5, 0.2, 0.3, 0.4, 0.9, 0.1])
    heads, before, after = states[0].editor.heads, states[6], states[7]
    better, worse = (
        (proposals[proposals[number].parent].architecture, proposals[number].architecture) for number in (5, 6)
    )

    def chance(state, old, new):
        return strategy._chances(state, old)[token_of(heads, old, new)]

    assert chance(after, *better) > chance(before, *better)
    assert chance(after, *worse) < chance(before, *worse)


def test_every_worker_has_an_episode_of_its_own():
    problem = toy_problem(workers=3)
    run = simulate(Edits(length=3), problem, ToyEvaluator(), 60, workers=3, rng=np.random.default_rng(0))
    parents = [trial.proposal.parent for trial in run.trials if trial.proposal.why.get("step", 1) > 1]
    assert len(set(parents)) == len(parents) > 20
    assert len(run.state.episodes) <= 3
    assert run.state.pending == ()


def test_it_keeps_the_contract_and_finds_the_optimum_of_a_toy():
    check_strategy(Edits(hidden=4, length=2), toy_problem(ToySpace(twins=True), seed=3), trials=20)
    best = []
    for seed in range(3):
        problem = toy_problem(seed=seed, budget=Budget(trials=120))
        run = simulate(Edits(hidden=16), problem, ToyEvaluator(), 120)
        best.append(max(ToySpace().value(trial.proposal.architecture) for trial in run.trials))
    assert np.mean(best) > 0.93


@pytest.mark.parametrize("options", [{"length": 0}, {"discount": 1.1}, {"rate": 0.0}, {"temperature": -1.0}])
def test_wrong_options_are_refused(options):
    with pytest.raises(StrategyError, match=f"Got {next(iter(options))}="):
        Edits(**options)
