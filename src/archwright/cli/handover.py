"""The end of a search on the command line: the network exported and verified, the report written, the result told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console

from archwright.engine.progress import describe
from archwright.engine.ranking import incumbent
from archwright.explain import audit, baseline_share, controls, show_controls, weighed
from archwright.problem import BASELINE, FINAL, purpose
from archwright.problem.final import show

if TYPE_CHECKING:
    from archwright.engine import Result
    from archwright.export import Exported

HANDOVER_SECONDS = 12.0
"""What exporting a network, checking it in another process and writing the report usually take."""


def conclude(result: Result, out: Path | None, console: Console, *, as_json: bool) -> int:
    """Exports the chosen network, writes the report and prints the result; returns the exit code."""
    folder = out or result.store.run_folder(result.name)
    if result.interrupted:
        _say_interrupted(result, console, as_json=as_json)
        return 130
    exported = None
    if result.final is not None:
        exported = result.best.export(folder / "model", overwrite=True)
    report = result.report(folder / "report.html", checks=exported.checks if exported is not None else None)
    if as_json:
        record = {
            "run": result.name,
            "event": "result",
            "ended": result.ended,
            "final": msgspec.to_builtins(result.final),
            "model": str(exported.folder) if exported else None,
            "checks": msgspec.to_builtins(exported.checks) if exported else None,
            "report": str(report),
        }
        print(json.dumps(record), flush=True)
        return 0
    _say_result(result, console)
    if exported is not None:
        print_export(exported, console)
    console.print(f"Report: {report}", soft_wrap=True, highlight=False)
    console.print(
        f"Why this network: archwright why {result.name}    More time: archwright resume {result.name} --budget ...",
        soft_wrap=True,
        highlight=False,
    )
    return 0


def print_export(exported: Exported, console: Console) -> None:
    """Says what was exported and what the checks found."""
    console.print(
        f"Network: {exported.folder}  ({', '.join(path.name for path in exported.files)})",
        soft_wrap=True,
        highlight=False,
    )
    console.print(exported.text(), soft_wrap=True, highlight=False, markup=False)


def _say_result(result: Result, console: Console) -> None:
    console.print()
    final = result.final
    if final is None:
        console.print(f"[bold]Best[/]: {describe(result.best.trial, result.settings)}", highlight=False, soft_wrap=True)
        return
    test = final.test[final.metric]
    searched = sum(purpose(trial) != FINAL for trial in result.trials)
    cost = f", {final.cost.params:,} parameters" if final.cost is not None else ""
    console.print(
        f"[bold green]Test {final.metric} {show(final.metric, test.value)}[/] (95% interval {show(final.metric, test.low)} to {show(final.metric, test.high)}, "
        f"{final.test_rows:,} rows){cost}, {final.answer} of {searched}",
        highlight=False,
        soft_wrap=True,
    )
    if final.against_single is not None:
        console.print(f"Ensemble: {final.against_single}.", highlight=False, soft_wrap=True)
    if final.comparison is not None:
        console.print(
            f"Control: {final.comparison.text()}; random search had {baseline_share(result.trials):.0%} of the training time.",
            highlight=False,
            soft_wrap=True,
        )
    elif final.trial in {trial.id for trial in result.trials if purpose(trial) == BASELINE}:
        console.print("Control: the answer is one of the networks drawn at random.", highlight=False, soft_wrap=True)
    else:
        missing = "no random network was trained and tested beside the search; more time would allow for one."
        said = missing if result.settings.baseline else "switched off (--baseline 0)."
        console.print(f"Control: {said}", highlight=False, soft_wrap=True)
    if known := show_controls(controls(result.trials, result.problem, result[final.trial].trial)):
        console.print(f"Beside it: {known}.", highlight=False, soft_wrap=True)
    for said in weighed(result.trials, result.problem, result.ended):
        console.print(said, highlight=False, soft_wrap=True)
    found = audit(result.trials, result.problem)
    for alarm in found.alarms if found is not None else ():
        console.print(f"[red]Alarm[/]: {alarm}", highlight=False, soft_wrap=True)
    for warning in final.warnings:
        console.print(f"[yellow]Note[/]: {warning}", highlight=False, soft_wrap=True)
    console.print(f"Ended: {result.ended}.", highlight=False, soft_wrap=True)


def _say_interrupted(result: Result, console: Console, *, as_json: bool) -> None:
    finished = sum(trial.status == "finished" for trial in result.trials)
    best = incumbent(result.problem, result.trials)
    if as_json:
        print(json.dumps({"run": result.name, "event": "interrupted", "finished": finished}), flush=True)
        return
    console.print(
        f"Interrupted after {finished} finished trials, which are kept. What still ran is taken up again on resume.",
        highlight=False,
        soft_wrap=True,
    )
    if best is not None:
        console.print(f"Best so far: {describe(best, result.settings)}", highlight=False, soft_wrap=True)
    if not result.tests:
        console.print("The test split has not been touched.", highlight=False)
    console.print(f"Go on: archwright resume {result.name}", highlight=False)
