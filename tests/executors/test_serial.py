from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from archwright.errors import EvaluationError
from archwright.executors import Serial
from archwright.problem import Measurement, Problem, Proposal


def test_each_poll_gives_one_measurement_then_the_end(workloads: ModuleType, problem: Problem, job: Any) -> None:
    with Serial(workloads.stream, problem) as executor:
        assert (executor.free, executor.running, executor.poll()) == (1, (), [])
        executor.submit(job(7))
        assert (executor.free, executor.running) == (0, (7,))
        news = [executor.poll()[0] for _ in range(4)]
        assert [update.kind for update in news] == ["measured"] * 3 + ["finished"]
        assert [update.measurement.epoch for update in news if update.measurement] == [1, 2, 3]
        assert (executor.free, executor.running) == (1, ())


def test_known_measurements_are_not_reported_again(workloads: ModuleType, problem: Problem, job: Any) -> None:
    with Serial(workloads.stream, problem) as executor:
        executor.submit(job(0, skip=2))
        assert [(u.kind, u.measurement and u.measurement.epoch) for u in executor.poll() + executor.poll()] == [
            ("measured", 3),
            ("finished", None),
        ]


def test_an_error_fails_the_trial_and_the_next_one_runs(workloads: ModuleType, problem: Problem, run: Any) -> None:
    with Serial(workloads.boom, problem) as executor:
        news = run(executor, 2)
    for trial in (0, 1):
        (update,) = news[trial]
        assert update.kind == "failed"
        assert f"ValueError: option {trial} (executor_workloads.py:" in update.reason
    with Serial(workloads.refused, problem) as executor:
        assert run(executor, 1)[0][0].reason == "The loss is not finite at step 3."


def test_a_wrong_return_value_fails_the_trial(problem: Problem, run: Any) -> None:
    with Serial(lambda *_: None, problem) as executor:  # type: ignore[arg-type,return-value]
        assert "without a return" in run(executor, 1)[0][0].reason
    with Serial(lambda *_: {"loss": 1.0}, problem) as executor:
        assert [update.kind for update in run(executor, 1)[0]] == ["measured", "failed"]


def test_a_stop_closes_the_generator(problem: Problem, job: Any) -> None:
    closed = []

    def evaluator(proposal: Proposal, problem: Any, seed: int) -> Iterator[float]:
        try:
            while True:
                yield 0.5
        finally:
            closed.append(proposal)

    with Serial(evaluator, problem) as executor:
        executor.submit(job(3))
        executor.poll()
        executor.stop(4, "not running")
        executor.stop(3, "hopeless")
        (update,) = executor.poll()
        assert (update.kind, update.reason, update.trial) == ("stopped", "hopeless", 3)
        assert len(closed) == 1
        assert executor.free == 1
        executor.submit(job(4))
        assert executor.poll()[0].kind == "measured"
    assert len(closed) == 2


def test_a_deadline_takes_effect_at_the_next_measurement(workloads: ModuleType, problem: Problem, run: Any) -> None:
    with Serial(workloads.slow, problem) as executor:
        news = run(executor, 1, seconds=0.12)[0]
    assert [update.kind for update in news[-2:]] == ["measured", "failed"]
    assert "longer than the 0.12 s" in news[-1].reason
    assert 0.12 < news[-1].seconds < 5


def test_one_at_a_time(workloads: ModuleType, problem: Problem, job: Any) -> None:
    with Serial(workloads.stream, problem) as executor:
        executor.submit(job(0))
        with pytest.raises(EvaluationError, match="trial 1 while trial 0"):
            executor.submit(job(1))


def test_ctrl_c_passes_through(problem: Problem, job: Any) -> None:
    def evaluator(*_: Any) -> float:
        raise KeyboardInterrupt

    with Serial(evaluator, problem) as executor:
        executor.submit(job(0))
        with pytest.raises(KeyboardInterrupt):
            executor.poll()


@pytest.mark.parametrize("generator", [True, False])
def test_no_frame_lies_between_poll_and_the_users_function(generator: bool, problem: Problem, job: Any) -> None:
    stacks = []

    def plain(*_: Any) -> float:
        stacks.append([frame.name for frame in traceback.extract_stack()])
        return 0.5

    def stream(*_: Any) -> Iterator[Measurement]:
        stacks.append([frame.name for frame in traceback.extract_stack()])
        yield Measurement({"accuracy": 0.5})

    with Serial(stream if generator else plain, problem) as executor:
        executor.submit(job(0))
        executor.poll()
    assert stacks[0][-2] == "poll"
