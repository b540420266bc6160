from __future__ import annotations

import re
import xml.dom.minidom
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from archwright.errors import ArchwrightError
from archwright.explain import ranking
from archwright.export import Checks
from archwright.problem import Budget, Objective, Problem, Trial
from archwright.problem.final import FinalRecord
from archwright.report import report

Run = Callable[..., tuple[Trial, ...]]
Final = Callable[..., FinalRecord]

HOSTILE = "<script>alert('x')</script>\"&<img src=http://evil.example/x>"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Balance(HTMLParser):
    """Collects tags that are not closed, and every address the page could ask a browser to load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def read(path: Path) -> tuple[str, Balance]:
    text = path.read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert [address for address in parser.addresses if not address.startswith(("#", "data:"))] == []
    assert "script" not in parser.tags
    outside = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert not re.search(r"url\(\s*['\"]?(?!#)|@import", outside)
    for drawing in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        xml.dom.minidom.parseString(drawing)
    return outside, parser


def test_a_finished_run_is_told_in_full(problem: Problem, run: Run, final: Final, tmp_path: Path) -> None:
    trials = run(60)
    best = ranking(trials, problem)[0]
    checks = Checks("test", 360, {"original and torch": 1e-7}, 64, 0.0, {"accuracy": 0.9123}, 1e-4, 3.0)
    header = {
        "task": "flowers",
        "facts": {"rows": "100 train, 30 validation, 360 test"},
        "data_hash": "abc123",
        "strategy": "auto",
        "baseline": 0.1,
        "command": "archwright search flowers --budget '2m' --name evening",
        "versions": {"torch": "2.13.0"},
        "unknown": 1,
    }
    path = report(
        tmp_path / "deep" / "r.html",
        header=header, trials=trials, problem=problem, final=final(best), name="evening", ended="all 60 trials are done",
        checks=checks, seconds=100.0,
    )  # fmt: skip
    text, _ = read(path)
    for part in (
        "<h1>evening</h1>", "91.23%", "87.12% to 93.77%", "The search and random tie: +2.1 points [-0.5, +4.0]",
        "all 60 trials are done", f"trial {best.id}", "At equal effort", "As the run went", "Learning curves",
        "Size against quality", "Why this network", "Which choices mattered", "The best trials", "What did not work",
        "the loss became NaN at step 7", "The export, checked", "abc123", "3 rows occur twice.", "0.0234",
        "archwright search flowers --budget", "prefers-color-scheme: dark", "width=device-width",
    ):  # fmt: skip
        assert part in text, part
    assert text.count("<figure>") == 4
    assert "1,000" not in text  # no number of another run


@pytest.mark.parametrize("count", [0, 1, 2, 12])
def test_an_unfinished_run_of_any_length_is_told(problem: Problem, run: Run, tmp_path: Path, count: int) -> None:
    text, _ = read(report(tmp_path / "r.html", header={}, trials=run(count), problem=problem))
    assert "Not finished" in text
    assert ("No result" in text) == (count == 0)
    assert ("The test split has not been touched" in text) == (count > 0)


def test_a_run_of_failures_says_why(problem: Problem, run: Run, tmp_path: Path) -> None:
    trials = tuple(Trial(i, one.proposal, "failed", reason="out of memory") for i, one in enumerate(run(4)))
    text, _ = read(report(tmp_path / "r.html", header={}, trials=trials, problem=problem, ended="nothing was left"))
    assert "None of 4 trials has a result" in text
    assert "4 failed" in text
    assert "out of memory" in text


def test_regression_shows_its_own_units(problem: Problem, run: Run, final: Final, tmp_path: Path) -> None:
    errors = Problem(problem.space, problem.signature, (Objective.parse("rmse"),), budget=Budget(seconds=60))
    trials = run(40, metric="rmse")
    record = final(trials[3], metric="rmse", baseline_test={}, comparison=None, baseline_trial=None)
    text, _ = read(report(tmp_path / "r.html", header={}, trials=trials, problem=errors, final=record))
    assert "minimise rmse" in text
    assert "0.9123" in text
    assert "91.23%" not in text
    assert "random networks had 0." in text, "what was trained beside it is told though it was not tested"
    assert "random baseline</th>" not in text
    alone = tuple(trial for trial in trials if trial.proposal.why["by"] != "baseline")
    text, _ = read(report(tmp_path / "alone.html", header={}, trials=alone, problem=errors, final=record))
    assert "nothing is claimed about the search itself" in text


def test_nothing_a_user_or_a_file_names_becomes_markup(
    problem: Problem, run: Run, final: Final, tmp_path: Path
) -> None:
    trials = run(30, reason=HOSTILE)
    header = {"task": HOSTILE, "facts": {"classes": HOSTILE}, "command": HOSTILE, "data": HOSTILE, "strategy": HOSTILE}
    record = final(trials[3], warnings=(HOSTILE,), recipe={HOSTILE: HOSTILE}, numerics=HOSTILE)
    path = report(
        tmp_path / "r.html", header=header, trials=trials, problem=problem, final=record, name=HOSTILE, ended=HOSTILE
    )
    _, parser = read(path)
    assert not {"script", "img"} & parser.tags


def test_the_file_is_replaced_whole_or_not_at_all(problem: Problem, tmp_path: Path) -> None:
    path = report(tmp_path / "r.html", header={}, trials=(), problem=problem, name="one")
    report(path, header={}, trials=(), problem=problem, name="two")
    assert "two" in path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["r.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchwrightError, match="Could not write the report"):
        report(tmp_path / "file" / "r.html", header={}, trials=(), problem=problem)
