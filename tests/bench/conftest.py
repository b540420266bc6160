from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archwright.bench import Table, TableCase, TableSpace, choice_space
from archwright.problem import Budget


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed from tables is kept for the tests of one process only."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("ARCHWRIGHT_TABLES", raising=False)


@pytest.fixture(scope="session")
def tables() -> str:
    """The folder of the published tables; tests that need it are skipped where there is none."""
    root = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
    if not (root / "benchmarks").is_dir():
        pytest.skip("no real data: set ARCHWRIGHT_TEST_DATA to its folder")
    return str(root / "benchmarks")


@pytest.fixture(scope="session")
def small() -> Any:
    """A case on a table of 27 architectures, of which those that differ in the order of the first two choices are equal."""
    space = choice_space("small", {"a": [0, 1, 2], "b": [0, 1, 2], "c": [0, 1, 2]})
    listed = [architecture.choices for architecture in space.architectures()]
    taken = np.array([[option for _, option in choices] for choices in listed])
    value = taken.sum(axis=1) / 6 * 0.8
    from archwright.bench.table import Row

    rows = [Row(str((*sorted(row[:2]), row[2]))) for row in taken.tolist()]
    table = Table(
        TableSpace(space.expression, space.name, listed, rows),
        {"seen": value, "true": 1.0 - value, "took": 10.0 + taken[:, 0]},
        "made up",
    )
    return TableCase(
        "small",
        lambda data, seed: table,
        {"accuracy": "seen"},
        {"test": "true"},
        Budget(trials=12),
        (5,),
        seconds="took",
    )
