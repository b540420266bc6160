"""Runs on tables that were stored before their numbers were scaled robustly stay as they were."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import archwright as aw
from archwright.engine import setup
from archwright.errors import DataError
from archwright.space import OUTPUTS, chain, choice, op
from archwright.tasks import load_task

SPACE = aw.Space(chain(op("dense", width=choice(4, 8, 12)), op("linear", width=OUTPUTS)), "tiny")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.lognormal(0, 1, 200), "town": rng.choice(["north", "south"], 200)})
    frame["price"] = frame["size"] + (frame["town"] == "north") + rng.normal(0, 0.1, 200)
    frame.to_csv(tmp_path / "houses.csv", index=False)
    return tmp_path / "houses.csv"


@pytest.mark.parametrize("scaling", ["standard", "robust"])
def test_a_run_goes_on_and_is_exported_with_the_scaling_it_began_with(
    scaling: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"store": tmp_path / "store", "progress": "none"}
    with monkeypatch.context() as patched:
        patched.setattr(setup, "load", partial(setup.load, scaling=scaling))
        aw.search(
            str(table), target="price", space=SPACE, strategy="random", baseline=0, budget="1 trial", fidelity=aw.Fidelity(1),
            workers=1, **given,
        )  # fmt: skip
    result = aw.resume(budget="2 trials", **given)
    assert len(result.trials) >= 2
    task = result.task()
    assert ("std" in task.preprocess["columns"][0]) == (scaling == "standard")
    assert task.signature.columns == (() if scaling == "standard" else (1, 2))
    exported = result.best.export(tmp_path / "out")
    assert exported.checks is not None
    assert max(exported.checks.differences.values()) < 1e-4
    loaded = load_task(table, "price", scaling="robust" if scaling == "standard" else "standard")
    with pytest.raises(DataError, match=f"scaling='{scaling}'"):
        aw.resume(data=loaded, **given)
