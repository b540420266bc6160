from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.evaluators import schedule
from archwright.evaluators.schedule import ByClock, BySteps

STEPS = 7


def places(found: BySteps, epoch: int, epochs: int) -> list[float]:
    """Where each step of some epochs stands, and the end of each epoch."""
    seen = []
    while not found.ends(epoch):
        seen += [found.place(epoch, step / STEPS) for step in range(STEPS)]
        epoch += 1
        seen.append(float(found.after(epoch)))
    assert epoch == epochs
    return seen


@given(st.integers(1, 60))
def test_by_steps_every_epoch_has_its_part_of_the_schedule(epochs):
    found = places(BySteps(Fraction(0), Fraction(1), 0, epochs), 0, epochs)
    steps = range(epochs * (STEPS + 1))
    exact = [(number // (STEPS + 1) + min(1, number % (STEPS + 1) / STEPS)) / epochs for number in steps]
    assert found == pytest.approx(exact, abs=1e-12)
    assert found[-1] == 1.0


@given(st.integers(2, 60), st.data())
def test_a_part_and_the_rest_are_the_whole_bit_for_bit(epochs, data):
    part = data.draw(st.integers(1, epochs - 1))
    middle = Fraction(part, epochs)
    whole = places(BySteps(Fraction(0), Fraction(1), 0, epochs), 0, epochs)
    first = places(BySteps(Fraction(0), middle, 0, part), 0, part)
    rest = places(BySteps(middle, Fraction(1), part, epochs), part, epochs)
    assert first + rest == whole


def test_by_steps_is_never_late():
    assert not BySteps(Fraction(0), Fraction(1), 0, 1).late()


@pytest.fixture
def clock(monkeypatch):
    """The time, which a test sets."""
    now = [100.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now[0])
    return now


moments = st.lists(st.floats(0.0, 30.0), min_size=1, max_size=20).map(sorted)


@given(
    st.fractions(0, 1), st.floats(-5.0, 20.0), st.integers(0, 5), st.sampled_from([3.0, 10.0, float("inf")]), moments
)
def test_by_the_clock_it_never_goes_back_and_stays_between_its_begin_and_the_end(begin, lasts, epoch, most, passed):
    with pytest.MonkeyPatch.context() as patched:
        now = [100.0]
        patched.setattr(schedule.time, "monotonic", lambda: now[0])
        found = ByClock(begin, 100.0 + lasts, epoch, most)
        before, trained = float(begin), 0.0
        for moment in passed:
            now[0] = 100.0 + moment
            trained += 0.25
            place = found.place(epoch + int(trained), trained % 1.0)
            assert before <= place <= 1.0
            before = place
        now[0] = 100.0 + max(lasts, passed[-1]) + 1e-6
        assert found.late()
        assert found.place(epoch, 0.0) == 1.0
        assert found.after(epoch + 1) == 1


def test_by_the_clock_half_the_time_is_half_of_what_is_left(clock):
    found = ByClock(Fraction(1, 2), 110.0, 3)
    assert found.place(3, 0.0) == 0.5
    clock[0] = 105.0
    assert found.place(3, 0.0) == pytest.approx(0.75)
    assert not found.late()
    assert not found.ends(4)
    assert found.after(4) == pytest.approx(0.75)
    clock[0] = 110.0
    assert found.late()
    assert found.ends(4)
    assert found.after(4) == 1


def test_by_the_clock_enough_epochs_end_it_with_the_rate_decayed(clock):
    found = ByClock(Fraction(0), 1000.0, 2, 6)
    assert [found.place(epoch, 0.5) for epoch in (2, 3, 4, 5)] == [0.125, 0.375, 0.625, 0.875]
    assert not found.ends(5)
    assert found.ends(6)
    assert found.after(6) == 1
    assert not found.late()


def test_by_the_clock_there_is_an_epoch_however_few_are_left(clock):
    assert not ByClock(Fraction(1), 1000.0, 8, 8).ends(8)
    assert ByClock(Fraction(1), 1000.0, 8, 8).ends(9)


def test_the_time_of_the_clock_is_that_of_the_process():
    assert ByClock(Fraction(0), time.monotonic() - 1.0, 0).late()
    assert not ByClock(Fraction(0), time.monotonic() + 60.0, 0).late()
