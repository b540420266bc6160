from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.problem import Budget, Fidelity, Measurement, Proposal, Trial
from archwright.strategies.plan import Amount, Speed, Timing, cost, limits, make_plan, typical
from archwright.strategies.rungs import ladder
from archwright.testing.toy import toy_problem

LEVELS = ladder(Fidelity(27), 3, 4)
NONE = math.inf


def amounts(seconds=NONE, trials=NONE, epochs=NONE):
    return Amount(seconds, trials, epochs)


def test_the_ladder():
    assert [fidelity.epochs for fidelity in LEVELS] == [1, 3, 9, 27]
    assert ladder(Fidelity(2, 0.5), 3, 4) == (Fidelity(1, 0.5), Fidelity(2, 0.5))
    assert ladder(Fidelity(1), 3, 4) == (Fidelity(1),)


def test_a_limit_in_trials_alone_makes_all_of_them_full():
    for count in (1, 10, 1000):
        plan = make_plan(LEVELS, 3, amounts(trials=count), Speed())
        assert (plan.entry, plan.top, plan.candidates) == (3, 3, count)


def test_more_budget_never_needs_more_rungs_once_enough_can_be_tried():
    plans = [make_plan(LEVELS, 3, amounts(epochs=27 * full), Speed()) for full in (10, 30, 100, 300, 3000)]
    assert [plan.top for plan in plans] == [3] * 5
    assert [plan.entry for plan in plans] == [0, 0, 1, 2, 2]


def test_a_small_budget_lowers_the_top():
    plan = make_plan(LEVELS, 3, amounts(epochs=1.5 * 27), Speed())
    assert plan.top == 2
    assert plan.candidates >= 12
    assert plan.finalists >= 1


def test_a_budget_that_a_resumed_run_has_overspent_is_none():
    problem = toy_problem(budget=Budget(seconds=20.0), settings={"search_seconds": -15.0})
    assert limits(problem).seconds == 0.0
    assert make_plan(LEVELS, 3, limits(problem), Speed(1.0, 1.0)).candidates == 0.0


def test_the_cost_of_starting_makes_short_trials_less_attractive():
    cheap = make_plan(LEVELS, 3, amounts(seconds=3000.0), Speed(0.0, 1.0))
    dear = make_plan(LEVELS, 3, amounts(seconds=3000.0), Speed(10.0, 1.0))
    assert dear.candidates < cheap.candidates
    assert dear.finalists < cheap.finalists


def test_the_candidates_use_up_the_budget_exactly():
    speed = Speed(0.5, 0.2)
    plan = make_plan(LEVELS, 3, amounts(seconds=500.0), speed)
    spent, before = Amount(), 0.0
    for index, fidelity in enumerate(LEVELS[plan.entry : plan.top + 1]):
        spent = spent.plus(cost(fidelity.cost - before, speed), times=plan.candidates / 3**index)
        before = fidelity.cost
    assert spent.seconds == pytest.approx(500.0)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 200),
    st.floats(0, 1e6),
    st.one_of(st.just(NONE), st.integers(1, 10**6)),
    st.one_of(st.just(NONE), st.floats(0.5, 1e6)),
    st.floats(0, 100),
    st.floats(0, 100),
)
def test_any_budget_has_a_sound_plan(epochs, seconds, trials, all_epochs, start, epoch):
    levels = ladder(Fidelity(epochs), 3, 4)
    plan = make_plan(levels, 3, amounts(seconds, trials, all_epochs), Speed(start, epoch))
    assert 0 <= plan.entry <= plan.top < len(levels)
    assert 2 <= plan.sample <= plan.population <= 50
    assert 0 <= plan.finalists <= plan.candidates <= 1e6


def test_limits_leave_out_the_end_and_the_baseline():
    problem = toy_problem(
        budget=Budget(100.0, 50, 200.0), workers=2, settings={"search_seconds": 80.0, "baseline": 0.25}
    )
    assert limits(problem) == Amount(120.0, 37.5, 150.0)
    assert limits(toy_problem(budget=Budget(seconds=100.0))) == Amount(100.0, NONE, NONE)


def timing(seconds, epochs, *measured):
    """The timing of a trial that measured after each epoch at these seconds."""
    architecture = toy_problem().space.architecture(0, 0, 0, 0, 0, 0)
    measurements = tuple(Measurement({}, epoch, at) for epoch, at in enumerate(measured, 1))
    return Timing.of(Trial(0, Proposal(architecture), "finished", measurements, seconds=seconds), Fidelity(epochs))


def test_speed_tells_the_start_from_the_epochs():
    speed = typical([timing(10.0, 3, 5.0, 7.0, 9.0)])
    assert speed == Speed(4.0, 2.0)
    assert typical([timing(10.0, 3, 5.0, 7.0, 9.0), timing(7.0, 2, 4.0, 6.0), timing(30.0, 2, 26.0, 28.0)]) == Speed(
        4.0, 2.0
    )
    assert typical([timing(6.0, 3, 6.0)]) == Speed(0.0, 2.0)
    assert typical([timing(10.0, 3, 5.0, 7.0, 9.0), timing(3.0, 1, 3.0)]) == Speed(1.0, 2.0)
    half = Timing.of(
        Trial(
            0,
            Proposal(toy_problem().space.architecture()),
            "finished",
            (Measurement({}, 1, 1.0), Measurement({}, 2, 2.0)),
        ),
        Fidelity(2, 0.5),
    )
    assert half == Timing(2.0, 1.0, 2.0)


def test_one_epoch_is_enough_where_the_seconds_of_training_are_told():
    told = Trial(
        0,
        Proposal(toy_problem().space.architecture()),
        "finished",
        (Measurement({}, 1, 5.0, notes={"training": 2.0}),),
        seconds=5.0,
    )
    assert typical([Timing.of(told, Fidelity(1, 0.5))]) == Speed(3.0, 4.0)
