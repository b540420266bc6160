"""The tables of benchmarks, as printed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table

from archwright.bench.results import Effort, Line, Spent
from archwright.bench.stats import Paired

WIDTH = 180
"""Characters that the widest table needs."""


def print_lines(rows: Sequence[Line], reference: str, budget: str, console: Console) -> None:
    """Results at checkpoints, one table for each case and report."""
    for (case, report), group in groupby(rows, key=lambda row: (row.case, row.report)):
        compared = f", compared with {reference}" if any(row.against for row in rows) else ""
        console.print(f"{case}: {report} (%){compared}", style="bold", highlight=False, markup=False)
        table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for name in (
            "after",
            "strategy",
            "seeds",
            "mean",
            "std",
            "95% interval",
            "difference",
            "verdict",
            "won/tied/lost",
            "Wilcoxon p",
            "sign p",
        ):
            table.add_column(
                name, justify="left" if name in ("strategy", "verdict", "after") else "right", no_wrap=True
            )
        last: object = ()
        for row in group:
            after = budget if row.evaluations is None else str(row.evaluations)
            one = row.summary
            table.add_row(
                "" if row.evaluations == last else after,
                row.strategy,
                str(one.count),
                f"{one.mean:.2f}",
                *(("", "") if one.count < 2 else (f"{one.std:.2f}", f"{one.low:.2f} to {one.high:.2f}")),
                *_against(row.against),
            )
            last = row.evaluations
        _wide(console).print(table)


def _against(paired: Paired | None) -> list[str]:
    if paired is None:
        return [""] * 5
    interval = "" if paired.count < 2 else f" [{paired.low:+.2f}, {paired.high:+.2f}]"
    return [
        f"{paired.difference:+.2f}{interval}",
        paired.verdict,
        f"{paired.wins}/{paired.ties}/{paired.losses}",
        f"{paired.wilcoxon:.2g}",
        f"{paired.sign:.2g}",
    ]


def print_efforts(rows: Sequence[Effort], console: Console) -> None:
    """What searches spent, means over seeds."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    headings = (
        "spent, mean of a search",
        "evaluations",
        "known again",
        "their seconds",
        "free",
        "failed",
        "seconds",
        "ms each here",
    )
    for name in headings:
        table.add_column(name, justify="left" if name == headings[0] else "right", no_wrap=True)
    for row in rows:
        numbers = (row.evaluations, row.repeated, row.repeated_seconds, row.reused, row.failed, row.seconds)
        table.add_row(row.strategy, *(f"{number:,.1f}" for number in numbers), f"{1000 * row.cpu:.2f}")
    _wide(console).print(table)
    console.print()


def print_spent(rows: Sequence[Spent], console: Console) -> None:
    """What the methods of a contest spent, means over seeds, and the seeds without an answer."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    headings = ("spent, mean of a seed", "seconds", "longest", "over time", "trials", "parameters", "rows", "test rows")
    for name in headings:
        table.add_column(name, justify="left" if name == headings[0] else "right", no_wrap=True)
    for row in rows:
        counts = ("" if one is None else f"{one:,.0f}" for one in (row.trials, row.parameters, row.rows, row.test_rows))
        table.add_row(row.method, f"{row.seconds:,.1f}", f"{row.most:,.1f}", str(row.over), *counts)
    _wide(console).print(table)
    for row in rows:
        if row.missing:
            seeds = ", ".join(map(str, row.missing))
            console.print(f"{row.method} has no answer for seeds {seeds}", highlight=False, markup=False)
    console.print()


def _wide(console: Console) -> Console:
    """A console that cuts nothing off: a narrow terminal breaks the lines."""
    return Console(file=console.file, width=max(console.width, WIDTH))
