"""The contract of an evaluator: deterministic, telling, contained; and a candidate that cannot be evaluated fails with a reason."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence

import numpy as np

from archwright.errors import EvaluationError
from archwright.executors.base import evaluate
from archwright.problem import Evaluator, Measurement, Problem, Proposal, trial_seed

TIMED = frozenset({"seconds", "latency_ms", "energy_mj"})
"""Metrics that are measured by a clock and may differ between two runs."""


def check_evaluator(
    evaluator: Evaluator,
    problem: Problem,
    *,
    proposals: Sequence[Proposal] = (),
    impossible: Sequence[tuple[Proposal, Problem]] = (),
) -> None:
    """Checks an evaluator against the contract of :class:`archwright.problem.Evaluator`.

    Args:
        evaluator: What is checked.
        problem: Problem to evaluate for.
        proposals: What to evaluate; by default two samples of the space at full fidelity.
        impossible: Proposals that cannot be evaluated (a network that diverges, or needs more memory than there is), each with its problem.

    Raises:
        AssertionError: Where the contract is broken, saying how.
    """
    rng = np.random.default_rng(problem.seed)
    again = pickle.loads(pickle.dumps(evaluator))
    for number, proposal in enumerate(proposals or [Proposal(problem.space.sample(rng)) for _ in range(2)]):
        before = _global_randomness()
        first = list(evaluate(evaluator, proposal, problem, trial_seed(problem, number)))
        assert _global_randomness() == before, "the evaluator changed the state of a global random generator"
        _check_stream(first, problem)
        second = list(evaluate(again, proposal, problem, trial_seed(problem, number)))
        assert _comparable(first) == _comparable(second), (
            f"two evaluations of {proposal.architecture} with the same seed differ"
        )
        stopped = iter(evaluate(evaluator, proposal, problem, trial_seed(problem, number)))
        assert _comparable([next(stopped)]) == _comparable(first[:1]), (
            "an evaluation that is stopped early begins differently"
        )
        stopped.close()  # type: ignore[attr-defined]
    for proposal, hard in impossible:
        reason = _failure(evaluator, proposal, hard)
        assert reason is not None, f"the evaluation of {proposal} cannot succeed, but did"
        assert reason.strip(), "an evaluation failed without a reason"


def _failure(evaluator: Evaluator, proposal: Proposal, problem: Problem) -> str | None:
    try:
        for _ in evaluate(evaluator, proposal, problem, 0):
            pass
    except EvaluationError as error:
        return str(error)
    return None


def _check_stream(measurements: list[Measurement], problem: Problem) -> None:
    assert measurements, "the evaluator gave no measurement"
    epochs = [measurement.epoch for measurement in measurements]
    assert epochs == sorted(epochs), f"the epochs go back: {epochs}"
    for measurement in measurements:
        wrong = {name: value for name, value in measurement.values.items() if not math.isfinite(value)}
        assert not wrong, f"the evaluator reported values that are not finite: {wrong}"
    missing = [objective.metric for objective in problem.objectives if objective.metric not in measurements[-1].values]
    assert not missing, f"the final measurement lacks {missing}"


def _comparable(measurements: list[Measurement]) -> list[object]:
    return [
        (m.epoch, {name: value for name, value in m.values.items() if name not in TIMED}, m.artifacts)
        for m in measurements
    ]


def _global_randomness() -> tuple[object, ...]:
    import sys

    state = np.random.get_state(legacy=True)  # noqa: NPY002
    torch = sys.modules.get("torch")
    return (state[1].tobytes(), state[2], torch.random.get_rng_state().numpy().tobytes() if torch is not None else None)  # type: ignore[index]
