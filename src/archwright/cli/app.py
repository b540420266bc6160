"""The commands. What they need is imported when they run, so that ``--help`` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from archwright.cli.bench import bench
from archwright.errors import ArchwrightError, StrategyError
from archwright.written import value

app = typer.Typer(
    name="archwright",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    help="""**Neural architecture search**: name a data set and a budget, get a trained, verified, explained PyTorch network.

    Start here:  `archwright search digits --budget 2m`

    Your data:   `archwright search ./photos` (a folder of class folders), `./table.csv --target price`, `./data.npz`, `./book.txt`

    After a crash or Ctrl-C it goes on:  `archwright resume NAME`
    """,
)
app.add_typer(bench, name="bench")
console = Console()

Store = Annotated[
    Path | None,
    typer.Option(help="Folder of the runs. Default: $ARCHWRIGHT_RUNS, or ./archwright-runs.", show_default=False),
]
Kind = Annotated[
    str | None,
    typer.Option(help="classification or regression. Default: found out from the target.", show_default=False),
]
ImageSize = Annotated[
    int | None,
    typer.Option(help="Pixels of the images' long side. Default: their own, at most 64.", show_default=False),
]
RunName = Annotated[
    str | None,
    typer.Argument(metavar="[NAME]", help="The run (see `archwright runs`). Default: the latest.", show_default=False),
]
Progress = Annotated[str, typer.Option(help="auto, live, plain, json or none.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]


@app.command()
def search(
    data: Annotated[
        str,
        typer.Argument(
            help="A built-in name (see `archwright data`), a folder of class folders, a .npz, .csv, .parquet or .txt file, or hf:NAME."
        ),
    ],
    budget: Annotated[
        str,
        typer.Option(
            help="Time, trials, epochs or a combination: 2m, 1h30m, '50 trials', '2m, 50 trials'. Time includes the final training, the test and the export."
        ),
    ] = "10m",
    space: Annotated[
        str | None,
        typer.Option(
            help="What is searched (see `archwright spaces`). Default: cnn for images, mlp for tables, rnn-cell for texts.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[str, typer.Option(help="How it is searched (see `archwright strategies`).")] = "auto",
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the strategy: --option population=50; may be repeated.", show_default=False),
    ] = None,
    evaluator: Annotated[
        str | None,
        typer.Option(
            help="What measures a network (see `archwright evaluators`), for example zero-cost:synflow or supernet:uniform. Default: train, or what the strategy needs.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option(
            help="A network to try first; may be repeated. A reference of the space (see `archwright spaces NAME`), "
            "the card.json of an export, a JSON file of choices ({address: option}), or RUN:17, trial 17 of a run.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The target column of a table.", show_default=False)] = None,
    kind: Kind = None,
    image_size: ImageSize = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="What matters, the most important first; repeat for several: --objective accuracy --objective min:params.",
            show_default=False,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            help="A bound every network must keep, such as 'params<=200k'; may be repeated.", show_default=False
        ),
    ] = None,
    latency: Annotated[
        Path | None,
        typer.Option(
            help="A table of what operations take (see `archwright latency`); gives the metric latency_ms.",
            show_default=False,
        ),
    ] = None,
    ensemble: Annotated[
        int,
        typer.Option(help="Networks that the answer may be made of; several are averaged and exported as one."),
    ] = 1,
    workers: Annotated[
        int | None, typer.Option(help="Trials at once. Default: one for each core.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split, the proposals and the training.")] = 0,
    baseline: Annotated[
        float, typer.Option(help="Share of the training spent on random networks, as the control.")
    ] = 0.1,
    name: Annotated[
        str | None, typer.Option(help="Name of the run. Default: from the data.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the network and the report go. Default: the run's folder.", show_default=False),
    ] = None,
    store: Store = None,
    progress: Progress = "auto",
    as_json: AsJson = False,
) -> None:
    """Search for the best network for a data set: train, compare, retrain the winner, test it once, export and explain it."""
    from archwright.cli.handover import HANDOVER_SECONDS, conclude
    from archwright.engine import search as run_search

    result = run_search(
        data,
        space=space,
        strategy=strategy,
        options=_options_of(option or []),
        evaluator=evaluator,
        start=start or (),
        target=target,
        kind=kind,
        image_size=image_size,
        objectives=objective or None,
        constraints=constraint or (),
        latency=latency,
        ensemble=ensemble,
        budget=budget,
        workers=workers,
        seed=seed,
        baseline=baseline,
        name=name,
        store=store,
        progress="json" if as_json else progress,
        after=HANDOVER_SECONDS,
    )
    raise typer.Exit(conclude(result, out, console, as_json=as_json))


@app.command()
def resume(
    name: RunName = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="The new total budget, all sessions together; one that is spent already ends the run with an answer. Default: as it was.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Trials at once. Default: as it was.", show_default=False)] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the network and the report go. Default: the run's folder.", show_default=False),
    ] = None,
    store: Store = None,
    progress: Progress = "auto",
    as_json: AsJson = False,
) -> None:
    """Go on with a run after Ctrl-C, a crash or a power cut, or add budget to one that ended."""
    from archwright.cli.handover import conclude
    from archwright.engine import resume as resume_search

    result = resume_search(name, budget=budget, workers=workers, store=store, progress="json" if as_json else progress)
    raise typer.Exit(conclude(result, out, console, as_json=as_json))


@app.command()
def latency(
    data: Annotated[str, typer.Argument(help="The data set, as for `archwright search`.")],
    space: Annotated[
        str | None, typer.Option(help="Whose operations. Default: that of a search.", show_default=False)
    ] = None,
    target: Annotated[str | None, typer.Option(help="The target column of a table.", show_default=False)] = None,
    kind: Kind = None,
    image_size: ImageSize = None,
    threads: Annotated[int, typer.Option(help="Threads an operation may use.")] = 1,
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = Path("latency.json"),
) -> None:
    """Measure what each operation of a space takes on this machine, for searches with `--latency` and 'latency_ms<=5'."""
    from archwright.cli.latency import measure

    measure(data, space, target, kind, image_size, threads, out, console)


@app.command()
def runs(store: Store = None, as_json: AsJson = False) -> None:
    """List the runs of the store."""
    from archwright.cli.tables import runs_table

    runs_table(store, console, as_json=as_json)


@app.command()
def show(
    name: RunName = None,
    store: Store = None,
    top: Annotated[int, typer.Option(help="How many of the best trials to list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show a run: its best networks, the test result, failures."""
    from archwright.cli.tables import show_run

    show_run(name, store, console, top=top, as_json=as_json)


@app.command()
def why(
    name: RunName = None,
    trial: Annotated[
        int | None, typer.Argument(metavar="[TRIAL]", help="The trial. Default: the chosen one.", show_default=False)
    ] = None,
    store: Store = None,
) -> None:
    """Explain where a network comes from: its parents, each edit, and the reason of each step."""
    from archwright.engine import open_run

    result = open_run(name, store=store)
    console.print(
        (result.best if trial is None else result[trial]).why(), markup=False, highlight=False, soft_wrap=True
    )


@app.command()
def report(
    name: RunName = None,
    out: Annotated[
        Path | None, typer.Option(help="The HTML file. Default: report.html in the run's folder.", show_default=False)
    ] = None,
    store: Store = None,
) -> None:
    """Write a run's report: one HTML file, readable offline and on a phone."""
    from archwright.engine import open_run

    console.print(f"Report: {open_run(name, store=store).report(out)}", soft_wrap=True)


@app.command()
def export(
    name: RunName = None,
    to: Annotated[
        Path | None, typer.Option(help="The folder. Default: model/ in the run's folder.", show_default=False)
    ] = None,
    trial: Annotated[int | None, typer.Option(help="The trial. Default: the chosen one.", show_default=False)] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the folder if it exists.")] = False,
    store: Store = None,
) -> None:
    """Export a network as plain PyTorch, safetensors and ONNX with a model card, and verify all of it in a separate process."""
    from archwright.cli.handover import print_export
    from archwright.engine import open_run

    result = open_run(name, store=store)
    candidate = result.best if trial is None else result[trial]
    print_export(candidate.export(to or result.store.run_folder(result.name) / "model", overwrite=overwrite), console)


@app.command()
def spaces(
    name: Annotated[
        str | None,
        typer.Argument(help="A space, to see its expression, its size and its references.", show_default=False),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Print the choices of one of its references, as JSON that `archwright search --start FILE` reads.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List the spaces, or print one: its expression, its exact size and its references, networks known to be good."""
    from archwright.cli.spaces import print_reference, spaces_table

    if name is not None and reference is not None:
        print_reference(name, reference)
    else:
        spaces_table(name, console)


@app.command()
def strategies() -> None:
    """List the strategies with their sources."""
    from archwright.cli.tables import name_table
    from archwright.strategies import list_strategies

    name_table("strategy", list_strategies(), console)


@app.command()
def evaluators() -> None:
    """List the evaluators with their sources."""
    from archwright.cli.tables import name_table
    from archwright.evaluators import list_evaluators

    name_table("evaluator", list_evaluators(), console)


@app.command()
def data(
    source: Annotated[
        str | None, typer.Argument(help="A data set, to see its splits, shapes and warnings.", show_default=False)
    ] = None,
    target: Annotated[str | None, typer.Option(help="The target column of a table.", show_default=False)] = None,
    kind: Kind = None,
    image_size: ImageSize = None,
) -> None:
    """List the built-in data sets, or inspect one (yours too) before searching."""
    from archwright.cli.tables import data_table

    data_table(source, target, kind, image_size, console)


@app.command()
def doctor(store: Store = None) -> None:
    """Check this machine: versions, cores, number formats, extras, and whether the store can be written."""
    from archwright.cli.doctor import examine

    raise typer.Exit(examine(store, console))


@app.command()
def salvage(to: Annotated[Path, typer.Option(help="Folder of the new store.")], store: Store = None) -> None:
    """Rescue a damaged store: copy what is readable into a new one, where its runs go on."""
    from archwright.cli.salvage import salvage_store

    salvage_store(store, console, to)


def _options_of(texts: list[str]) -> dict[str, Any]:
    """Options of a strategy as written."""
    options: dict[str, Any] = {}
    for text in texts:
        name, equals, given = text.partition("=")
        if not equals:
            raise StrategyError(f"Got the option {text!r}; expected NAME=VALUE, for example --option population=50.")
        options[name.strip()] = value(given)
    return options


def _version(wanted: bool) -> None:
    if wanted:
        from archwright import __version__

        console.print(f"archwright {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version


def main() -> None:
    """Runs the command line; an expected error is one clear message and exit code 1, an interrupt 130."""
    try:
        app()
    except ArchwrightError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}[/]: ", end="")
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("Interrupted. Nothing finished is lost: archwright resume", file=sys.stderr)
        sys.exit(130)
