"""The commands that list things."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from archwright.problem import FINAL, Budget, purpose
from archwright.problem.final import show


def name_table(what: str, rows: Mapping[str, str], console: Console) -> None:
    """A table of names and one-line descriptions."""
    table = Table(what, "", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name, description in rows.items():
        table.add_row(name, description)
    console.print(table)


def runs_table(store: Path | None, console: Console, *, as_json: bool) -> None:
    """All runs of a store, the latest first."""
    from archwright.engine import Store

    place = Store(store, create=False)
    found = sorted(place.ledger.runs(), key=lambda run: run.created, reverse=True)
    if as_json:
        for run in found:
            print(json.dumps(msgspec.to_builtins(run)))
        return
    table = Table(
        "run",
        "data",
        "strategy",
        "budget",
        "started",
        "trials",
        "state",
        box=None,
        header_style="bold",
        padding=(0, 2, 0, 0),
    )
    for run in found:
        header = run.header
        table.add_row(
            run.name,
            str(header.get("task", "")),
            str(header.get("strategy", "")),
            str(msgspec.convert(header["budget"], Budget)) if "budget" in header else "",
            datetime.datetime.fromtimestamp(run.created).strftime("%Y-%m-%d %H:%M"),
            str(sum(run.trials.values())),
            "ended" if run.ended else "open",
        )
    console.print(table)


def show_run(name: str | None, store: Path | None, console: Console, *, top: int, as_json: bool) -> None:
    """A run: its result, its best trials, its failures."""
    from archwright.engine import open_run
    from archwright.engine.progress import headline, reason
    from archwright.explain import fidelity, ranking

    result = open_run(name, store=store)
    if as_json:
        print(
            json.dumps(
                {
                    "run": result.name,
                    "ended": result.ended,
                    "final": msgspec.to_builtins(result.final),
                    "trials": msgspec.to_builtins(result.trials),
                }
            )
        )
        return
    console.print(headline(result.name, result.settings), style="bold", highlight=False)
    counts = Counter(trial.status for trial in result.trials if purpose(trial) != FINAL)
    console.print(
        ", ".join(f"{count} {status}" for status, count in counts.items()) or "no trials yet", highlight=False
    )
    if result.final is not None:
        for metric, interval in result.final.test.items():
            console.print(
                f"test {metric} {show(metric, interval.value)} [{show(metric, interval.low)}, {show(metric, interval.high)}]",
                highlight=False,
                markup=False,
            )
        if result.final.ensemble is not None:
            against = f": {result.final.against_single}" if result.final.against_single else ""
            console.print(f"{result.final.answer}{against}", highlight=False, soft_wrap=True)
        if result.final.comparison is not None:
            console.print(result.final.comparison.text(), highlight=False)
    wanted = [objective.metric for objective in result.settings.objectives]
    wanted += [constraint.metric for constraint in result.settings.constraints]
    metrics = list(dict.fromkeys([*wanted, "params"]))
    table = Table("trial", *metrics, "epochs", "seconds", "from", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for trial in ranking(result.trials, result.problem)[:top]:
        values = {metric: trial.value(metric) for metric in metrics}
        table.add_row(
            str(trial.id),
            *(show(metric, value) if value is not None else "" for metric, value in values.items()),
            str(fidelity(trial, result.problem).epochs) if trial.final and trial.final.epoch else "",
            f"{trial.seconds:.1f}",
            reason(trial),
        )
    console.print(table)
    if len(result.settings.objectives) > 1 and result.front:
        front = ", ".join(str(candidate.trial.id) for candidate in result.front)
        console.print(f"Front, the trials that none beats in all objectives: {front}", highlight=False, soft_wrap=True)
    for reason_text, count in Counter(trial.reason for trial in result.trials if trial.status == "failed").most_common(
        5
    ):
        console.print(f"{count} failed: {reason_text}", highlight=False, markup=False)


def data_table(
    source: str | None, target: str | None, kind: str | None, image_size: int | None, console: Console
) -> None:
    """The built-in data sets, or one data set in detail."""
    from archwright.tasks import list_tasks, load_task

    if source is None:
        name_table("data set", list_tasks(), console)
        console.print(
            "Or your own: a folder of class folders, .npz, .csv, .parquet, .txt, or hf:NAME.", highlight=False
        )
        return
    task = load_task(source, target, kind=kind, image_size=image_size)
    table = Table("", "", box=None, show_header=False, padding=(0, 2, 0, 0))
    for what, value in task.describe():
        table.add_row(what, value)
    console.print(table)
