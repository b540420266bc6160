from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import EvaluationError, LedgerError
from archwright.executors.base import Executor, Job
from archwright.executors.simulated import Simulated
from archwright.problem import Measurement, Proposal
from archwright.testing.toy import ToySpace, toy_problem

SPACE = ToySpace((100,))
PROBLEM = toy_problem(SPACE)


def job(trial, taken=None, **changes):
    return Job(trial, Proposal(SPACE.architecture(trial if taken is None else taken)), seed=trial, **changes)


def lasting(durations):
    """An evaluator that takes so many seconds for each option."""

    def evaluate(proposal, problem, seed):
        return Measurement({"accuracy": 0.5}, seconds=float(durations[proposal.architecture.choices[0][1]]))

    return evaluate


def heard(executor):
    """``(time, trial, kind)`` of all that is heard until nothing runs."""
    found = []
    while executor.running:
        found += [(executor.now, update.trial, update.kind) for update in executor.poll()]
    return found


def test_it_is_an_executor():
    checked: Executor = Simulated(lasting([1]), PROBLEM)
    assert (checked.free, checked.running) == (1, ())


def test_several_workers_end_by_simulated_time():
    executor = Simulated(lasting([5, 1, 3]), PROBLEM, workers=3)
    for trial in range(3):
        executor.submit(job(trial))
    assert executor.free == 0
    ends = [(now, trial) for now, trial, kind in heard(executor) if kind == "finished"]
    assert ends == [(1.0, 1), (3.0, 2), (5.0, 0)]


def test_what_is_submitted_later_starts_later():
    executor = Simulated(lasting([2, 4, 1]), PROBLEM, workers=2)
    executor.submit(job(0))
    executor.submit(job(1))
    executor.poll()
    executor.submit(job(2))
    assert [(now, trial) for now, trial, kind in heard(executor) if kind == "finished"] == [(3.0, 2), (4.0, 1)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(1, 5))
def test_the_time_is_that_of_workers_who_take_the_next_job_when_free(durations, workers):
    executor = Simulated(lasting(durations), PROBLEM, workers)
    free_at = [0.0] * workers
    waiting, ends = list(range(len(durations))), {}
    while waiting or executor.running:
        while waiting and executor.free:
            executor.submit(job(waiting.pop(0)))
        for update in executor.poll():
            if update.kind == "finished":
                ends[update.trial] = executor.now
    for trial, seconds in enumerate(durations):
        worker = free_at.index(min(free_at))
        free_at[worker] += seconds
        assert ends[trial] == pytest.approx(free_at[worker])
    assert executor.now == pytest.approx(max(free_at))


def test_no_slot_is_an_error():
    executor = Simulated(lasting([1, 1]), PROBLEM)
    executor.submit(job(0))
    with pytest.raises(EvaluationError, match="at most 1 at a time"):
        executor.submit(job(1))


def test_the_clock_stops_at_its_limit_and_what_would_end_later_can_be_stopped():
    executor = Simulated(lasting([3, 10]), PROBLEM, workers=2, limit=5.0)
    executor.submit(job(0))
    executor.submit(job(1))
    while executor.poll():
        pass
    assert (executor.now, executor.running) == (5.0, (1,))
    executor.stop(1, "time is up")
    (update,) = executor.poll()
    assert (update.trial, update.kind, update.reason, update.seconds) == (1, "stopped", "time is up", 5.0)
    assert executor.running == ()


def test_measurements_are_heard_when_they_were_made():
    def curve(proposal, problem, seed):
        for epoch in (1, 2, 3):
            yield Measurement({"accuracy": 0.1 * epoch}, epoch, seconds=2.0 * epoch)

    executor = Simulated(curve, PROBLEM)
    executor.submit(job(0, skip=1))
    assert heard(executor) == [(4.0, 0, "measured"), (6.0, 0, "measured"), (6.0, 0, "finished")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Measurement({"loss": 1.0}, seconds=4.0), "expected also accuracy"),
        ("much", "expected a number"),
        (Measurement({"accuracy": 1.0}, seconds=60.0), "longer than the 10 s"),
    ],
    ids=["metric", "form", "overdue"],
)
def test_a_failure_has_a_reason_and_ends_the_trial(value, reason):
    executor = Simulated(lambda proposal, problem, seed: value, PROBLEM)
    executor.submit(job(0, seconds=10.0))
    *_, last = [update for _ in range(3) for update in executor.poll()]
    assert last.kind == "failed"
    assert reason in last.reason
    assert executor.running == ()


def test_an_exception_of_the_evaluator_is_a_failure_but_a_full_disk_is_none():
    def diverges(proposal, problem, seed):
        yield Measurement({"accuracy": math.nan}, seconds=2.0)
        raise ZeroDivisionError("the loss exploded")

    def full(proposal, problem, seed):
        raise LedgerError("the disk is full")

    executor = Simulated(diverges, PROBLEM)
    executor.submit(job(0))
    updates = executor.poll() + executor.poll()
    assert [update.kind for update in updates] == ["measured", "failed"]
    assert "the loss exploded" in updates[1].reason
    assert executor.now == 2.0
    with pytest.raises(LedgerError, match="full"):
        Simulated(full, PROBLEM).submit(job(0))


def test_leaving_it_ends_everything_without_updates():
    with Simulated(lasting([1]), PROBLEM) as executor:
        executor.submit(job(0))
    assert (executor.running, executor.poll()) == ((), [])
