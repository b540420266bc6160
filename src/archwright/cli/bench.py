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
    help="""Compare strategies: on tables of known results with a simulated clock, or by real training.

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
    typer.Option(help="Evaluations at once in a search, on the simulated clock. Default: 1.", show_default=False),
]
Strategies = Annotated[
    str | None,
    typer.Option(
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
        str, typer.Option(help="Strategies, with options where wanted: 'random,evolution(population=10,sample=3)'.")
    ] = "random,evolution,auto",
    seeds: Annotated[int, typer.Option(help="Searches of each strategy: seeds 0 to this number less one.")] = 100,
    budget: BudgetText = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Searches at once, each in a process; where networks are trained, trials at once in one search. Default: one for each core.",
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

    from archwright.bench import TableCase, get_suite
    from archwright.bench.execute import execute, plan
    from archwright.bench.specs import parse_strategies
    from archwright.bench.store import BenchStore
    from archwright.engine.setup import default_workers
    from archwright.problem import Budget

    suite = _named(suite)
    found = get_suite(suite)
    on_tables = all(isinstance(one, TableCase) for one in found.cases)
    parallel = workers or default_workers()
    at_once = at_once or (1 if on_tables else parallel)
    place = BenchStore(store)
    jobs, known = plan(
        found,
        parse_strategies(strategies),
        range(seeds),
        place,
        name=suite,
        budget=Budget.parse(budget) if budget else None,
        at_once=at_once,
        data=data,
        cases=case or (),
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(found.name, total=len(jobs) + known, completed=known)
        try:
            failures = execute(jobs, place, parallel if on_tables else 1, lambda job: progress.advance(task))
        except KeyboardInterrupt:
            console.print("Interrupted. The same command goes on where this one stopped.")
            raise typer.Exit(130) from None
    for reason in sorted({f"{one.job.setting.strategy} on {one.job.setting.case}: {one.reason}" for one in failures}):
        console.print(reason, markup=False, highlight=False, soft_wrap=True)
    usual = at_once == (1 if on_tables else default_workers())
    given = {"budget": budget, "at-once": None if usual else at_once, "data": data, "store": store}
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
        str, typer.Option(help="The strategy that others are compared with, on the same seeds.")
    ] = "random",
    strategies: Strategies = None,
    budget: BudgetText = None,
    at_once: AtOnce = None,
    data: Data = None,
    store: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,
) -> None:
    """Print mean, standard deviation, 95% interval and paired comparisons at every checkpoint."""
    from archwright.bench.results import effort, lines
    from archwright.bench.specs import parse_strategy

    reference = parse_strategy(reference).text
    for searches in _collected(suite, strategies, budget, at_once, data, store):
        rows = list(lines(searches, reference))
        spent = [effort(searches, strategy) for strategy in searches.found]
        if as_json:
            for row in (*rows, *spent):
                print(json.dumps(msgspec.to_builtins(row)))
            continue
        from archwright.cli.bench_tables import print_efforts, print_lines

        print_lines(rows, reference, str(searches.budget), console)
        print_efforts(spent, console)


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


def _collected(
    suite: str, strategies: str | None, budget: str | None, at_once: int | None, data: str | None, store: Path | None
) -> list[Any]:
    """The recorded searches of a suite.

    Raises:
        ArchwrightError: Where there are none.
    """
    from archwright.bench import TableCase, get_suite
    from archwright.bench.results import collect
    from archwright.bench.specs import parse_strategies
    from archwright.bench.store import BenchStore
    from archwright.engine.setup import default_workers
    from archwright.problem import Budget

    suite = _named(suite)
    found, place = get_suite(suite), BenchStore(store, create=False)
    on_tables = all(isinstance(one, TableCase) for one in found.cases)
    groups = collect(
        found,
        place,
        name=suite,
        budget=Budget.parse(budget) if budget else None,
        at_once=at_once or (1 if on_tables else default_workers()),
        data=data,
        strategies=[spec.text for spec in parse_strategies(strategies or "")],
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
