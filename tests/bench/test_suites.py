from __future__ import annotations

import pytest

from archwright.bench import Suite, TableCase, get_suite, list_suites
from archwright.errors import BudgetError

OWN = """
from pathlib import Path
from archwright.bench import Suite, TableCase, read_table
from archwright.problem import Budget

FILE = Path(__file__).with_name("mine.csv")
SUITE = Suite(
    "mine",
    "Kernels and widths.",
    (TableCase("only", lambda data, seed: read_table(FILE, choices=["kernel", "width"], percent=["valid", "test"]),
        {"accuracy": "valid"}, {"test": "test"}, Budget(trials=4), seconds="took"),),
)
"""


def test_every_suite_says_what_it_compares():
    for name, about in list_suites().items():
        suite = get_suite(name)
        assert (suite.name, suite.about) == (name, about)
        assert len(about) > 40
        assert len({case.name for case in suite.cases}) == len(suite.cases) > 0


def test_checkpoints_come_before_the_end():
    for name in list_suites():
        for case in get_suite(name).cases:
            if isinstance(case, TableCase) and case.budget.trials is not None:
                assert list(case.checkpoints) == [50, 100]
                assert case.budget.trials == 150


def test_a_suite_of_ones_own_is_one_file(tmp_path):
    (tmp_path / "mine.csv").write_text(
        "kernel,width,valid,test,took\n3,8,50,40,1\n5,8,60,45,2\n3,16,70,60,3\n5,16,80,70,4\n"
    )
    (tmp_path / "mine.py").write_text(OWN)
    suite = get_suite(str(tmp_path / "mine.py"))
    assert isinstance(suite, Suite)
    case = suite.case("only")
    table = case.load(None, 0)
    assert table.column("valid").tolist() == [0.5, 0.6, 0.7, 0.8]


def test_what_is_no_suite_is_said(tmp_path):
    with pytest.raises(BudgetError, match="Did you mean 'nas-bench-macro'"):
        get_suite("nas-bench-makro")
    with pytest.raises(BudgetError, match="which is no file"):
        get_suite(str(tmp_path / "absent.py"))
    (tmp_path / "empty.py").write_text("SUITE = 3")
    with pytest.raises(BudgetError, match="does not define a suite"):
        get_suite(str(tmp_path / "empty.py"))
    with pytest.raises(BudgetError, match="has no case 'cifar11'"):
        get_suite("nas-bench-201-efficiency").case("cifar11")
