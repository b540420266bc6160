"""Searches on a text, from end to end."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import archwright as aw
from archwright.space import get_space

NOTES = ("do ", "re ", "mi ", "fa ", "sol\n")


@pytest.fixture
def verses(tmp_path: Path) -> Path:
    """A text of random notes: 10,000 symbols, 11 of them distinct."""
    path = tmp_path / "verses.txt"
    path.write_text("".join(np.random.default_rng(0).choice(NOTES, 4000))[:10_000])
    return path


def small() -> aw.Space:
    return get_space("rnn-cell", nodes=2, width=16, embedding=8)


@pytest.mark.slow
@pytest.mark.sample
def test_a_search_on_a_text_learns_it_and_minimises_perplexity(verses: Path, tmp_path: Path) -> None:
    result = aw.search(
        verses,
        space=small(),
        strategy="evolution",
        budget="3 trials, 24 epochs",
        store=tmp_path / "runs",
        progress="none",
    )
    assert result.final is not None
    found = result.final.test["perplexity"]
    assert 1.0 < found.low < found.value < found.high < 9.0, "of 12 classes"
    assert found.value == pytest.approx(math.exp(result.final.test["log_loss"].value))
    searched = [trial for trial in result.trials if trial.proposal.why.get("by") != "final"]
    measured = [value for trial in searched if (value := trial.value("perplexity")) is not None]
    assert result.best.metrics["perplexity"] == min(measured)
    assert result.final.recipe["label_smoothing"] == 0.0, "a smoothed loss is no likelihood"
    assert "RecurrentCell(" in result.best.source
    assert "<svg" in Path(result.report(tmp_path / "report.html")).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        *(
            {"strategy": name}
            for name in ("darts", "darts-pt", "pc-darts", "drnas", "gdas", "snas", "proxyless", "enas")
        ),
        *({"evaluator": f"supernet:{name}"} for name in ("uniform", "fair", "dropout", "sandwich", "smash")),
        {"evaluator": "inherit"},
        {"evaluator": "zero-cost:snip"},
        {"strategy": "hyperband"},
        {"strategy": "bayes"},
    ],
    ids=str,
)
def test_every_way_of_searching_works_on_a_text(verses: Path, tmp_path: Path, settings: dict[str, str]) -> None:
    given = {"strategy": "evolution"} | settings
    result = aw.search(
        verses, space=small(), budget="15s", workers=1, store=tmp_path / "runs", progress="none", **given
    )
    assert result.final is not None
    assert result.final.test["perplexity"].value < 14.0


def test_the_default_space_of_a_text(verses: Path) -> None:
    assert aw.load_task(verses).default_space == "rnn-cell"
