from __future__ import annotations

import pytest

from archwright.bench import TrainingCase
from archwright.bench.specs import parse_strategy
from archwright.bench.training import run_training
from archwright.engine import open_run
from archwright.errors import BudgetError
from archwright.problem import Budget

CASE = TrainingCase("wine", "wine", "mlp", Budget(trials=3))


@pytest.mark.slow
def test_a_search_is_recorded_once_and_read_again(tmp_path):
    spec = parse_strategy("evolution(population=2,sample=1)")
    found = run_training(CASE, spec, 0, CASE.budget, 1, tmp_path, "first")
    assert len(found.rows) == len(found.scores) == 3
    assert list(found.seconds) == sorted(found.seconds)
    run = open_run("first", store=tmp_path)
    assert found.final["test accuracy"] == run.final.test["accuracy"].value
    assert run.settings.options == {"population": 2, "sample": 1}
    assert run.settings.baseline == 0
    again = run_training(CASE, spec, 0, CASE.budget, 1, tmp_path, "first")
    assert (again.rows, again.scores, again.final) == (found.rows, found.scores, found.final)
    assert len(open_run("first", store=tmp_path).trials) == len(run.trials)


@pytest.mark.slow
def test_an_interrupted_search_goes_on(tmp_path, monkeypatch):
    from archwright.engine.loop import Loop

    spec, record = parse_strategy("random"), Loop._record

    def interrupted(self, update):
        record(self, update)
        if update.kind == "finished":
            raise KeyboardInterrupt

    monkeypatch.setattr(Loop, "_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_training(CASE, spec, 0, CASE.budget, 1, tmp_path, "cut")
    monkeypatch.setattr(Loop, "_record", record)
    assert open_run("cut", store=tmp_path).ended is None
    found = run_training(CASE, spec, 0, CASE.budget, 1, tmp_path, "cut")
    assert len(found.rows) == 3
    assert "test accuracy" in found.final


def test_a_search_without_a_tested_network_is_an_error(tmp_path):
    case = TrainingCase("wine", "wine", "mlp", Budget(seconds=0.01))
    with pytest.raises(BudgetError, match="ended without a tested network"):
        run_training(case, parse_strategy("random"), 0, case.budget, 1, tmp_path, "short")
