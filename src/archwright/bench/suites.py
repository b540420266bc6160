"""The suites that archwright brings, and suites of users' own: a Python file that defines ``SUITE``."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from archwright.bench.cases import ContestCase, Prepare, Suite, TableCase, TrainingCase
from archwright.bench.contest_data import digits, fashion_mnist, photos, table
from archwright.bench.published import (
    SETS,
    hw_nas_bench_table,
    nas_bench_201_table,
    nas_bench_macro_table,
    zero_cost_table,
)
from archwright.bench.synthetic import synthetic_table
from archwright.errors import BudgetError, closest
from archwright.problem import Budget, Objective

COUNTS: Final = (50, 100, 150)
"""Evaluations at which the suites on tables report."""
NOISE: Final = 0.01


def _published() -> Suite:
    case = TableCase(
        "cifar10",
        lambda data, seed: nas_bench_201_table(data),
        {"accuracy": "c10_valid_12ep"},
        {f"{data_set} test": f"{short}_test_200ep" for data_set, short in SETS.items()},
        Budget(seconds=12_000.0),
        seconds="train_seconds_12ep",
        equal_free=False,
    )
    return Suite(
        "nas-bench-201-published",
        "NAS-Bench-201 as published: choose by the validation accuracy after 12 epochs on CIFAR-10, pay its seconds, 12,000 in all, for every proposal, "
        "also of a known cell; report the chosen cell's mean test accuracy after 200 epochs.",
        (case,),
    )


def _efficiency(
    name: str = "nas-bench-201-efficiency", more: str = "", zero_cost: Mapping[str, str] | None = None
) -> Suite:
    def case(data_set: str, short: str) -> TableCase:
        scores = {score: f"{short}_{column}" for score, column in (zero_cost or {}).items()}
        return TableCase(
            data_set,
            lambda data, seed: zero_cost_table(data, short) if scores else nas_bench_201_table(data, short),
            {"accuracy": f"{short}_single_seed_200ep"},
            {"test": f"{short}_test_200ep"},
            Budget(trials=COUNTS[-1]),
            COUNTS[:-1],
            seconds=f"{short}_train_seconds_200ep",
            zero_cost=scores,
        )

    return Suite(
        name,
        f"NAS-Bench-201: choose by the noisy accuracy of one training of 200 epochs; report the chosen cell's mean test accuracy. Equal cells are free.{more}",
        tuple(case(*names) for names in SETS.items()),
    )


def _zero_cost() -> Suite:
    scores = {"naswot": "freerea_naswot", "synflow": "freerea_logsynflow", "zen": "zen_naslib"}
    return _efficiency("nas-bench-201-zero-cost", " Strategies may look up three zero-cost scores of any cell.", scores)


def _macro() -> Suite:
    case = TableCase(
        "cifar10",
        lambda data, seed: nas_bench_macro_table(data),
        {"accuracy": "run0"},
        {"mean": "mean"},
        Budget(trials=COUNTS[-1]),
        COUNTS[:-1],
    )
    return Suite(
        "nas-bench-macro",
        "NAS-Bench-Macro: choose by the accuracy of one training; report the chosen network's mean of three. Equal networks are free.",
        (case,),
    )


def _hardware() -> Suite:
    def case(device: str, measure: str, metric: str, worst: float) -> TableCase:
        column = f"c10_{device}_{measure}"
        return TableCase(
            f"{device}-{measure}",
            lambda data, seed: hw_nas_bench_table(data),
            {"accuracy": "c10_single_seed_200ep", metric: column},
            {"accuracy": "c10_test_200ep", metric: column},
            Budget(trials=COUNTS[-1]),
            COUNTS[:-1],
            (Objective("accuracy"), Objective(metric, "min")),
            seconds="c10_train_seconds_200ep",
            reference=(0.1, worst),
        )

    return Suite(
        "hw-nas-bench",
        "HW-NAS-Bench, CIFAR-10: accuracy of one training against latency or energy of a device; report the hypervolume of the front found, at mean test "
        "accuracies, relative to that of all cells. Equal cells are free.",
        (
            case("edgegpu", "latency", "latency_ms", 12.0),
            case("raspi4", "latency", "latency_ms", 100.0),
            case("pixel3", "latency", "latency_ms", 40.0),
            case("eyeriss", "energy", "energy_mj", 2.5),
        ),
    )


def _synthetic() -> Suite:
    def case(name: str, choices: int, options: int, interaction: float) -> TableCase:
        return TableCase(
            name,
            lambda data, seed: synthetic_table(choices, options, interaction, NOISE, seed),
            {"accuracy": "observed"},
            {"value": "value"},
            Budget(trials=COUNTS[-1]),
            COUNTS[:-1],
        )

    return Suite(
        "synthetic",
        "Generated landscapes, another for each seed, whose best architecture has the value 0.9 and whose worst has 0.1: effects of choices, of pairs of choices, "
        f"and noise of standard deviation {NOISE}; report the true value.",
        (
            case("additive-8x4", 8, 4, 0.0),
            case("mixed-8x4", 8, 4, 0.5),
            case("pairwise-8x4", 8, 4, 4.0),
            case("mixed-14x2", 14, 2, 1.0),
            case("mixed-5x6", 5, 6, 1.0),
        ),
    )


def _training() -> Suite:
    return Suite(
        "training",
        "Real training by archwright.search at equal time, final training and test included: digits 2 minutes, Fashion-MNIST 10; report the test accuracy.",
        (
            TrainingCase("digits", "digits", "cnn", Budget(seconds=120.0)),
            TrainingCase("fashion-mnist", "fashion-mnist", "cnn", Budget(seconds=600.0)),
        ),
    )


_LEFT_OUT: Final = ("instant", "dteday", "casual", "registered")
_SEARCHES: Final = ("auto", "reference", "random", "optuna:TPESampler")
_TIMES: Final = tuple(Budget(seconds=60.0 * minutes) for minutes in (2, 5, 10, 30))


def _pictures(name: str, prepare: Prepare, flip: bool = True) -> ContestCase:
    options = {} if flip else {"hand-made": {"flip": False}}
    methods = ("hand-made", *_SEARCHES)
    return ContestCase(name, prepare, "image", "accuracy", _TIMES, methods, "hand-made", options)


def _columns(name: str, prepare: Prepare, metric: str = "accuracy") -> ContestCase:
    methods = ("boosting", "boosting-tuned", "sklearn-mlp", *_SEARCHES)
    return ContestCase(name, prepare, "tabular", metric, _TIMES[:1], methods, "boosting")


_VALUE: Final = Suite(
    "value",
    "Does a search beat what the user would do instead? Whole methods on the same rows, cores and minutes, "
    "loading and test included: searches, a known network, a script written by hand, models of scikit-learn. "
    "Reports the accuracy or R2 on the test rows.",
    (
        _pictures("fashion-mnist", fashion_mnist),
        _pictures("photos50", photos),
        _pictures("digits", digits, flip=False),
        _columns("adult", table("adult", "income")),
        _columns("german-credit", table("german_credit", "credit")),
        _columns("wine-quality", table("wine_quality_white", "quality", separator=";", repeated=False)),
        _columns("california", table("california_housing", "median_house_value", "regression"), "r2"),
        _columns("bike", table("bike_hourly", "cnt", "regression", without=_LEFT_OUT), "r2"),
    ),
)


_SUITES: Final[dict[str, Callable[[], Suite]]] = {
    "hw-nas-bench": _hardware,
    "nas-bench-201-efficiency": _efficiency,
    "nas-bench-201-published": _published,
    "nas-bench-201-zero-cost": _zero_cost,
    "nas-bench-macro": _macro,
    "synthetic": _synthetic,
    "training": _training,
    "value": lambda: _VALUE,
}


def get_suite(name: str) -> Suite:
    """The suite of a name, or of a Python file that defines ``SUITE``.

    Raises:
        BudgetError: Where there is none.
    """
    if name in _SUITES:
        return _SUITES[name]()
    if not name.endswith(".py"):
        raise BudgetError(f"Got the suite {name!r}. {closest(name, _SUITES)} Or a Python file that defines SUITE.")
    if not Path(name).is_file():
        raise BudgetError(f"Got the suite {name!r}, which is no file.")
    found = runpy.run_path(name).get("SUITE")
    if not isinstance(found, Suite):
        raise BudgetError(
            f"The file {name} does not define a suite; expected SUITE = archwright.bench.Suite(name, about, cases)."
        )
    return found


def list_suites() -> dict[str, str]:
    """Name of every suite, with what it compares."""
    return {name: make().about for name, make in _SUITES.items()}
