from __future__ import annotations

import msgspec
import pytest

from archwright.problem import Architecture, Cost
from archwright.problem.final import Comparison, FinalRecord, Interval, show


def test_a_final_record_survives_json() -> None:
    record = FinalRecord(
        trial=17,
        architecture=Architecture((("stage0.width", 2),)),
        metric="accuracy",
        test={"accuracy": Interval(0.98, 0.96, 0.99)},
        cost=Cost(100, 200, 300),
        comparison=Comparison("accuracy", 0.01, -0.01, 0.02, "tie"),
        recipe={"learning_rate": 0.1, "augment": ["crop"]},
        warnings=("3 rows occur twice.",),
    )
    assert msgspec.json.decode(msgspec.json.encode(record), type=FinalRecord) == record


@pytest.mark.parametrize(
    ("comparison", "text"),
    [
        (
            Comparison("rmse", 1.25, 0.5, 2.0, "better"),
            "search beat random by +1.250 rmse [+0.500, +2.000] on the same test rows",
        ),
        (
            Comparison("mae", 125.0, 50.0, 200.0, "better"),
            "search beat random by +125.0 mae [+50.0, +200.0] on the same test rows",
        ),
        (
            Comparison("accuracy", -0.02, -0.03, -0.01, "worse"),
            "search did worse than random: -2.0 points [-3.0, -1.0] on the same test rows",
        ),
        (
            Comparison("accuracy", -0.0001, -0.0002, 0.0001, "tie"),
            "search and random tie: +0.0 points [+0.0, +0.0] on the same test rows",
        ),
    ],
)
def test_a_comparison_is_one_sentence(comparison: Comparison, text: str) -> None:
    assert comparison.text() == text


def test_numbers_are_shown_for_people() -> None:
    assert [show("accuracy", 1.0), show("params", 12.0), show("r2", -1.04567)] == ["100.00%", "12", "-1.046"]
