"""What a person sees while a search runs: a live panel, plain lines, or JSON for machines."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from archwright.engine.settings import Settings
from archwright.errors import BudgetError, closest
from archwright.explain import fidelity, show_fidelity
from archwright.problem import FINAL, Trial, purpose
from archwright.problem.final import show
from archwright.strategies.opening import START

if TYPE_CHECKING:
    from archwright.engine.loop import Loop
    from archwright.engine.result import Result

MODES = ("auto", "live", "plain", "json", "none")


class Observer:
    """Watches a loop and says nothing; the others say it in their way. A context manager.

    Args:
        name: The run.
        settings: Its settings.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings
        self.note = "searching"

    def __enter__(self) -> Observer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def begin(self, loop: Loop) -> None:
        """Called once, when the events of earlier sessions have been read."""

    def update(self, loop: Loop) -> None:
        """Called after every event and while waiting."""

    def phase(self, note: str) -> None:
        """A new phase begins."""
        self.note = note

    def finish(self, result: Result) -> None:
        """The session has ended."""


class _Reported:
    """Remembers which trials were told of, so that a watcher looks at each only once, however many there are."""

    def __init__(self) -> None:
        self._next = 0
        self._open: list[int] = []

    def newly_done(self, trials: Mapping[int, Trial]) -> list[Trial]:
        """Trials that are done and were not yet returned."""
        self._open += range(self._next, len(trials))
        self._next = len(trials)
        found = [trials[number] for number in self._open if trials[number].done]
        self._open = [number for number in self._open if not trials[number].done]
        return found


class Plain(Observer):
    """A line when the incumbent changes, a trial fails, or half a minute has passed."""

    def __init__(self, name: str, settings: Settings, stream: IO[str] | None = None, every: float = 30.0) -> None:
        super().__init__(name, settings)
        self._stream, self._every = stream or sys.stderr, every
        self._last = time.monotonic()
        self._best: int | None = None
        self._reported = _Reported()

    def begin(self, loop: Loop) -> None:
        """What earlier sessions told is not told again."""
        self._reported.newly_done(loop.trials)

    def __enter__(self) -> Observer:
        for line in (headline(self.name, self.settings), *cautions(self.settings)):
            self._say(line)
        return self

    def update(self, loop: Loop) -> None:
        """Says what is new."""
        best = loop.incumbent()
        if best is not None and best.id != self._best:
            self._best = best.id
            self._say(f"{_spent(loop)}  new best: {describe(best, self.settings)}")
        elif time.monotonic() - self._last > self._every:
            self._say(f"{_spent(loop)}  {self.note}; running {len(loop.executor.running)}")
        for trial in self._reported.newly_done(loop.trials):
            if trial.status == "failed":
                self._say(f"{_spent(loop)}  trial {trial.id} failed: {trial.reason}")

    def phase(self, note: str) -> None:
        """Says so."""
        super().phase(note)
        self._say(note)

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        print(line, file=self._stream, flush=True)


class Json(Observer):
    """One JSON object a line on standard output: each finished trial, each phase."""

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(name, settings)
        self._reported = _Reported()

    def begin(self, loop: Loop) -> None:
        """What earlier sessions told is not told again."""
        self._reported.newly_done(loop.trials)

    def update(self, loop: Loop) -> None:
        """Says what is new."""
        for trial in self._reported.newly_done(loop.trials):
            self._say(
                event="trial",
                trial=trial.id,
                status=trial.status,
                values=trial.final.values if trial.final else {},
                reason=trial.reason,
                why=trial.proposal.why,
                seconds=round(trial.seconds, 3),
                spent=loop.spent,
            )

    def phase(self, note: str) -> None:
        """Says so."""
        super().phase(note)
        self._say(event="phase", note=note)

    def _say(self, **record: Any) -> None:
        print(json.dumps({"run": self.name, **record}), flush=True)


class _Cell:
    """The output of a notebook's cell, redrawn. Unlike a widget's it is still there when the notebook is opened again."""

    def __enter__(self) -> _Cell:
        display: Any = importlib.import_module("IPython.display")  # there is one where there is a notebook
        self._handle = display.display(Text(), display_id=True)
        return self

    def update(self, panel: Panel) -> None:
        self._handle.update(panel)

    def __exit__(self, *_: object) -> None:
        return None


class LivePanel(Observer):
    """A panel that redraws itself: budget, incumbent, what is running and why."""

    def __init__(self, name: str, settings: Settings, console: Console | None = None) -> None:
        super().__init__(name, settings)
        self._console = console or Console(stderr=True)
        in_cell = self._console.is_jupyter
        self._live = _Cell() if in_cell else Live(console=self._console, refresh_per_second=4, transient=False)
        self._drawn = 0.0
        self._loop: Loop | None = None
        self._reported, self._counts = _Reported(), Counter[str]()

    def __enter__(self) -> Observer:
        for line in cautions(self.settings):
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
        self._live.__enter__()
        self._live.update(
            Panel(Text("starting the workers ..."), title=headline(self.name, self.settings), title_align="left")
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None:
            self._live.update(self._panel(self._loop))
        self._live.__exit__(kind, error, trace)

    def update(self, loop: Loop) -> None:
        """Says what is new."""
        self._loop = loop
        now = time.monotonic()
        if now - self._drawn > 0.25:
            self._drawn = now
            self._live.update(self._panel(loop))

    def phase(self, note: str) -> None:
        """Says so."""
        super().phase(note)
        self._drawn = 0.0

    def _panel(self, loop: Loop) -> Panel:
        self._counts.update(trial.status for trial in self._reported.newly_done(loop.trials))
        done = {**self._counts, "running": len(loop.executor.running)}
        counts = Text(f"{len(loop.trials)} trials: ")
        counts.append(
            ", ".join(
                f"{done[status]} {label}"
                for status, label in (
                    ("finished", "finished"),
                    ("duplicate", "known already"),
                    ("failed", "failed"),
                    ("stopped", "stopped"),
                    ("running", "running"),
                )
                if done.get(status)
            )
            or "none yet"
        )
        rows: list[Any] = [_budget_bars(loop), counts]
        best, control = loop.incumbent(), loop.incumbent("baseline")
        if best is not None:
            rows.append(Text.assemble(("best    ", "bold"), describe(best, self.settings)))
        if control is not None:
            rows.append(Text.assemble(("random  ", "dim"), (describe(control, self.settings), "dim")))
        running = Table.grid(padding=(0, 2))
        for number in loop.executor.running[:6]:
            trial = loop.trials[number]
            running.add_row(f"  trial {number}", _progress(trial, loop), reason(trial))
        rows.extend([Text(self.note, style="italic"), running])
        return Panel(Group(*rows), title=headline(self.name, self.settings), title_align="left")


def observer(mode: str, name: str, settings: Settings) -> Observer:
    """The observer for a mode; ``auto`` is live in terminals and notebooks and plain lines elsewhere."""
    if mode not in MODES:
        raise BudgetError(f"Got progress={mode!r}. {closest(mode, MODES)}")
    if mode == "auto":
        console = Console(stderr=True)
        mode = "live" if console.is_terminal or console.is_jupyter else "plain"
    kinds: dict[str, type[Observer]] = {"live": LivePanel, "plain": Plain, "json": Json, "none": Observer}
    return kinds[mode](name, settings)


def headline(name: str, settings: Settings) -> str:
    """One line that says what is searched."""
    data = settings.task
    goals = ", ".join(objective.metric for objective in settings.objectives)
    bounds = "".join(f", {constraint}" for constraint in settings.constraints)
    return f"{name}: {data}, {goals}{bounds}, {settings.strategy}, {settings.budget}, seed {settings.seed}, {settings.workers} worker{'s' * (settings.workers > 1)}"


def cautions(settings: Settings) -> list[str]:
    """What a person must know about the data before any training."""
    return [f"Note: {value}" for what, value in settings.facts.items() if what.startswith("warning")]


def describe(trial: Trial, settings: Settings) -> str:
    """A trial's result in one line."""
    metric = settings.objectives[0].metric
    value = trial.value(metric)
    shown = show(metric, value) if value is not None else "-"
    params = trial.value("params")
    size = f", {int(params):,} parameters" if params is not None else ""
    trained = show_fidelity(trial.proposal.fidelity or settings.fidelity)
    epochs = f", {trained}" if settings.evaluator in ("train", "inherit") else ""
    return f"{metric} {shown}{size}{epochs} (trial {trial.id}, {reason(trial)})"


def reason(trial: Trial) -> str:
    """Why a trial was proposed, in a few words."""
    why = trial.proposal.why
    if purpose(trial) == FINAL:
        return f"final training of trial {why.get('of')}"
    edit = why.get("edit")
    by = str(why.get("by", "?"))
    if by == "reference":
        return f"reference {why.get('reference')}"
    if by == START:
        return f"start {why.get(START)}"
    if isinstance(edit, dict) and edit:
        changes = [
            f"{address}: {pair[0]} -> {pair[1]}"
            for address, pair in list(edit.items())[:2]
            if isinstance(pair, list | tuple) and len(pair) == 2
        ]
        return f"{by} of {trial.proposal.parent}: {'; '.join(changes)}"
    return by if trial.proposal.parent is None else f"{by} of {trial.proposal.parent}"


def _progress(trial: Trial, loop: Loop) -> str:
    epoch = trial.final.epoch if trial.final else 0
    return f"epoch {epoch}/{fidelity(trial, loop.problem).epochs}"


def _spent(loop: Loop) -> str:
    minutes, seconds = divmod(int(loop.clock.spent), 60)
    return f"[{minutes:d}:{seconds:02d}, {len(loop.trials)} trials]"


def _budget_bars(loop: Loop) -> Table:
    grid = Table.grid(padding=(0, 2))
    budget, spent = loop.problem.budget, loop.spent
    for label, limit, used, unit in (
        ("time", budget.seconds, spent["seconds"], "s"),
        ("trials", budget.trials, spent["trials"], ""),
        ("epochs", budget.epochs, spent["epochs"], ""),
    ):
        if limit is not None:
            grid.add_row(
                label,
                ProgressBar(total=float(limit), completed=min(used, float(limit)), width=40),
                f"{used:.0f} of {limit:.0f}{unit}",
            )
    return grid
