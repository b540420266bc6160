from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import StrategyError
from archwright.problem import Constraint, Measurement, Proposal, Trial
from archwright.strategies import Evolution, Random
from archwright.strategies.evolution import EvolutionState, Member
from archwright.testing.strategy import simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

PROBLEM = toy_problem()


def trial(number, architecture=None, score=None, status=None):
    """A trial that runs, or has a score, or failed."""
    space = PROBLEM.space
    chosen = architecture or space.sample(np.random.default_rng(number))
    measured = () if score is None else (Measurement({"accuracy": score}, 1, 1.0),)
    return Trial(number, Proposal(chosen), status or ("running" if score is None else "finished"), measured)


def population(*scores, size=5):
    """A state whose population has these scores."""
    members = [
        Member(number, PROBLEM.space.sample(np.random.default_rng(number)), score)
        for number, score in enumerate(scores)
    ]
    return EvolutionState(tuple(members), heard=len(members) - 1)


def parents(strategy, state, count=4000):
    asked = (strategy.ask(state, PROBLEM, np.random.default_rng([7, number])) for number in range(count))
    return np.bincount([proposal.parent for proposal in asked], minlength=len(state.members)) / count


def test_tournament_with_replacement_chooses_the_best_of_the_sample():
    state = population(0.1, 0.5, 0.3, 0.2, 0.4)
    found = parents(Evolution(population=5, sample=3), state)
    ranks = np.array([1, 5, 3, 2, 4])
    expected = (ranks / 5) ** 3 - ((ranks - 1) / 5) ** 3
    assert np.abs(found - expected).max() < 0.035


def test_tournament_without_replacement_never_chooses_the_worst():
    state = population(0.1, 0.5, 0.3, 0.2, 0.4)
    found = parents(Evolution(population=5, sample=3, replacement=False), state)
    expected = np.array([0, math.comb(4, 2), math.comb(2, 2), 0, math.comb(3, 2)]) / math.comb(5, 3)
    assert found[0] == found[3] == 0
    assert np.abs(found - expected).max() < 0.035


def test_the_oldest_leaves_even_if_it_is_the_best():
    strategy, state = Evolution(population=3, sample=2), EvolutionState()
    for number, score in enumerate((0.9, 0.1, 0.2, 0.3)):
        state = strategy.tell(state, PROBLEM, trial(number))
        state = strategy.tell(state, PROBLEM, trial(number, score=score))
    assert [member.trial for member in state.members] == [1, 2, 3]


def test_children_join_in_the_order_of_completion():
    strategy, state = Evolution(population=3, sample=2), EvolutionState()
    for number in range(3):
        state = strategy.tell(state, PROBLEM, trial(number))
    for number in (2, 0, 1):
        state = strategy.tell(state, PROBLEM, trial(number, score=0.5))
    assert [member.trial for member in state.members] == [2, 0, 1]
    assert state.pending == ()


def test_pending_trials_count_while_the_population_fills():
    strategy, state = Evolution(population=3, sample=2), EvolutionState()
    for number in range(2):
        state = strategy.tell(state, PROBLEM, trial(number))
    rng = np.random.default_rng(0)
    assert strategy.ask(state, PROBLEM, rng).why["by"] == "random"
    state = strategy.tell(state, PROBLEM, trial(2))
    assert strategy.ask(state, PROBLEM, rng).why["by"] == "random", "no individual can be a parent yet"
    state = strategy.tell(state, PROBLEM, trial(0, score=0.5))
    assert strategy.ask(state, PROBLEM, rng).parent == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_has_no_finite_score_never_joins(bad):
    strategy = Evolution(population=3, sample=2)
    state = strategy.tell(EvolutionState(), PROBLEM, trial(0))
    assert strategy.tell(state, PROBLEM, trial(0, score=bad)).members == ()
    assert strategy.tell(state, PROBLEM, trial(0, status="failed")).members == ()
    empty = msgspec.structs.replace(trial(0, status="finished"), measurements=(Measurement({}),))
    assert strategy.tell(state, PROBLEM, empty).members == ()


def test_a_known_individual_is_corrected_in_place_and_a_dead_one_stays_dead():
    strategy, state = Evolution(population=2, sample=2), EvolutionState()
    for number in range(3):
        state = strategy.tell(state, PROBLEM, trial(number))
        state = strategy.tell(state, PROBLEM, trial(number, score=0.5))
    corrected = strategy.tell(state, PROBLEM, trial(1, score=0.8))
    assert [(member.trial, member.score) for member in corrected.members] == [(1, 0.8), (2, 0.5)]
    assert strategy.tell(state, PROBLEM, trial(0, score=0.9)) == state


def test_a_child_differs_from_population_and_pending_where_it_can():
    space = ToySpace((2, 2, 2))
    problem = toy_problem(space)
    parent = space.architecture(0, 0, 0)
    pending = tuple((number, child) for number, child in enumerate(list(space.neighbours(parent))[:2], 1))
    state = EvolutionState((Member(0, parent, 1.0),), pending, 2)
    asked = [Evolution(1, 1).ask(state, problem, np.random.default_rng(seed)).architecture for seed in range(50)]
    assert sum(child == space.architecture(0, 0, 1) for child in asked) >= 45


def test_the_reason_names_edit_and_parent_score():
    state = population(0.1, 0.5)
    proposal = Evolution(2, 2, replacement=False).ask(state, PROBLEM, np.random.default_rng(0))
    old, new = state.members[1].architecture, proposal.architecture
    ((address, labels),) = proposal.why["edit"].items()
    assert labels == [dict(PROBLEM.space.describe(old))[address], dict(PROBLEM.space.describe(new))[address]]
    assert labels[0] != labels[1]
    assert (proposal.parent, proposal.why["by"], proposal.why["parent_score"]) == (1, "mutation", 0.5)


def test_without_a_feasible_mutation_it_draws_and_says_so():
    space = ToySpace((2, 2))
    problem = toy_problem(space, constraints=(Constraint("params", "<=", 2000),))
    state = EvolutionState((Member(0, space.architecture(0, 0), 0.5),), heard=0)
    proposal = Evolution(1, 1).ask(state, problem, np.random.default_rng(0))
    assert proposal.architecture == space.architecture(0, 0)
    assert "no mutation of trial 0" in proposal.why["reason"]


@pytest.mark.parametrize("options", [{"population": 0}, {"sample": 0}, {"population": True}, {"sample": 2.5}])
def test_bad_options_are_refused(options):
    with pytest.raises(StrategyError, match="expected an integer of at least 1"):
        Evolution(**options)
    with pytest.raises(StrategyError, match="no larger than the population"):
        Evolution(population=2, sample=3, replacement=False)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["run", "score", "fail", "nan"])), max_size=60))
def test_any_order_of_news_keeps_the_population_sound(news):
    strategy, state = Evolution(population=4, sample=2), EvolutionState()
    for number, what in news:
        heard = {"score": trial(number, score=number / 31), "fail": trial(number, status="failed")}
        heard |= {"nan": trial(number, score=math.nan), "run": trial(number)}
        state = strategy.tell(state, PROBLEM, heard[what])
    numbers = [member.trial for member in state.members]
    assert len(numbers) == len(set(numbers)) <= 4
    assert not set(numbers) & {number for number, _ in state.pending}
    assert all(math.isfinite(member.score) for member in state.members)
    assert strategy.ask(state, PROBLEM, np.random.default_rng(0)).why["by"] in ("random", "mutation")


def test_it_beats_random_search():
    space = ToySpace((5,) * 10)

    def best(strategy, seed):
        problem = toy_problem(space, seed=seed)
        trials = simulate(strategy, problem, ToyEvaluator(noise=0.01), 120, workers=2).trials
        return max(space.value(item.proposal.architecture) for item in trials)

    pairs = [(best(Evolution(), seed), best(Random(), seed)) for seed in range(30)]
    assert all(evolved > drawn for evolved, drawn in pairs)
    assert np.mean([evolved - drawn for evolved, drawn in pairs]) > 0.1
