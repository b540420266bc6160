from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.engine.clock import RESERVE_SHARE, Clock, Ending, Pace
from archwright.problem import Architecture, Fidelity, Measurement, Proposal, Trial

positive = st.floats(1e-3, 1e4)
paces = st.builds(Pace, st.floats(1e-4, 1e3), st.floats(1e-7, 1e-2))
endings = st.builds(
    Ending,
    st.just(2),
    st.builds(Fidelity, st.integers(1, 60)),
    st.integers(1, 60),
    st.integers(1, 8),
    st.floats(1.0, 2.0),
    st.integers(0, 1500),
    st.integers(0, 10_000),
)


def test_a_clock_counts_what_earlier_sessions_spent():
    assert Clock(8.0, 10.0).left == pytest.approx(2.0, abs=0.05)
    assert Clock(12.0, 10.0).left == 0.0
    assert Clock(12.0, None).left == math.inf


def trial(*notes: dict[str, float], seconds: float = 10.0) -> Trial:
    measured = tuple(Measurement({"accuracy": 0.5}, epoch + 1, notes=note) for epoch, note in enumerate(notes))
    return Trial(0, Proposal(Architecture(())), "finished", measured, seconds=seconds)


def test_validation_does_not_count_as_training():
    cold, warm = {"training": 9.0, "predicting": 1.0}, {"training": 0.5, "predicting": 2e-4}
    assert Pace.of(trial(cold, warm, warm), share=0.1, epochs=0.3) == Pace(5.0, 2e-4)
    assert Pace.of(trial(cold), share=1.0, epochs=1.0) == Pace(9.0, 1.0)


def test_all_the_time_of_a_users_own_function_counts():
    assert Pace.of(trial({}, {}), share=0.5, epochs=2.0) == Pace(5.0)


@given(endings, paces, st.floats(1.0, 1e5), st.integers(1, 8), st.floats(0.0, 60.0))
def test_the_reserve_holds_the_test_and_no_more_than_its_share(ending, pace, limit, workers, least):
    reserve, margin = ending.reserve(limit, pace, workers, least), ending.margin(limit, pace.tested(workers))
    assert margin <= reserve <= max(margin, RESERVE_SHARE * limit) * (1 + 1e-9)


@given(endings, paces, positive, st.floats(0.0, 10.0))
def test_a_finalist_is_given_what_there_is_time_for(ending, pace, seconds, least):
    found, epochs = ending.affordable(seconds, pace, least), seconds / ending.epoch(pace)
    if epochs <= least:
        assert found is None
    else:
        assert found == Fidelity(min(ending.fidelity.epochs, math.ceil(epochs)))


@given(endings, paces, st.floats(1.0, 1e5), st.integers(1, 8))
def test_what_a_finalist_will_have_fits_into_the_reserve(ending, pace, limit, workers):
    found = ending.training(limit, pace, workers)
    assert found["epochs"] == ending.steep
    rounds = -(-ending.finalists // workers)
    taken = rounds * found["seconds"] / pace.epoch * ending.epoch(pace) + ending.margin(limit, pace.tested(workers))
    assert (
        taken
        <= max(RESERVE_SHARE * limit, ending.margin(limit, pace.tested(workers))) * 1.001
        + 0.001 * rounds * ending.epoch(pace) / pace.epoch
    )
