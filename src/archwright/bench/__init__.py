"""Honest comparisons of strategies: tables with a simulated clock, suites, statistics. See docs/benchmarks.md."""

from archwright.bench.cases import ContestCase, Files, Suite, TableCase, TrainingCase
from archwright.bench.outcome import incumbents, reported
from archwright.bench.reading import choice_space, read_table
from archwright.bench.run import Trajectory, run_one
from archwright.bench.suites import get_suite, list_suites
from archwright.bench.table import Table, TableEvaluator, TableSpace

__all__ = [
    "ContestCase",
    "Files",
    "Suite",
    "Table",
    "TableCase",
    "TableEvaluator",
    "TableSpace",
    "TrainingCase",
    "Trajectory",
    "choice_space",
    "get_suite",
    "incumbents",
    "list_suites",
    "read_table",
    "reported",
    "run_one",
]
