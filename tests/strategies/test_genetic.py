from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import StrategyError
from archwright.problem import Constraint, Measurement, Proposal, Trial
from archwright.space import OUTPUTS, Space, chain, choice, integer, op, repeat, shared
from archwright.strategies import Random
from archwright.strategies.generation import Generation, Individual, Variation
from archwright.strategies.genetic import Genetic
from archwright.strategies.operators import cross, flip, linear_rank, points, roulette, swap, tournament
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

LAW = settings(deadline=None, max_examples=50)
SPACE = ToySpace((4,) * 8)
ZEROS, ONES = SPACE.architecture(*[0] * 8), SPACE.architecture(*[1] * 8)
WIDTH = shared("width", choice(2, 4, 8))
LAYER = choice(
    op("dense", width=WIDTH, name="plain"), repeat(op("dense", width=choice(3, 5)), integer(1, 3), name="deep")
)
CONDITIONAL = Space(chain(LAYER, repeat(LAYER, integer(0, 2), name="more"), op("linear", width=OUTPUTS)), "conditional")
TEXTBOOK = Genetic(
    "tournament",
    tournament=3,
    crossover="two-point",
    crossover_rate=0.5,
    mutation="flip",
    mutation_rate=0.05,
    elites=0,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def taken(architecture):
    return np.array([option for _, option in architecture.choices])


def trial(number, architecture=None, score=None, status=None):
    chosen = architecture or SPACE.sample(rng(number))
    measured = () if score is None else (Measurement({"accuracy": score}, 1, 1.0),)
    return Trial(number, Proposal(chosen), status or ("running" if score is None else "finished"), measured)


@LAW
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(-1e3, 1e3))
def test_selection_gives_probabilities(scores, shift):
    for chances in (roulette(scores), linear_rank(scores)):
        assert chances.sum() == pytest.approx(1.0)
        assert (chances >= 0).all()
        order = np.argsort(scores, kind="stable")
        assert (np.diff(chances[order]) >= -1e-12).all(), "a better score has no smaller chance"
    assert linear_rank(np.round(scores)) == pytest.approx(linear_rank(np.round(scores) + round(shift)))


@pytest.mark.parametrize("score", [0.0, 0.93, -1e300])
def test_equal_scores_have_equal_chances(score):
    assert roulette([score] * 5).tolist() == linear_rank([score] * 5).tolist() == [0.2] * 5
    assert roulette([score]).tolist() == [1.0]


def test_roulette_is_in_proportion_to_the_score_above_the_worst():
    assert roulette([0.90, 0.94, 0.91]) == pytest.approx([0.0, 0.8, 0.2])
    assert linear_rank([0.90, 0.94, 0.90, 0.91]) == pytest.approx([0.15, 0.4, 0.15, 0.3])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"selection": "tournament", "tournament": 3}, [(r / 5) ** 3 - ((r - 1) / 5) ** 3 for r in (1, 5, 3, 2, 4)]),
        ({"selection": "tournament", "tournament": 1}, [0.2] * 5),
        ({"selection": "roulette"}, [0.0, 0.4, 0.2, 0.1, 0.3]),
        ({"selection": "rank"}, [1 / 15, 5 / 15, 3 / 15, 2 / 15, 4 / 15]),
    ],
    ids=str,
)
def test_parents_are_selected_with_their_probabilities(options, expected):
    members = [Individual(n, SPACE.sample(rng(n)), (score,)) for n, score in enumerate((0.1, 0.5, 0.3, 0.2, 0.4))]
    state = Generation(tuple(members), heard=4, number=1)
    strategy = Genetic(**options, crossover_rate=0.0, mutation_rate=1.0, population=5, elites=0)
    problem, count = toy_problem(SPACE), 1500
    found = Counter(strategy.ask(state, problem, rng([1, seed])).parent for seed in range(count))
    shares = np.array([found[n] for n in range(5)]) / count
    assert np.abs(shares - expected).max() < 4 * math.sqrt(0.25 / count)


def test_a_tournament_takes_the_first_drawn_of_equals():
    drawn = rng(3).integers(4, size=3)
    assert tournament([0.5] * 4, 3, rng(3)) == drawn[0]


@pytest.mark.parametrize("cuts", [1, 2, 3, 7, 20])
def test_crossover_changes_parents_at_so_many_places(cuts):
    children = np.array([taken(cross(SPACE, ZEROS, ONES, cuts, rng([cuts, seed]))) for seed in range(3000)])
    assert (children[:, 0] == 0).all(), "the child begins as the first parent"
    changes = np.abs(np.diff(children, axis=1))
    assert (changes.sum(axis=1) == min(cuts, 7)).all()
    assert np.abs(changes.mean(axis=0) - min(cuts, 7) / 7).max() < 0.04, "all places alike"


def test_uniform_crossover_takes_each_choice_from_either_parent():
    children = np.array([taken(cross(SPACE, ZEROS, ONES, 0, rng(seed))) for seed in range(4000)])
    assert np.abs(children.mean(axis=0) - 0.5).max() < 0.035
    assert np.abs(np.corrcoef(children.T) - np.eye(8)).max() < 0.06, "independently"


def test_crossover_of_equals_is_the_identity():
    for seed in range(50):
        parent = CONDITIONAL.sample(rng(seed))
        assert all(cross(CONDITIONAL, parent, parent, cuts, rng(seed)) == parent for cuts in (0, 1, 2, 5))


@pytest.mark.parametrize("rate", [0.05, 0.3, 1.0])
def test_flips_are_as_many_as_expected_and_take_each_other_option(rate):
    children = np.array([taken(flip(SPACE, ONES, rate, rng(seed))) for seed in range(3000)])
    flips = (children != 1).sum(axis=1)
    assert flips.mean() == pytest.approx(8 * rate, abs=4 * math.sqrt(8 * 0.25 / 3000))
    assert flips.var() == pytest.approx(8 * rate * (1 - rate), abs=0.15)
    shares = np.bincount(children[children != 1], minlength=4) / (children != 1).sum()
    assert np.abs(shares - [1 / 3, 0, 1 / 3, 1 / 3]).max() < 0.05


def test_swaps_exchange_options_and_are_never_without_effect():
    parent = SPACE.architecture(0, 1, 2, 3, 0, 0, 0, 0)
    children = [taken(swap(SPACE, parent, 0.125, rng(seed))) for seed in range(3000)]
    assert all(sorted(child) == sorted(taken(parent)) for child in children)
    unchanged = np.mean([(child == taken(parent)).all() for child in children])
    assert unchanged == pytest.approx(0.875**8, abs=0.06), "none but where no choice was to be swapped, or swapped back"
    assert swap(SPACE, ONES, 1.0, rng()) == ONES
    mixed = ToySpace((2, 3, 3))
    kinds = {swap(mixed, mixed.architecture(1, 0, 2), 1.0, rng(seed)) for seed in range(20)}
    assert all(child.choices[0][1] == 1 for child in kinds), "only choices that have the same options"


@pytest.mark.parametrize("operator", [flip, swap])
def test_a_rate_of_zero_is_the_identity(operator):
    for seed in range(50):
        parent = CONDITIONAL.sample(rng(seed))
        assert operator(CONDITIONAL, parent, 0.0, rng(seed)) == parent
        problem = toy_problem(CONDITIONAL)
        still = Variation("genetic", "two-point", 0.0, operator.__name__, 0.0)
        assert still.child(problem, parent, CONDITIONAL.sample(rng()), rng(seed)) == (parent, "copy")


@LAW
@given(st.integers(0, 10_000), st.integers(0, 4), st.floats(0, 1))
def test_children_belong_to_the_space_and_inherit(seed, cuts, rate):
    first, second = CONDITIONAL.sample(rng([0, seed])), CONDITIONAL.sample(rng([1, seed]))
    child = cross(CONDITIONAL, first, second, cuts, rng(seed))
    CONDITIONAL.validate(child)
    assert set(child.choices) <= {*first.choices, *second.choices}, "every choice is a parent's"
    for operator in (flip, swap):
        CONDITIONAL.validate(operator(CONDITIONAL, child, rate, rng(seed)))


def test_crossover_and_mutation_have_their_rates():
    problem = toy_problem(SPACE)
    variation = Variation("genetic", "one-point", 0.3, "flip", None)
    made = [variation.child(problem, ZEROS, ONES, rng(seed)) for seed in range(3000)]
    assert np.mean([by == "crossover" for _, by in made]) == pytest.approx(0.3, abs=0.035)
    flips = [(taken(child) != 0).sum() for child, by in made if by != "crossover"]
    assert np.mean(flips) == pytest.approx(1.0, abs=0.08), "one flip each where no rate is given"


def test_generations_follow_each_other_with_their_elites():
    strategy, problem, state = Genetic(population=4, elites=1), toy_problem(SPACE), Generation()
    for number, score in enumerate((0.4, 0.9, 0.1, 0.2)):
        assert state.members == ()
        state = strategy.tell(state, problem, trial(number))
        state = strategy.tell(state, problem, trial(number, score=score))
    assert [known.trial for known in state.members] == [0, 1, 2, 3]
    for number, score in ((4, 0.3), (5, None), (6, math.nan), (7, 0.5), (8, 0.6)):
        state = strategy.tell(state, problem, trial(number))
        state = strategy.tell(state, problem, trial(number, score=score, status="finished" if score else "failed"))
    assert [known.trial for known in state.members] == [1, 4, 7, 8]
    assert (state.number, state.children, state.pending) == (2, (), ())
    corrected = strategy.tell(state, problem, trial(4, score=0.8))
    assert [known.scores for known in corrected.members] == [(0.9,), (0.8,), (0.5,), (0.6,)]
    assert strategy.tell(state, problem, trial(0, score=0.8)) == state


def test_children_that_end_late_belong_to_the_next_generation():
    strategy, problem, state = Genetic(population=2, elites=0), toy_problem(SPACE), Generation()
    for number in range(3):
        state = strategy.tell(state, problem, trial(number))
    for number in (2, 0, 1):
        state = strategy.tell(state, problem, trial(number, score=0.5))
    assert [known.trial for known in state.members] == [2, 0]
    assert [known.trial for known in state.children] == [1]


def test_what_is_alive_or_running_is_bred_again():
    space = ToySpace((2, 2, 2))
    problem, members = toy_problem(space), (Individual(0, space.architecture(0, 0, 0), (0.5,)),)
    pending = tuple(enumerate((space.architecture(1, 0, 0), space.architecture(0, 1, 0)), 1))
    state = Generation(members, (), pending, 1, 2)
    asked = [Genetic(population=3).ask(state, problem, rng(seed)).architecture for seed in range(60)]
    known = {members[0].architecture, *(architecture for _, architecture in pending)}
    assert sum(child in known for child in asked) <= 2


def test_it_says_why():
    problem = toy_problem(SPACE)
    state = Generation((Individual(0, ZEROS, (0.3,)), Individual(1, ONES, (0.7,))), number=2, heard=1)
    crossed = Genetic(crossover_rate=1.0, mutation_rate=0.0, tournament=1, population=3).ask(state, problem, rng(1))
    assert crossed.why["by"] == "crossover"
    assert sorted(crossed.why["parents"]) == [0, 1]
    assert (crossed.why["generation"], crossed.why["parent_score"]) == (2, [0.3, 0.7][crossed.parent])
    mutated = Genetic(crossover_rate=0.0, mutation_rate=1.0, population=3).ask(state, problem, rng(1))
    assert mutated.why["by"] == "mutation"
    assert len(mutated.why["edit"]) == 8


def test_without_a_feasible_child_it_draws_and_says_so():
    space = ToySpace((2, 2))
    problem = toy_problem(space, constraints=(Constraint("params", "<=", 2000),))
    state = Generation((Individual(0, space.architecture(0, 0), (0.5,)),), number=1, heard=0)
    proposal = Genetic(mutation_rate=1.0).ask(state, problem, rng())
    assert proposal.architecture == space.architecture(0, 0)
    assert "satisfied the constraints" in proposal.why["reason"]


@pytest.mark.parametrize(
    "strategy",
    [
        TEXTBOOK,
        Genetic("roulette", crossover="uniform", mutation="swap", population=6, elites=0),
        Genetic("rank", crossover="5-point", population=5, elites=4),
    ],
    ids=str,
)
def test_it_keeps_the_contract(strategy):
    constraints = (Constraint.parse("params<=18k"),)
    check_strategy(strategy, toy_problem(ToySpace(twins=True), constraints=constraints, workers=2), trials=35)
    check_strategy(strategy, toy_problem(ToySpace((2, 1))), trials=25)
    plain = toy_problem(dataclasses.replace(ToySpace(), name="plain"))
    check_strategy(
        strategy, plain, lambda proposal, problem, seed: problem.space.value(proposal.architecture), trials=30
    )


@pytest.mark.parametrize("strategy", [Genetic(), TEXTBOOK], ids=["default", "textbook"])
def test_it_beats_random_search(strategy):
    space = ToySpace((5,) * 10)

    def best(strategy, seed):
        trials = simulate(strategy, toy_problem(space, seed=seed), ToyEvaluator(noise=0.01), 150, workers=2).trials
        return max(space.value(item.proposal.architecture) for item in trials)

    gains = [best(strategy, seed) - best(Random(), seed) for seed in range(7)]
    assert np.mean(gains) > 0.05
    assert np.mean(gains) > 3 * np.std(gains) / math.sqrt(len(gains))


def test_errors_say_what_is_expected():
    with pytest.raises(StrategyError, match=r"selection='luck'.*tournament, roulette, rank"):
        Genetic("luck")
    with pytest.raises(StrategyError, match=r"mutation='none'.*flip, swap"):
        Genetic(mutation="none")
    with pytest.raises(StrategyError, match=r"crossover='0-point'.*'5-point'"):
        Genetic(crossover="0-point")
    with pytest.raises(StrategyError, match=r"mutation_rate=1.5.*from 0 to 1"):
        Genetic(mutation_rate=1.5)
    with pytest.raises(StrategyError, match=r"elites=5 and population=5.*fewer elites"):
        Genetic(population=5, elites=5)
    assert [points(name) for name in ("uniform", "one-point", "two-point", "12-point")] == [0, 1, 2, 12]


class Other:
    """A space that lists no choices."""

    name, size = "other", 3


def test_it_needs_choices():
    with pytest.raises(StrategyError, match=r"'genetic' works on the choices of a space, which 'other' does not list"):
        Genetic().init(toy_problem(Other()))
