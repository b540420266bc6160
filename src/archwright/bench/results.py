"""Recorded searches, turned into numbers for people: at checkpoints, over evaluations, over simulated time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from archwright.bench.cases import Case, ContestCase, Suite, TableCase
from archwright.bench.execute import data_digest
from archwright.bench.outcome import best_possible, repeated, report_names, reported
from archwright.bench.run import Trajectory
from archwright.bench.stats import Paired, Summary, compare, summarise
from archwright.bench.store import BenchStore, Setting
from archwright.bench.table import Table
from archwright.problem import Budget

ALLOWED = 0.02
"""Share of its budget that a method may take more without being reported as over time."""


@dataclasses.dataclass(frozen=True)
class Searches:
    """The recorded searches of one case.

    Attributes:
        case: What was searched.
        budget: What a search was given.
        data: Folder of the tables.
        found: Strategy to seed to what the search did.
    """

    case: Case
    budget: Budget
    data: str | None
    found: dict[str, dict[int, Trajectory]]

    def table(self, seed: int) -> Table | None:
        """The table of a search; ``None`` where networks were trained."""
        return self.case.load(self.data, seed) if isinstance(self.case, TableCase) else None

    def curves(self, strategy: str, name: str) -> dict[int, np.ndarray]:
        """Seed to what is reported under a name after each evaluation, ``(evaluations,)``; of trained networks, once."""
        curves = {}
        for seed, trajectory in self.found[strategy].items():
            table = self.table(seed)
            if isinstance(self.case, TableCase) and table is not None:
                curve = reported(self.case, table, trajectory)[name]
            else:
                curve = np.array([trajectory.final[name]] if name in trajectory.final else [])
            if len(curve):
                curves[seed] = curve
        return curves

    def regret(self, strategy: str, name: str) -> dict[int, np.ndarray]:
        """Seed to how far from the best possible that is."""
        return {
            seed: best_possible(self.case, self.table(seed))[name] - curve
            for seed, curve in self.curves(strategy, name).items()
        }


class Line(msgspec.Struct, frozen=True):
    """One strategy at one checkpoint.

    Attributes:
        case: What was searched.
        report: What is reported.
        evaluations: The checkpoint; ``None`` for the end of the budget.
        strategy: The strategy.
        summary: Its results, in percent.
        against: The comparison with the reference on the same seeds, in percentage points; ``None`` for the reference itself, and where no seed is common.
    """

    case: str
    report: str
    evaluations: int | None
    strategy: str
    summary: Summary
    against: Paired | None = None


class Effort(msgspec.Struct, frozen=True):
    """What the searches of a strategy spent, means over seeds.

    Attributes:
        case: What was searched.
        strategy: The strategy.
        evaluations: Evaluations that were paid for.
        repeated: Of those, the ones of a network that the search knew.
        repeated_seconds: Simulated seconds that these took.
        reused: Proposals of a known network that cost nothing.
        failed: Evaluations that failed.
        seconds: Simulated seconds; of trained networks, real ones.
        cpu: Processor seconds of this machine for each evaluation.
    """

    case: str
    strategy: str
    evaluations: float
    repeated: float
    repeated_seconds: float
    reused: float
    failed: float
    seconds: float
    cpu: float


def collect(
    suite: Suite,
    store: BenchStore,
    *,
    name: str | None = None,
    budget: Budget | None = None,
    at_once: int = 1,
    data: str | None = None,
    strategies: Sequence[str] = (),
) -> list[Searches]:
    """The recorded searches of a suite, case by case.

    Args:
        suite: What was run.
        store: Where records are.
        name: How the suite was named; default: its own name.
        budget: What a search was given; default: the case's own; of a contest, all that are recorded.
        at_once: Evaluations at once in a search.
        data: Folder of the tables; records made with other tables are left out.
        strategies: Which, and in which order; default: all that are recorded.
    """
    every = store.settings(name or suite.name)
    groups = []
    for case in suite.cases:
        for spent in [budget] if budget else _budgets(case, every):
            wanted = (case.name, str(spent), at_once)
            mine = [one for one in every if (one.case, one.budget, one.workers) == wanted]
            digest = data_digest(case, data) if mine else ""
            known = {one.strategy: one for one in mine if one.data == digest}
            order = [text for text in strategies if text in known] if strategies else list(known)
            if order:
                found = {text: store.read(known[text]) for text in order}
                groups.append(Searches(case, spent, data, found))
    return groups


def _budgets(case: Case, every: Sequence[Setting]) -> list[Budget]:
    """The budgets of a case; of a contest those that are recorded, the shortest first."""
    if not isinstance(case, ContestCase):
        return [case.budget]
    found = {Budget.parse(one.budget) for one in every if one.case == case.name}
    return sorted(found, key=lambda budget: budget.seconds or math.inf)


def lines(searches: Searches, reference: str) -> Iterator[Line]:
    """Every strategy at every checkpoint, best mean first within one."""
    case, trials = searches.case, searches.budget.trials
    points: list[int | None] = [*(case.checkpoints if isinstance(case, TableCase) else ()), None]
    points = [point for point in points if point is None or trials is None or point < trials]
    for report in report_names(case):
        curves = {strategy: searches.curves(strategy, report) for strategy in searches.found}
        for point in points:
            values = {strategy: _at(curve, point) for strategy, curve in curves.items() if curve}
            rows = [_line(case, report, point, strategy, values, reference) for strategy in values]
            yield from sorted(rows, key=lambda row: -row.summary.mean)


def _at(curves: dict[int, np.ndarray], point: int | None) -> dict[int, float]:
    last = math.inf if point is None else point
    return {seed: 100 * float(curve[int(min(last, len(curve))) - 1]) for seed, curve in curves.items()}


def _line(
    case: Case, report: str, point: int | None, strategy: str, values: dict[str, dict[int, float]], reference: str
) -> Line:
    mine, other = values[strategy], values.get(reference, {})
    common = sorted(mine.keys() & other.keys())
    against = None
    if strategy != reference and common:
        against = compare(np.array([mine[seed] for seed in common]), np.array([other[seed] for seed in common]))
    return Line(case.name, report, point, strategy, summarise(np.array(list(mine.values()))), against)


def effort(searches: Searches, strategy: str) -> Effort:
    """What the searches of a strategy spent."""
    found = searches.found[strategy]
    table = searches.table(next(iter(found)))
    again = [(0, 0.0) if table is None else repeated(table, one) for one in found.values()]
    count = float(np.mean([len(one.rows) for one in found.values()]))
    return Effort(
        searches.case.name,
        strategy,
        count,
        float(np.mean([number for number, _ in again])),
        float(np.mean([seconds for _, seconds in again])),
        float(np.mean([one.reused for one in found.values()])),
        float(np.mean([one.failed for one in found.values()])),
        float(np.mean([one.seconds[-1] if one.seconds else 0.0 for one in found.values()])),
        float(np.mean([one.cpu for one in found.values()])) / max(count, 1.0),
    )


class Spent(msgspec.Struct, frozen=True):
    """What a method of a contest spent, means over seeds.

    Attributes:
        case: The data.
        budget: What it was given.
        method: The method.
        seconds: From its start to its end.
        most: The longest of them.
        over: Seeds on which it took more than its budget and :data:`ALLOWED`.
        rows: Training and validation rows that it had.
        test_rows: Rows that it was tested on.
        trials: Networks trained or models fitted, if it counts them.
        parameters: Of its answer, if it counts them.
        missing: Seeds that another method of the contest has and this one has not.
    """

    case: str
    budget: str
    method: str
    seconds: float
    most: float
    over: int
    rows: float
    test_rows: float
    trials: float | None
    parameters: float | None
    missing: tuple[int, ...]


def spent(searches: Searches, method: str) -> Spent:
    """What a method of a contest spent."""
    found = searches.found[method]
    seconds = [one.seconds[-1] for one in found.values()]
    limit = (searches.budget.seconds or math.inf) * (1 + ALLOWED)
    seeds = {seed for others in searches.found.values() for seed in others}

    def mean(name: str) -> float | None:
        values = [one.final[name] for one in found.values() if name in one.final]
        return float(np.mean(values)) if values else None

    return Spent(
        searches.case.name,
        str(searches.budget),
        method,
        float(np.mean(seconds)),
        max(seconds),
        sum(one > limit for one in seconds),
        mean("rows") or 0.0,
        mean("test_rows") or 0.0,
        mean("trials"),
        mean("parameters"),
        tuple(sorted(seeds - found.keys())),
    )
