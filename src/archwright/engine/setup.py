"""From what a user says to a problem, an evaluator and the settings that the ledger remembers."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from archwright.errors import ArchwrightError, BudgetError, DataError, SpaceError, StrategyError
from archwright.graph.latency import read_table
from archwright.problem import Constraint, Objective, Signature
from archwright.problem import Space as SpaceLike
from archwright.problem.problem import LATENCY
from archwright.space import Space, get_space
from archwright.space.covering import covering
from archwright.strategies import get_strategy

if TYPE_CHECKING:
    from archwright.tasks import Task

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


def check_startable(evaluator: Any) -> None:
    """Refuses given starts if networks are proposed by those who train shared weights.

    Raises:
        StrategyError: If the evaluator shares weights.
    """
    if getattr(evaluator, "shares", False):
        raise StrategyError(
            "Got a start for a search with shared weights, which has none: its networks are paths of one supernet. "
            "Leave the start out, or search with the evaluator 'train' and a strategy such as 'evolution'."
        )


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
