from __future__ import annotations

from typing import Any

import msgspec
import pytest

from archwright.errors import ExportError
from archwright.export.card import Facts, make_card, read_facts, render
from archwright.problem import Architecture
from archwright.problem.final import Comparison, Ensemble, FinalRecord, Interval

FINAL = FinalRecord(
    trial=3,
    architecture=Architecture(()),
    metric="accuracy",
    test={"accuracy": Interval(0.9812, 0.9656, 0.9899), "log_loss": Interval(0.06, 0.04, 0.09)},
    comparison=Comparison("accuracy", 0.006, -0.002, 0.014, "tie"),
    epochs=27,
    numerics="bf16",
    recipe={"learning_rate": 0.1},
    warnings=("3 rows occur | twice.",),
)


def full(trained: Any, facts: Facts) -> str:
    card = make_card(trained.graph, trained.task, facts)
    return render({**card, "files": {"model.py": "the network"}, "notes": [], "checks": None})


def test_the_card_shows_intervals_comparison_and_recipe(trained: Any) -> None:
    text = full(trained, Facts(run="evening", final=FINAL, why="Trial 3 reached 98%"))
    for part in (
        "| accuracy | 98.12% | 96.56% to 98.99% |", r"| log\_loss | 0.06 | 0.04 to 0.09 |", "search and random tie: +0.6 points",
        r"| learning\_rate | 0.1 |", "Wilson for accuracy", r"3 rows occur \| twice.", "Trial 3 reached 98%",
        "The files were not checked.",
    ):  # fmt: skip
        assert part in text, part


def test_the_card_says_what_an_ensemble_is_made_of(trained: Any) -> None:
    against = Comparison("accuracy", 0.01, 0.002, 0.018, "better")
    made = Ensemble(trials=(3, 9), weights=(0.6, 0.4), comparison=against)
    text = full(trained, Facts(final=msgspec.structs.replace(FINAL, ensemble=made, epochs=0)))
    for part in (
        "An ensemble of trials 3 (60%) and 9 (40%)",
        "the mean of their probabilities",
        "Against the best single network: the ensemble beat trial 3 alone by +1.0 points",
    ):
        assert part in text, part
    assert "epochs of the final training" not in text


def test_markup_in_names_stays_text(trained: Any) -> None:
    hostile = "<b>|`x`|\n# heading"
    text = full(trained, Facts(run=hostile, choices={hostile: hostile}, command="a ``` b", why="```"))
    assert "<b>" not in text.replace("\\<b\\>", "")
    assert "\n# heading" not in text
    assert text.count("```") % 2 == 0


def test_facts_come_as_a_mapping_too() -> None:
    found = read_facts({"run": "evening", "final": msgspec.to_builtins(FINAL), "trial": 3})
    assert found == Facts(run="evening", final=FINAL, trial=3)
    with pytest.raises(ExportError, match="Expected keys"):
        read_facts({"run": 3})
