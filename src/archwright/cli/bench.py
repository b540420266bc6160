"""The commands of benchmarks: run, table, plot, suites."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from archwright.errors import LedgerError

bench = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Compare strategies: on tables of known results with a simulated clock, or by real training; and with what users do instead.

    Start here:  `archwright bench run synthetic --strategies random,evolution --seeds 20`, then `archwright bench table synthetic`
    """,
)
console = Console()

SuiteName = Annotated[
    str,
    typer.Argument(metavar="SUITE", help="A name (see `archwright bench suites`) or a Python file that defines SUITE."),
]
Data = Annotated[
    str | None, typer.Option(help="Folder of the tables. Default: $ARCHWRIGHT_TABLES.", show_default=False)
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--store", help="Folder of the records. Default: $ARCHWRIGHT_BENCH, or ./archwright-bench.", show_default=False
    ),
]
BudgetText = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help="What a search may spend: '150 trials', '12000s' (simulated, on tables). Default: the suite's.",
        show_default=False,
    ),
]
AtOnce = Annotated[
    int | None,
    typer.Option(
        "--at-once",
        "--cores",
        help="Evaluations at once in a search, on the simulated clock; cores of a method in `value`. Default: 1.",
        show_default=False,
    ),
]
Strategies = Annotated[
    str | None,
    typer.Option(
        "--strategies",
        "--methods",
        help="Which strategies, with options: 'random,evolution(population=10,sample=3)'. Default: all that are recorded.",
        show_default=False,
    ),
]


@bench.command("suites")
def suites_command() -> None:
    """List the suites."""
    from archwright.bench import list_suites
    from archwright.cli.tables import name_table

    name_table("suite", list_suites(), console)


@bench.command("run")
def run_command(
    suite: SuiteName,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies",
            "--methods",
            help="Strategies, with options where wanted: 'random,evolution(population=10,sample=3)'; in `value` also "
            "'hand-made', 'boosting', 'boosting-tuned', 'sklearn-mlp'. Default: random,evolution,auto; in `value` all that fit.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            help="Searches of each strategy: seeds 0 to this number less one. Default: 100; in `value` 3.",
            show_default=False,
        ),
    ] = None,
    budget: BudgetText = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Searches at once, each in a process; in `training` trials at once in one search. Default: one for each core.",
            show_default=False,
        ),
    ] = None,
    at_once: AtOnce = None,
    case: Annotated[
        list[str] | None,
        typer.Option(help="Which search of the suite; may be repeated. Default: all.", show_default=False),
    ] = None,
    data: Data = None,
    store: Folder = None,
) -> None:
    """Run a suite; what is recorded already is not run again, so that a run which was killed goes on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from archwright.bench import get_suite
    from archwright.bench.execute import execute, plan
    from archwright.bench.store import BenchStore
    from archwright.engine.setup import default_workers
    from archwright.problem import Budget

    suite = _named(suite)
    found = get_suite(suite)
    trains = _trains(found)
    parallel = workers or max(1, default_workers() // (at_once or 1) if found.is_contest else default_workers())
    usual = parallel if trains else 1
    place = BenchStore(store)
    jobs, known = plan(
        found,
        _parsed(found, strategies if strategies or found.is_contest else "random,evolution,auto"),
        range(seeds or (3 if found.is_contest else 100)),
        place,
        name=suite,
        budget=Budget.parse(budget) if budget else None,
        at_once=at_once or usual,
        data=data,
        cases=case or (_present(found, data, place) if found.is_contest else ()),
    )
    if found.is_contest:
        hours = sum((job.budget.seconds or 0.0) * job.setting.workers for job in jobs) / 3600
        console.print(f"{len(jobs)} to run, {hours:,.1f} core-hours at most", highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(found.name, total=len(jobs) + known, completed=known)
        try:
            failures = execute(jobs, place, 1 if trains else parallel, lambda job: progress.advance(task))
        except KeyboardInterrupt:
            console.print("Interrupted. The same command goes on where this one stopped.")
            raise typer.Exit(130) from None
    for reason in sorted({_told(one) for one in failures}):
        console.print(reason, markup=False, highlight=False, soft_wrap=True)
    shown = None if (at_once or usual) == (default_workers() if trains else 1) else at_once or usual
    given = {"budget": budget, "at-once": shown, "data": data, "store": store}
    again = "".join(f" --{option} {shlex.quote(str(one))}" for option, one in given.items() if one is not None)
    console.print(
        f"{len(jobs) - len(failures)} searches run, {known} known before. See them: archwright bench table {suite}{again}",
        highlight=False,
        soft_wrap=True,
    )
    raise typer.Exit(1 if failures else 0)


@bench.command("table")
def table_command(
    suite: SuiteName,
    reference: Annotated[
        str | None,
        typer.Option(
            help="The strategy that others are compared with, on the same seeds. Default: random; in `value` hand-made or boosting.",
            show_default=False,
        ),
    ] = None,
    strategies: Strategies = None,
    budget: BudgetText = None,
    at_once: AtOnce = None,
    data: Data = None,
    store: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,
) -> None:
    """Print mean, standard deviation, 95% interval and paired comparisons at every checkpoint."""
    from archwright.bench import ContestCase, get_suite
    from archwright.bench.results import effort, lines, spent

    given = [spec.text for spec in _parsed(get_suite(_named(suite)), reference)]
    for searches in _collected(suite, strategies, budget, at_once, data, store):
        contest = isinstance(searches.case, ContestCase)
        against = given[0] if given else searches.case.reference if contest else "random"
        rows = list(lines(searches, against))
        efforts: list[Any] = [(spent if contest else effort)(searches, one) for one in searches.found]
        if as_json:
            for row in (*rows, *efforts):
                print(json.dumps(msgspec.to_builtins(row)))
            continue
        from archwright.cli.bench_tables import print_efforts, print_lines, print_spent

        print_lines(rows, against, str(searches.budget), console)
        (print_spent if contest else print_efforts)(efforts, console)


@bench.command("plot")
def plot_command(
    suite: SuiteName,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, .html or .svg.")],
    strategies: Strategies = None,
    budget: BudgetText = None,
    at_once: AtOnce = None,
    data: Data = None,
    store: Folder = None,
) -> None:
    """Draw regret against evaluations and simulated time."""
    from archwright.bench import get_suite
    from archwright.bench.plot import plot

    groups = _collected(suite, strategies, budget, at_once, data, store)
    console.print(f"Drawn: {plot(get_suite(suite), groups, out)}", soft_wrap=True)


def _named(suite: str) -> str:
    """A suite's name as it is recorded: files by their whole path."""
    return str(Path(suite).resolve()) if suite.endswith(".py") else suite


def _trains(suite: Any) -> bool:
    """Whether a suite trains networks in this process."""
    from archwright.bench import TrainingCase

    return any(isinstance(one, TrainingCase) for one in suite.cases)


def _parsed(suite: Any, text: str | None) -> list[Any]:
    """Strategies, or methods of a contest, as written."""
    from archwright.bench.contest import parse_methods
    from archwright.bench.specs import parse_strategies

    return (parse_methods if suite.is_contest else parse_strategies)(text or "")


def _present(suite: Any, data: str | None, store: Any) -> list[str]:
    """The contests whose data are there; says which are left out."""
    from archwright.bench.contest import prepared
    from archwright.errors import DataError

    found = []
    for case in suite.cases:
        try:
            prepared(case, data, store.folder)
            found.append(case.name)
        except DataError as error:
            console.print(f"{case.name} is left out. {error}", markup=False, highlight=False, soft_wrap=True)
    if not found:
        raise DataError(f"The data of {suite.name!r} are missing. Name their folder with --data FOLDER.")
    return found


def _told(failure: Any) -> str:
    setting = failure.job.setting
    which = f", {setting.budget}, seed {failure.job.seed}"
    return f"{setting.strategy} on {setting.case}{which}: {failure.reason}"


def _collected(
    suite: str, strategies: str | None, budget: str | None, at_once: int | None, data: str | None, store: Path | None
) -> list[Any]:
    """The recorded searches of a suite.

    Raises:
        ArchwrightError: Where there are none.
    """
    from archwright.bench import get_suite
    from archwright.bench.results import collect
    from archwright.bench.store import BenchStore
    from archwright.engine.setup import default_workers
    from archwright.problem import Budget

    suite = _named(suite)
    found, place = get_suite(suite), BenchStore(store, create=False)
    groups = collect(
        found,
        place,
        name=suite,
        budget=Budget.parse(budget) if budget else None,
        at_once=at_once or (default_workers() if _trains(found) else 1),
        data=data,
        strategies=[spec.text for spec in _parsed(found, strategies)],
    )
    if not groups:
        others = sorted(
            {f"{one.strategy} (--budget '{one.budget}' --at-once {one.workers})" for one in place.settings(suite)}
        )
        known = f" There are, with these options: {'; '.join(others)}. Or run it" if others else " Run it"
        raise LedgerError(
            f"Nothing of this kind is recorded of {suite!r} in {place.folder}.{known}: archwright bench run {suite}"
        )
    return groups
