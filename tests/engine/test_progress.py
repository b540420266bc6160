from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from archwright.engine.progress import LivePanel, observer
from archwright.errors import BudgetError


def test_plain_lines_tell_the_best_the_failures_and_the_end(run, capsys):
    def evaluator(proposal, problem, seed):
        if seed % 3 == 0:
            raise ValueError("no luck")
        return {"score": 1.0}

    run(evaluator, progress="plain")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("small-1: small, score, evolution, 20 trials")
    assert sum("new best" in line for line in lines) >= 1
    assert any("failed: " in line and "no luck" in line for line in lines)
    assert lines[-1] == "done"


def test_json_has_one_object_for_each_trial(run, capsys):
    result = run(progress="json")
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["trial"] for record in records if record["event"] == "trial"] == [
        trial.id for trial in result.trials
    ]
    assert records[-1] == {"run": "small-1", "event": "phase", "note": "done"}


def test_the_live_panel_shows_budget_and_best(run, capsys):
    run(progress="live")
    shown = capsys.readouterr().err
    assert "20 of 20" in shown
    assert "best" in shown


def test_in_a_notebook_the_output_of_the_cell_is_redrawn(run, monkeypatch):
    shown = []

    class Handle:
        update = staticmethod(shown.append)

    fake = SimpleNamespace(display=lambda first, display_id: Handle())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=fake))
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    result = run()
    panel = LivePanel(result.name, result.settings, Console(force_jupyter=True, file=sys.stderr))
    with panel:
        panel.phase("searching")
    assert shown
    assert "html" in str(shown[-1]._repr_mimebundle_([], []).keys())


def test_an_unknown_mode_is_refused(run):
    result = run()
    with pytest.raises(BudgetError, match="Did you mean 'plain'"):
        observer("plane", result.name, result.settings)
