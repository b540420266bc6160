from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from archwright.errors import EvaluationError
from archwright.executors import evaluate, refuse_in_worker
from archwright.executors.base import reason
from archwright.problem import Architecture, Measurement, Problem, Proposal

PROPOSAL = Proposal(Architecture((("a", 0),)))


def values(result: Any, problem: Problem) -> list[dict[str, float]]:
    return [measurement.values for measurement in evaluate(lambda *_: result, PROPOSAL, problem, 0)]


@pytest.mark.parametrize(
    "result",
    [
        0.5,
        np.float32(0.5),
        np.array(0.5),
        {"accuracy": 0.5},
        {"accuracy": np.float64(0.5)},
        Measurement({"accuracy": 0.5}),
        Measurement({"accuracy": np.float32(0.5)}),  # type: ignore[dict-item]
        iter([0.5]),
        iter([Measurement({"accuracy": 0.5})]),
    ],
)
def test_every_accepted_form_gives_plain_floats(result: Any, problem: Problem) -> None:
    (got,) = values(result, problem)
    assert got == {"accuracy": 0.5}
    assert type(got["accuracy"]) is float


def test_a_generator_yields_all_its_values(problem: Problem) -> None:
    assert values(iter([0.1, {"accuracy": 0.2, "loss": 1}]), problem) == [
        {"accuracy": 0.1},
        {"accuracy": 0.2, "loss": 1.0},
    ]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "without a return"),
        ("0.5", "type str for 'accuracy'"),
        (True, "type bool"),
        ([0.5], "type list"),
        (np.zeros(2), "type ndarray"),
        ({1: 0.5}, "for 1"),
        ({"accuracy": "high"}, "'high'"),
        ({"loss": 0.5}, "expected also accuracy"),
        (iter([{"accuracy": 0.5}, {"loss": 0.5}]), "expected also accuracy"),
        (iter([]), "without a measurement"),
        (Measurement({"accuracy": 0.5}, notes={"x": object()}), "JSON values in notes"),
        (Measurement({"accuracy": None}), "NoneType"),  # type: ignore[dict-item]
    ],
)
def test_other_forms_are_refused_with_what_was_got(result: Any, message: str, problem: Problem) -> None:
    with pytest.raises(EvaluationError, match=message):
        values(result, problem)


def test_the_reason_names_type_message_and_place_of_the_users_code(problem: Problem) -> None:
    def broken(*_: Any) -> float:
        return 1 / 0

    with pytest.raises(ZeroDivisionError) as caught:
        list(evaluate(broken, PROPOSAL, problem, 0))
    line = broken.__code__.co_firstlineno + 1
    assert reason(caught.value) == f"ZeroDivisionError: division by zero (test_base.py:{line} in broken)"
    assert reason(EvaluationError("The loss is not finite.")) == "The loss is not finite."
    assert reason(MemoryError()) == "MemoryError"


def test_outside_of_a_worker_a_search_may_start() -> None:
    refuse_in_worker()


def test_executors_do_not_load_torch() -> None:
    code = "import archwright.executors, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
