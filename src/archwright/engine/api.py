"""The one call a user needs, and the two that go on with or look at what it left."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from archwright.engine import one_shot, setup
from archwright.engine.clock import Clock
from archwright.engine.ensemble import check_size
from archwright.engine.plan import (
    Plan,
    first_references,
    make_ending,
    make_plan,
    openers,
    shared_plan,
    timetable,
    trained_controls,
)
from archwright.engine.progress import observer
from archwright.engine.result import Result, load_run_task, problem_of
from archwright.engine.session import run_session
from archwright.engine.settings import Settings, versions
from archwright.engine.start import read_starts
from archwright.engine.store import Store
from archwright.errors import ArchwrightError, BudgetError, DataError, LedgerError
from archwright.executors import refuse_in_worker
from archwright.ledger import Run, fold
from archwright.problem import (
    FINAL,
    Budget,
    Constraint,
    Evaluator,
    Fidelity,
    Objective,
    Problem,
    Signature,
    Space,
    purpose,
)
from archwright.strategies import get_strategy
from archwright.strategies.opening import Start
from archwright.strategies.terms import Terms

if TYPE_CHECKING:
    from archwright.tasks import Task


def search(
    data: Any = None,
    *,
    space: str | Space | None = None,
    strategy: str = "auto",
    options: dict[str, Any] | None = None,
    evaluator: str | Evaluator | Callable[..., Any] | None = None,
    start: Any = (),
    target: str | None = None,
    kind: str | None = None,
    image_size: int | None = None,
    objectives: str | Objective | Sequence[str | Objective] | None = None,
    constraints: str | Sequence[str | Constraint] = (),
    latency: str | os.PathLike[str] | Mapping[str, float] | None = None,
    budget: str | float | Budget = "10m",
    fidelity: Fidelity | None = None,
    signature: Signature | None = None,
    workers: int | None = None,
    seed: int = 0,
    baseline: float = 0.1,
    name: str | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: str = "auto",
    after: float = 0.0,
    ensemble: int = 1,
) -> Result:
    """Searches for the best network for a data set within a budget.

    Args:
        data: A built-in name (``"digits"``, see ``archwright data``), a path (folder of class folders, ``.npz``, ``.csv``, ``.parquet``, ``.txt``), ``"hf:NAME"``,
            arrays ``(X, y)``, or a loaded task. ``None`` only with your own ``evaluator``.
        space: A name from ``archwright spaces`` or an ``archwright.Space``; default: one that fits the data.
        strategy: A name from ``archwright strategies``.
        options: Options of the strategy.
        evaluator: A name from ``archwright evaluators`` (``"zero-cost:synflow"``), or your own function ``(proposal, problem, seed)`` that yields or returns
            measurements; default: ``"train"``.
        start: What is tried first, one or a list: the name of a reference of the space, ``"RUN:17"`` for a trial of a
            run, the path of a JSON file of choices or of the ``card.json`` of an export, an architecture, or a mapping.
        target: The target column of a table.
        kind: ``"classification"`` or ``"regression"``; default: found out from the target.
        image_size: Pixels of the images' long side; default: their own, at most 64.
        objectives: What matters, the most important first: ``"accuracy"``, ``["accuracy", "min:params"]``.
        constraints: Bounds: ``"params<=200k"``.
        latency: A table of what operations take on the device (``archwright latency``), which gives the metric ``latency_ms``.
        budget: ``"2m"``, ``"50 trials"``, ``"200 epochs"`` or a combination; time includes the final training and test.
        fidelity: Full fidelity of a trial; default: from the budget and the measured speed.
        signature: Input shapes and output sizes, where there is no data set.
        workers: Evaluations at once, each in a process of its own; 1 evaluates in this process. Default: one for each core.
        seed: One seed gives one search (on one worker, and a budget that is not time).
        baseline: Share of the training spent on random architectures, as the control, the best of which is trained and tested beside the answer; 0 for none.
        name: Name of the run; default: from the data.
        store: Folder of the runs; default ``$ARCHWRIGHT_RUNS`` or ``archwright-runs``.
        progress: ``"auto"`` (live in terminals and notebooks, else lines), ``"live"``, ``"plain"``, ``"json"`` or ``"none"``.
        after: Seconds of a time budget to leave for what you do with the result, a tenth of it at most; the command line exports in them.
        ensemble: Networks that the answer may be made of, repetitions counted; 1 for one network.
            Several are averaged if that scores better on the validation rows, and exported as one.

    Returns:
        The result; ``result.best`` is the chosen network.

    Raises:
        ArchwrightError: With a message that says what was wrong and what to do, before any training where possible.
    """
    refuse_in_worker()
    limit = Budget.parse(budget)
    if not 0 <= baseline < 1:
        raise BudgetError(f"Got a baseline share of {baseline}; expected a number from 0 to below 1.")
    clock = Clock(0.0, limit.seconds)
    task = setup.load(data, target, kind, seed, image_size)
    evaluator = setup.check_pairing(strategy, options or {}, evaluator)
    evaluator_name, about = setup.resolve_evaluator(evaluator, task)
    own = about is evaluator
    measured, trains = (None, True) if own else (getattr(about, "metrics", None), getattr(about, "trains", True))
    if limit.epochs is not None and not trains:
        raise BudgetError(
            f"Got a budget of epochs, but {evaluator_name} trains nothing; expected time, trials or both."
        )
    chosen_space = setup.resolve_space(space, task)
    goals = setup.resolve_objectives(objectives, task, measured, latency is not None)
    bounds = setup.resolve_constraints(constraints, task, measured, latency is not None)
    check_size(ensemble, None if own else task, trains, goals)
    chosen_strategy = get_strategy(strategy, **(options or {}))
    default = 1 if own else setup.default_workers()
    parallel = setup.resolve_workers(default if workers is None else workers)
    notes: dict[str, Any] = {"baseline": baseline}
    if latency is not None:
        notes["latency"] = setup.resolve_latency(latency, chosen_space, setup.signature_of(task, signature))
    place = Store(store)
    division = Plan(fidelity or Fidelity(), fidelity or Fidelity())
    starts: tuple[Start, ...] = ()
    if start:
        setup.check_startable(about)
        signed = setup.signature_of(task, signature)
        starts = read_starts(start, Problem(chosen_space, signed, goals, bounds, settings=notes), place)
    if not own and task is not None:
        asked = Problem(chosen_space, task.signature, goals, bounds, limit, seed, workers=parallel, settings=notes)
        races = trains and getattr(chosen_strategy, "races", False)
        division = make_plan(asked, task, clock.spent, after, fidelity, races)
        if races and "race" not in division.notes:
            known = {start.architecture for start in starts}
            starts += tuple(one for one in openers(asked, first_references(limit)) if one.architecture not in known)
    final = division.final
    if trains:
        fidelity = division.fidelity
        notes |= division.notes
    else:
        fidelity = Fidelity()
        notes["trains"] = False
    notes["setup_seconds"] = round(clock.spent, 3)
    if limit.seconds is not None:
        ending = make_ending(task, final, after, trained_controls(baseline, notes), limit, parallel)
        notes |= timetable(limit.seconds, clock.spent, division.notes, ending, parallel)
    if task is not None and getattr(about, "shares", False):
        fidelity = one_shot.SHARED
        planned = division.notes | notes
        notes["one_shot"] = shared_plan(chosen_space, task, about, division.fidelity, planned, parallel, seed)
    settings = Settings(
        data=os.fspath(data) if isinstance(data, str | os.PathLike) else None,
        target=target,
        kind=kind,
        image_size=image_size,
        task=task.name if task is not None else chosen_space.name,
        facts=dict(task.describe()) if task is not None else {},
        data_hash=task.data_hash if task is not None else "",
        space=chosen_space.to_json(),  # type: ignore[attr-defined]
        strategy=strategy,
        options=options or {},
        evaluator=evaluator_name,
        own=own,
        starts=starts,
        objectives=goals,
        constraints=bounds,
        budget=limit,
        seed=seed,
        workers=parallel,
        baseline=baseline,
        fidelity=fidelity,
        final=final,
        after=after,
        ensemble=ensemble,
        signature=setup.signature_of(task, signature),
        notes=notes,
        command=setup.command_line(),
        versions=versions(),
    )
    problem = dataclasses.replace(problem_of(settings), space=chosen_space)
    get_strategy(strategy, **settings.options).init(problem)  # refuses what it cannot search, and
    observer(progress, "", settings)  # this what it cannot show, before there is a run
    run = place.ledger.create_run(name, settings.as_header())
    with run.session(command=settings.command) as session:
        return run_session(session, place, run.name, problem, settings, task, about if own else None, clock, progress)


def resume(
    name: str | None = None,
    *,
    budget: str | float | Budget | None = None,
    data: Any = None,
    evaluator: Evaluator | Callable[..., Any] | None = None,
    workers: int | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: str = "auto",
) -> Result:
    """Goes on with a run after Ctrl-C or a crash, or adds budget to one that ended.

    Args:
        name: The run; default: the latest.
        budget: The new total budget, all sessions together; default: as it was.
        data: The arrays, where the run was started with arrays.
        evaluator: Your function, where the run was started with one.
        workers: Evaluations at once; default: as it was.
        store: Folder of the runs.
        progress: As for :func:`search`.

    Raises:
        LedgerError: Where there is no such run, or another process is running it.
    """
    place = Store(store, create=False)
    run = place.ledger.run(name or _latest(place))
    settings = Settings.of(run.header, run.events())
    if settings.own and evaluator is None:
        raise ArchwrightError(
            f"The run '{run.name}' was started with your function {settings.evaluator}; pass it again: resume({run.name!r}, evaluator={settings.evaluator})."
        )
    changes = _changes(settings, budget, workers, run)
    settings = msgspec.structs.replace(settings, **changes)
    clock = Clock(run.spent + settings.notes.get("setup_seconds", 0.0), settings.budget.seconds)
    with run.session(command=setup.command_line()) as session:
        if changes:
            session.append("noted", None, changes)
        task = _same_task(settings, data)
        return run_session(session, place, run.name, problem_of(settings), settings, task, evaluator, clock, progress)


def _changes(settings: Settings, budget: str | float | Budget | None, workers: int | None, run: Run) -> dict[str, Any]:
    """What a session changes of the settings; more time is more time for searching."""
    limit = Budget.parse(budget) if budget is not None else settings.budget
    changes: dict[str, Any] = {}
    if workers is not None and workers != settings.workers:
        changes["workers"] = setup.resolve_workers(workers)
    if limit != settings.budget:
        changes["budget"] = limit
        before = settings.budget.seconds
        if limit.seconds is None and "race" in settings.notes:  # without a limit the answer's training is as planned
            changes["final"] = Fidelity(settings.notes["race"]["epochs"])
        if limit.seconds is not None and before is not None and "search_seconds" in settings.notes:
            notes = {**settings.notes}
            notes["search_seconds"] += limit.seconds - before
            if "race" in notes:
                more = limit.seconds - before - _answered(run, settings.workers)
                terms = msgspec.convert(notes["race"], Terms).with_seconds(more)
                notes["race"], changes["fidelity"] = msgspec.to_builtins(terms), Fidelity(terms.epochs)
                changes["final"] = Fidelity(max(terms.epochs, settings.final.epochs))
            if "final" in notes:
                notes["final"] = {**notes["final"], "seconds": notes["final"]["seconds"] * limit.seconds / before}
            if "one_shot" in notes:
                plan = one_shot.plan_of(notes["one_shot"]).scaled(limit.seconds / before, settings.final.epochs)
                notes["one_shot"] = {**notes["one_shot"], **msgspec.to_builtins(plan)}
            changes["notes"] = notes
    return changes


def _answered(run: Run, workers: int) -> float:
    """Seconds that a run spent on other things than its search: on earlier answers."""
    searched = sum(trial.seconds for trial in fold(run.events()) if purpose(trial) != FINAL)
    return max(0.0, run.spent - searched / workers)


def _same_task(settings: Settings, data: Any) -> Task | None:
    if not settings.data_hash:
        return None
    if data is None:
        return load_run_task(settings)
    task = setup.load(data, settings.target, settings.kind, settings.seed, settings.image_size, settings.scaling)
    if task is not None and task.data_hash != settings.data_hash:
        raise DataError(
            f"The data given are not those the run was started with (hash {task.data_hash[:12]}, was {settings.data_hash[:12]})."
        )
    if task is not None and task.signature.columns != settings.signature.columns:
        raise DataError(
            "The table was loaded with another scaling than that of the run. "
            f"Load it with load_task(..., scaling={settings.scaling!r})."
        )
    return task


def open_run(name: str | None = None, *, store: str | os.PathLike[str] | None = None) -> Result:
    """A run from the ledger, to look at; the latest where no name is given."""
    place = Store(store, create=False)
    return Result(place, name or _latest(place))


def _latest(place: Store) -> str:
    runs = place.ledger.runs()
    if not runs:
        raise LedgerError(f"There are no runs in {place.folder} yet. Start one: archwright search digits --budget 2m")
    return max(runs, key=lambda run: run.created).name
