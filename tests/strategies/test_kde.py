from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from archwright.errors import StrategyError
from archwright.problem import Fidelity, Measurement, Proposal, Trial
from archwright.space import OUTPUTS, Space, chain, choice, integer, op, repeat
from archwright.strategies import Random
from archwright.strategies.kde import Density, Kde, KdeState, Observation, least, modelled, split
from archwright.testing.strategy import simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem


@pytest.fixture(scope="module")
def space():
    """Choices that depend on choices: how many layers, and in each a kind with a width of its own."""
    layer = choice(op("dense", width=choice(4, 8, 16)), op("identity"))
    return Space(chain(repeat(layer, integer(1, 3)), op("linear", width=OUTPUTS)), "conditional")


def density_of(space, *drawn):
    options = {choice.address: len(choice.labels) for choice in space.choices()}
    return Density(options, drawn)


def observed(space, count, epochs=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return [Observation(epochs, number / count, 0.0, number, space.sample(rng)) for number in range(count)]


def test_a_density_sums_to_one_whatever_choices_depend_on_which(space):
    rng = np.random.default_rng(0)
    everything = list(space.architectures())
    assert len(everything) == space.size
    for count in (1, 4):
        density = density_of(space, *[space.sample(rng) for _ in range(count)])
        assert np.exp(density.log(everything)).sum() == pytest.approx(1.0)


def test_draws_have_the_frequencies_of_the_density(space):
    rng = np.random.default_rng(1)
    density = density_of(space, *[space.sample(rng) for _ in range(3)])
    everything = list(space.architectures())
    drawn = Counter(density.draw(space, rng) for _ in range(6000))
    expected = 6000 * np.exp(density.log(everything))
    assert set(drawn) <= set(everything)
    assert stats.chisquare([drawn[one] for one in everything], expected).pvalue > 0.01


def test_to_each_option_half_an_observation_is_added():
    space = ToySpace((4, 3))
    density = density_of(space, *[space.architecture(option, 0) for option in (2, 2, 2, 1, 0)])
    total = dict.fromkeys(range(4), 0.0)
    for architecture in space.architectures():
        total[architecture.choices[0][1]] += float(np.exp(density.log([architecture])[0]))
    assert list(total.values()) == pytest.approx([0.5 / 7 * weight for weight in (3, 3, 7, 1)])


def test_widened_draws_go_further():
    space = ToySpace((5,) * 8)
    centre = space.architecture(*[0] * 8)
    density = density_of(space, *[centre] * 20)

    def changes(widen):
        rng = np.random.default_rng(2)
        drawn = [density.draw(space, rng, widen) for _ in range(400)]
        return np.mean([sum(option != 0 for _, option in one.choices) for one in drawn])

    assert changes(1.0) == pytest.approx(8 * 4 / 45, abs=0.15)
    assert changes(3.0) == pytest.approx(8 * 12 / 45, abs=0.2)
    assert changes(100.0) == pytest.approx(8 * 4 / 5, abs=0.25)


def test_good_and_bad_are_the_ends_of_the_ranking():
    found = observed(ToySpace(), 100)
    good, bad = split(found, 0.15)
    assert good == [item.architecture for item in found[:84:-1]]
    assert bad == [item.architecture for item in found[84::-1]]
    few = observed(ToySpace(), 9)
    good, bad = split(few, 0.15)
    assert least(few) == 7
    assert good == [item.architecture for item in few[:1:-1]]
    assert bad == [item.architecture for item in few[6::-1]]


def test_of_equal_scores_the_smaller_network_is_better():
    space = ToySpace()
    found = [
        Observation(1.0, 0.1, float(size), size, architecture)
        for size, architecture in zip(range(50, 0, -1), space.architectures(), strict=False)
    ]
    good, _ = split(found, 0.2)
    assert good == [item.architecture for item in found[:-11:-1]]


def test_it_models_the_highest_fidelity_with_enough_results():
    space = ToySpace()
    low, high = observed(space, 20, 1.0), observed(space, 8, 9.0)
    assert modelled(low[:8]) is None
    assert modelled(low + high) == low
    high = observed(space, 9, 9.0)
    assert modelled(low + high) == high


def test_it_proposes_what_is_like_the_good_and_unlike_the_bad():
    space = ToySpace((5,) * 6)
    problem = toy_problem(space)
    rng = np.random.default_rng(3)
    observations = tuple(
        Observation(1.0, space.value(architecture), 0.0, number, architecture)
        for number, architecture in enumerate(space.sample(rng) for _ in range(80))
    )
    proposals = [Kde(random=0.0).ask(KdeState(observations), problem, rng) for _ in range(40)]
    assert {proposal.why["by"] for proposal in proposals} == {"density"}
    assert all(proposal.why["epochs"] == 1.0 and proposal.why["log_ratio"] > 0 for proposal in proposals)
    values = [space.value(proposal.architecture) for proposal in proposals]
    assert np.mean(values) > np.mean([item.score for item in observations]) + 0.15


def test_the_random_share_is_kept():
    space = ToySpace((5,) * 10)
    problem, rng = toy_problem(space), np.random.default_rng(4)
    state = KdeState(tuple(observed(space, 60)))
    drawn = sum(Kde().ask(state, problem, rng).why["by"] == "random" for _ in range(150))
    assert stats.binomtest(drawn, 150, 1 / 3).pvalue > 0.01


def test_failed_trials_are_bad_ones_and_reused_results_add_nothing():
    problem = toy_problem(fidelity=Fidelity(3))
    architecture = problem.space.sample(np.random.default_rng(0))
    proposal, measured = Proposal(architecture), (Measurement({"accuracy": 0.5, "params": 7.0}),)
    state = Kde().init(problem)
    for trial in (
        Trial(0, proposal),
        Trial(0, proposal, "failed"),
        Trial(1, proposal, "duplicate", measured, duplicate_of=0),
        Trial(2, proposal, "stopped", measured),
        Trial(3, proposal, "finished", measured),
        Trial(4, proposal),
    ):
        state = Kde().tell(state, problem, trial)
    assert [(item.trial, item.score, item.params, item.epochs) for item in state.observations] == [
        (0, -np.inf, 0.0, 3.0),
        (3, 0.5, 7.0, 3.0),
    ]
    assert [number for number, _ in state.pending] == [4]


@pytest.mark.slow
def test_it_beats_random_search():
    def best(strategy, seed):
        problem = toy_problem(ToySpace((5,) * 8), seed=seed)
        run = simulate(strategy, problem, ToyEvaluator(0.02), 100)
        return max(problem.space.value(trial.proposal.architecture) for trial in run.trials)

    mine, theirs = (np.array([best(strategy, seed) for seed in range(12)]) for strategy in (Kde(), Random()))
    assert stats.ttest_rel(mine, theirs, alternative="greater").pvalue < 0.01


class Opaque:
    """A space that hides its choices."""

    name, size = "opaque", 2


@pytest.mark.parametrize("options", [{"samples": 0}, {"top": 0.0}, {"random": 1.5}, {"widen": 0.5}])
def test_bad_options_are_refused(options):
    with pytest.raises(StrategyError):
        Kde(**options)


def test_spaces_without_choices_are_refused():
    with pytest.raises(StrategyError, match="choice by choice"):
        Kde().init(toy_problem(Opaque()))
