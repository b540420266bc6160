"""Random search and aging evolution on NAS-Bench-201, against the published figures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from archwright.strategies import Evolution, Random
from archwright.testing.strategy import simulate
from archwright.testing.toy import ToySpace, toy_problem

FOLDER = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
TABLE = FOLDER / "benchmarks" / "nas-bench-201.npz"


@pytest.fixture(scope="module")
def table():
    if not TABLE.exists():
        pytest.skip(f"No {TABLE}: set ARCHWRIGHT_TEST_DATA to the folder of the test data.")
    with np.load(TABLE) as stored:
        valid, test = stored["c10_valid_12ep"].astype(float), stored["c10_test_200ep"].astype(float)
        cells = {tuple(cell): index for index, cell in enumerate(stored["ops"].tolist())}
    return cells, valid, test


@pytest.mark.parametrize(("strategy", "published"), [(Random(), 93.70), (Evolution(10, 3), 93.95)], ids=str)
def test_it_reaches_the_published_accuracy_after_100_evaluations(table, strategy, published):
    cells, valid, test = table

    def cell(architecture):
        return cells[tuple(option for _, option in architecture.choices)]

    def answer(seed):
        problem = toy_problem(ToySpace((5,) * 6), seed=seed)
        run = simulate(strategy, problem, lambda proposal, problem, seed: valid[cell(proposal.architecture)], 100)
        return test[cell(max(run.trials, key=lambda trial: trial.value("accuracy")).proposal.architecture)]

    found = [answer(seed) for seed in range(100)]
    assert np.mean(found) == pytest.approx(published, abs=0.12), f"standard deviation {np.std(found):.2f}"
