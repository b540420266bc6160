"""From what a user says to a problem, an evaluator and the settings that the ledger remembers."""

from __future__ import annotations

import dataclasses
import math
import os
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from archwright.engine import one_shot
from archwright.engine.clock import RESERVE_SHARE, Ending, Pace
from archwright.errors import ArchwrightError, BudgetError, DataError, EvaluationError, SpaceError, StrategyError
from archwright.graph.latency import read_table
from archwright.problem import Architecture, Budget, Constraint, Fidelity, Objective, Problem, Signature, Trial
from archwright.problem import Space as SpaceLike
from archwright.problem.problem import LATENCY
from archwright.space import Space, get_space
from archwright.space.covering import covering
from archwright.strategies import get_strategy

if TYPE_CHECKING:
    from archwright.tasks import Task

TRIAL_SAMPLES = 50_000
"""Training samples that a full trial sees where time is not limited: 46 epochs of digits."""
FINAL_SAMPLES = 3_000_000
"""Training samples that the final training sees at most where time is limited, and so a trial: 60 epochs of 50,000 rows."""
STEEP_SAMPLES = 500_000
"""Training samples up to which the error falls steeply: on Fashion-MNIST by a fifth from 3 to 10 epochs, by a twentieth from 10 to 30."""
LEAST_EPOCHS = 8
"""Where the time allows for fewer epochs than these, a trial sees a share of the data for as many, so that it can be stopped early."""
LEAST_SHARE = 0.02
MOST_TRIALS = 100
"""Full trials that a time budget should allow for, while they have epochs enough: the finalists are trained further, a trial need not be."""
LEAST_TRIALS = 16
"""Full trials that it should allow for in any case, on a share of the data if need be."""
EPOCHS = (3, 60)
START_SECONDS = 5.0
"""What starting the workers is expected to take."""
COSTS = ("params", "flops", "activation_bytes")


def load(
    data: Any,
    target: str | None,
    kind: str | None,
    seed: int,
    image_size: int | None = None,
    scaling: Literal["robust", "standard"] = "robust",
) -> Task | None:
    """The task a user means by a data source; ``None`` for none."""
    from archwright.tasks import Task, load_task

    if data is None or isinstance(data, Task):
        if image_size is not None:
            raise DataError("Got image_size for data that are loaded already; give it to load_task.")
        return data
    return load_task(data, target, kind=kind, seed=seed, image_size=image_size, scaling=scaling)


def resolve_workers(workers: int) -> int:
    """The number of workers, checked."""
    if workers < 1:
        raise BudgetError(f"Got {workers} workers; expected 1 or more.")
    return workers


def default_workers() -> int:
    """One worker for each core this process may use, eight at most."""
    return min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def resolve_space(space: str | SpaceLike | None, task: Task | None) -> SpaceLike:
    """The space a user means: a name, a space, or the task's default."""
    if space is None:
        if task is None:
            raise SpaceError(
                "Got no space and no data. Give a data set, or a space with your own evaluator: search(space=..., evaluator=...)."
            )
        return get_space(task.default_space)
    if isinstance(space, str):
        return get_space(space)
    if not isinstance(space, SpaceLike):
        raise SpaceError(
            f"Got {space!r} as the space; expected a name (see `archwright spaces`) or archwright.Space(expression)."
        )
    return space


def resolve_evaluator(evaluator: Any, task: Task | None) -> tuple[str, Any]:
    """The name of the evaluator a user means, and what tells about it: the user's own function, or the named evaluator, without any folders.

    Raises:
        ArchwrightError: Where there is no evaluator of that name, or no data for it.
    """
    if evaluator is not None and not isinstance(evaluator, str):
        return getattr(evaluator, "__qualname__", type(evaluator).__qualname__), evaluator
    if task is None and evaluator is None:
        raise ArchwrightError(
            "Got neither data nor an evaluator. Name a data set, for example search('digits'), or pass evaluator=your_function."
        )
    if task is None:
        raise ArchwrightError(
            f"Got no data for the evaluator {evaluator!r}. Name a data set, for example search('digits', evaluator={evaluator!r})."
        )
    from archwright.evaluators import get_evaluator

    return evaluator or "train", get_evaluator(evaluator or "train")


def resolve_objectives(
    objectives: str | Objective | Sequence[str | Objective] | None,
    task: Task | None,
    measured: Sequence[str] | None = None,
    table: bool = False,
) -> tuple[Objective, ...]:
    """Objectives as written, or the default; unknown metrics are refused.

    Args:
        objectives: As the user wrote them.
        task: The data.
        measured: What the evaluator measures besides the costs, more being better, where these are not the metrics of the task.
        table: Whether there is a latency table.
    """
    if objectives is None and measured:
        return (Objective(measured[0]),)
    if objectives is None:
        return (Objective.parse(task.objective) if task is not None else Objective("score"),)
    listed = [objectives] if isinstance(objectives, str | Objective) else list(objectives)
    parsed = tuple(Objective.parse(item) if isinstance(item, str) else item for item in listed)
    if not parsed:
        raise BudgetError("Got an empty list of objectives; expected at least one, for example 'accuracy'.")
    if task is not None:
        _check_metrics([objective.metric for objective in parsed], task, measured, table)
    return parsed


def resolve_constraints(
    constraints: str | Sequence[str | Constraint],
    task: Task | None,
    measured: Sequence[str] | None = None,
    table: bool = False,
) -> tuple[Constraint, ...]:
    """Constraints as written; unknown metrics are refused."""
    listed = [constraints] if isinstance(constraints, str) else list(constraints)
    parsed = tuple(Constraint.parse(item) if isinstance(item, str) else item for item in listed)
    if task is not None:
        _check_metrics([constraint.metric for constraint in parsed], task, measured, table)
    return parsed


def _check_metrics(names: list[str], task: Task, measured: Sequence[str] | None, table: bool) -> None:
    from archwright.errors import closest

    who = "the evaluator" if measured else f"a {task.kind} task"
    known = (*(measured or (*task.metrics, "loss")), *COSTS, *([LATENCY] if table else []))
    for name in names:
        if name == LATENCY and not table:
            raise BudgetError(
                f"Got the metric {LATENCY!r} without a latency table; expected one, see `archwright latency --help`."
            )
        if name not in known:
            raise BudgetError(f"Got the metric {name!r}, which {who} does not measure. {closest(name, known)}")


def resolve_latency(
    latency: str | os.PathLike[str] | Mapping[str, float] | None, space: SpaceLike, signature: Signature
) -> dict[str, float]:
    """The entries of a latency table, checked against the space: every option of every choice is looked up once.

    Raises:
        GraphError: Where the file is no table, or it misses an operation; names it and its place.
    """
    if latency is None:
        return {}
    entries = dict(latency) if isinstance(latency, Mapping) else read_table(latency)
    rng = np.random.default_rng(0)
    for architecture in covering(space, rng) if isinstance(space, Space) else [space.sample(rng) for _ in range(64)]:
        try:
            graph = space.graph(architecture, signature)
        except ArchwrightError:
            continue
        graph.latency(entries)  # type: ignore[attr-defined]
    return entries


def choose_fidelity(
    space: SpaceLike, task: Task, budget: Budget, workers: int, seed: int, constraints: tuple[Constraint, ...]
) -> tuple[Fidelity, dict[str, Any]]:
    """The full fidelity of a trial, so that the budget allows for enough of them; and how it was found.

    With a time limit, three random architectures are timed for a moment; without one the result depends on the data's size only, so that
    the same seed gives the same search on any machine.
    """
    rows = len(task.train.x)
    if budget.seconds is None:
        epochs = _epochs(TRIAL_SAMPLES, rows)
        if budget.epochs is not None:
            epochs = max(1, min(epochs, int(budget.epochs / 10)))
        return Fidelity(epochs), {}
    pace = measured_pace(space, task, seed, constraints, min(6.0, 0.04 * budget.seconds))
    notes = {"pace": dataclasses.asdict(pace)}
    affordable = (1 - RESERVE_SHARE) * budget.seconds * workers / (pace.epoch + pace.row * len(task.valid))
    epochs = min(_epochs(FINAL_SAMPLES, rows), max(LEAST_EPOCHS, math.floor(affordable / MOST_TRIALS)))
    share = min(1.0, max(LEAST_SHARE, round(affordable / LEAST_TRIALS / epochs, 3)))
    return Fidelity(epochs, share), notes


def check_pairing(strategy: str, options: dict[str, Any], evaluator: Any) -> Any:
    """The evaluator for a strategy: the user's, or the one the strategy needs where the user names none.

    Raises:
        StrategyError: Where the two do not go together.
    """
    found = get_strategy(strategy, **options)
    needed: str | None = getattr(found, "evaluator", None)
    name, _, rest = evaluator.partition(":") if isinstance(evaluator, str) else ("", "", "")
    shares = name == "supernet"
    if needed is not None:
        if evaluator is None:
            return needed
        picker = needed.partition(":")[2].partition("(")[0]
        if shares and options and "(" in rest:
            raise StrategyError(
                f"Got options both for the strategy {strategy!r} ({', '.join(options)}) and in {evaluator!r}; expected them in one place. Write all of them in the brackets."
            )
        if not shares or rest.partition("(")[0] != picker:
            raise StrategyError(
                f"The strategy {strategy!r} takes what the picker {picker!r} settles on, but got the evaluator {evaluator!r}. "
                f"Leave the evaluator out, or use {needed!r}; to search shared weights otherwise, use a strategy such as 'evolution'."
            )
    elif shares and getattr(found, "multi_fidelity", False):
        raise StrategyError(
            f"The strategy {strategy!r} spends fidelities, of which scores with shared weights have one. "
            f"Use a strategy such as 'evolution' with {evaluator!r}, or {strategy!r} with the evaluator 'train'."
        )
    return evaluator


def shared_plan(
    space: SpaceLike, task: Task, evaluator: Any, full: Fidelity, notes: dict[str, Any], workers: int, seed: int
) -> dict[str, Any]:
    """How a search with shared weights is divided, and what the supernet takes; refuses what cannot be.

    Raises:
        SupernetError: Where weights of the space cannot be shared so.
        EvaluationError: Where the supernet needs more memory than there is.
    """
    from archwright.evaluators.one_shot.forecast import forecast

    search, pace = notes.get("search_seconds"), notes.get("pace")
    epochs = evaluator.own["epochs"] or _epochs(STEEP_SAMPLES, len(task.train))
    derives = evaluator.make_picker().derives
    made = one_shot.plan(epochs, full, search, pace["epoch"] if pace else None, workers, derives)
    settings: dict[str, Any] = msgspec.to_builtins(made)
    return settings | {"needs": forecast(space, task, evaluator, seed)}


def final_fidelity(task: Task, fidelity: Fidelity, budget: Budget) -> Fidelity:
    """What the finalists are trained with: all the data, and where time is limited more epochs than a trial had, as many as it allows."""
    epochs = fidelity.epochs if budget.seconds is None else _epochs(FINAL_SAMPLES, len(task.train.x))
    return Fidelity(max(epochs, fidelity.epochs))


def _epochs(samples: int, rows: int) -> int:
    return min(EPOCHS[1], max(EPOCHS[0], round(samples / rows)))


def ending(
    task: Task | None, fidelity: Fidelity, after: float, baseline: float, budget: Budget, workers: int
) -> Ending:
    """What a search on a task ends with: nothing, where there is none.

    Where time is limited, all cores train the finalists; else one core each, so that results do not depend on how many there are.
    """
    if task is None:
        return Ending()
    from archwright.evaluators.train import MIN_VALID

    train, valid = len(task.train), len(task.valid)
    finalists = 2 if baseline else 1
    threads = 1 if budget.seconds is None else max(1, min(workers, default_workers()) // finalists)
    steep = min(fidelity.epochs, _epochs(STEEP_SAMPLES, train))
    return Ending(
        finalists, fidelity, steep, threads, (train + valid) / train, min(valid, MIN_VALID), len(task.test), after
    )


def timed(problem: Problem, task: Task) -> Callable[[Trial], Pace]:
    """How fast the network of a trial would train, from a few steps; each is timed once. One that cannot be trained takes for ever."""
    from archwright.evaluators import time_epoch

    known: dict[int, Pace] = {}

    def pace(trial: Trial) -> Pace:
        if trial.id not in known:
            try:
                found = time_epoch(problem.graph(trial.proposal.architecture), task)  # type: ignore[arg-type]
            except EvaluationError:
                found = (1e9, 0.0)
            known[trial.id] = Pace(*found)
        return known[trial.id]

    return pace


def timetable(limit: float, spent: float, notes: dict[str, Any], ending: Ending, workers: int) -> dict[str, Any]:
    """How a time budget is divided.

    Returns:
        ``search_seconds``: those left for searching once the workers have started, less what the end will take. Where the pace is known, ``final``: what the
        final training of a network will have (:meth:`~archwright.engine.clock.Ending.training`).
    """
    start = START_SECONDS if workers > 1 else 0.0
    if "pace" not in notes:
        return {"search_seconds": round(max(0.3 * limit, limit - spent - start), 3)}
    pace = Pace(**notes["pace"])
    seconds = limit - spent - start - ending.reserve(limit, pace, workers)
    return {
        "search_seconds": round(max(0.3 * limit, seconds), 3),
        "final": ending.training(limit, pace, workers),
    }


def measured_pace(
    space: SpaceLike, task: Task, seed: int, constraints: tuple[Constraint, ...] = (), most: float = 6.0
) -> Pace:
    """Median pace of three random architectures, or as many as can be tried in so many seconds, from a few training steps of each."""
    from archwright.evaluators import time_epoch

    rng = np.random.default_rng([seed, 2**31])
    problem = Problem(space, task.signature, (Objective(task.objective),), constraints, seed=seed)
    found: list[tuple[float, float]] = []
    deadline = time.monotonic() + most
    for architecture in _drawn(problem, rng):
        try:
            found.append(time_epoch(problem.graph(architecture), task))  # type: ignore[arg-type]
        except ArchwrightError:
            continue
        if len(found) == 3 or time.monotonic() > deadline:
            break
    if not found:
        raise SpaceError(
            f"None of the networks drawn from the space '{space.name}' could be trained on {task.name} within the constraints; check that its shapes fit {task.signature}."
        )
    return Pace(*(statistics.median(values) for values in zip(*found, strict=True)))


def _drawn(problem: Problem, rng: np.random.Generator) -> list[Architecture]:
    drawn = [problem.space.sample(rng) for _ in range(60)]
    feasible = []
    for architecture in drawn:
        try:
            if problem.feasible(architecture):
                feasible.append(architecture)
        except ArchwrightError:
            continue
        if len(feasible) == 8:
            break
    return feasible


def signature_of(task: Task | None, signature: Signature | None) -> Signature:
    """The signature of the task, or the one the user gave, or that of a small image."""
    if task is not None:
        return task.signature
    return signature or Signature(inputs=((3, 32, 32),), outputs=(10,))


def command_line() -> str:
    """How this process was started, for people who want to do it again."""
    program = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "python"
    if program in ("archwright", "__main__.py"):
        return shlex.join(["archwright", *sys.argv[1:]])
    return ""
