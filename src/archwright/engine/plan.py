"""How a budget is divided: what a trial trains, what the answer's training gets, when the search must end."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from archwright.engine import one_shot
from archwright.engine.clock import RESERVE_SHARE, Ending, Pace
from archwright.engine.pace import feasible, pace_of, typical_pace
from archwright.engine.setup import default_workers
from archwright.errors import ArchwrightError
from archwright.problem import Architecture, Budget, Fidelity, Problem, Space
from archwright.problem.final import RATES
from archwright.problem.problem import STATIC
from archwright.strategies.extrapolation import has_error
from archwright.strategies.opening import Start
from archwright.strategies.terms import Terms

if TYPE_CHECKING:
    from archwright.tasks import Task

TRIAL_SAMPLES = 50_000
"""Training samples that a full trial sees if time is not limited: 46 epochs of digits."""
FINAL_SAMPLES = 3_000_000
"""Most training samples that the final training sees if time is limited, and so a trial: 60 epochs of 50,000 rows."""
STEEP_SAMPLES = 500_000
"""Training samples up to which the error falls steeply: on Fashion-MNIST by a fifth from 3 to 10 epochs."""
LEAST_EPOCHS = 8
"""If the time allows for fewer epochs than these, a trial sees a share of the data for as many."""
LEAST_SHARE = 0.05
"""Fewer rows than these tell networks apart by luck."""
MOST_TRIALS = 100
"""Full trials that a time budget should allow for if they have epochs enough."""
LEAST_TRIALS = 16
"""Full trials that it should allow for in any case, on a share of the data if need be."""
EPOCHS = (3, 60)
START_SECONDS = 5.0
"""Seconds that starting the workers is expected to take."""
_SIZE = re.compile(r"-(small|medium|large|[\d.]+)$")
REFERENCES = 6
"""References that a search begins with, at most."""
OVERHEAD = 3.0
"""Seconds that a trial is expected to take beyond its training, before one has shown it."""
DRAWN = 15
"""Random networks whose median size decides which references are tried."""
TABLE_SAMPLES = 300_000
"""The same for tables, whose networks overfit sooner: 15 epochs of 20,000 rows."""
SEEN, COMPUTE = 150_000, 1e13
"""Training samples that the start of a race should see in so many FLOPs: samples and size grow alike with the compute."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a search on a task is divided.

    Attributes:
        fidelity: The full fidelity of a trial.
        final: That of the answer's training, at most if time is limited.
        notes: What strategies and reports may want to know of it.
    """

    fidelity: Fidelity
    final: Fidelity
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)


def make_plan(
    problem: Problem,
    task: Task,
    spent: float,
    after: float,
    fidelity: Fidelity | None = None,
    races: bool = False,
) -> Plan:
    """Divide a budget.

    Without a time limit the result depends on the size of the data only, so that a seed gives the same search on any
    machine. With one, a few networks are timed for a moment.

    Args:
        problem: Space, constraints, objectives, budget and workers.
        task: The data.
        spent: Seconds since the start.
        after: Seconds wanted for what follows the search.
        fidelity: What the user wants a trial to train, if anything.
        races: Whether the strategy can do with time for one long training.
    """
    budget, rows = problem.budget, len(task.train)
    if budget.seconds is None:
        epochs = _epochs(TRIAL_SAMPLES, rows)
        if budget.epochs is not None:
            epochs = max(1, min(epochs, int(budget.epochs / 10)))
        full = fidelity or Fidelity(epochs)
        return Plan(full, Fidelity(full.epochs))
    first = _first_reference(problem, task) if races else None
    if first is not None and fidelity is None and _can_race(problem):
        terms = _race(problem, task, *first, spent, after)
        if terms is not None:
            cap = max(terms.epochs, longest(task))
            return Plan(Fidelity(terms.epochs), Fidelity(cap), {"race": msgspec.to_builtins(terms)})
    pace = typical_pace(problem, task, min(6.0, 0.04 * budget.seconds))
    if first is not None and first[1].epoch < pace.epoch:  # trials are mostly kin of the references
        pace = first[1]
    affordable = _affordable(problem, task, pace)
    epochs = min(longest(task), max(LEAST_EPOCHS, math.floor(affordable / MOST_TRIALS)))
    share = min(1.0, max(LEAST_SHARE, round(affordable / LEAST_TRIALS / epochs, 3)))
    full = fidelity or Fidelity(epochs, share)
    final = Fidelity(max(full.epochs, longest(task)))
    return Plan(full, final, {"pace": dataclasses.asdict(pace)})


def _affordable(problem: Problem, task: Task, pace: Pace) -> float:
    """Epochs that the time for searching allows for, all trials together."""
    seconds = (1 - RESERVE_SHARE) * (problem.budget.seconds or 0.0)
    return seconds * problem.workers / (pace.epoch + pace.row * len(task.valid))


def _can_race(problem: Problem) -> bool:
    """Whether networks are compared by one error alone, and bounds need no training."""
    known = all(constraint.metric in STATIC for constraint in problem.constraints)
    return known and has_error(problem) and len(problem.objectives) == 1


def _first_reference(problem: Problem, task: Task) -> tuple[Architecture, Pace] | None:
    """The first reference that can be trained within the constraints, and its pace."""
    references: Mapping[str, Architecture] = getattr(problem.space, "references", {})
    for architecture in feasible(problem, references.values()):
        try:
            return architecture, pace_of(problem, task, architecture)
        except ArchwrightError:
            continue
    return None


def _race(problem: Problem, task: Task, first: Architecture, pace: Pace, spent: float, after: float) -> Terms | None:
    """The terms of a race; ``None`` if there is time for whole trainings."""
    from archwright.evaluators.recipe import default_recipe

    assert problem.budget.seconds is not None
    references: Mapping[str, Architecture] = getattr(problem.space, "references", {})
    names = {architecture: name for name, architecture in references.items()}
    found = list(feasible(problem, references.values()))
    ending = make_ending(task, Fidelity(EPOCHS[1]), after, 0.0, problem.budget, problem.workers)
    flops = {architecture: float(problem.graph(architecture).cost.flops) for architecture in found}
    seconds = problem.budget.seconds - spent - (START_SECONDS if problem.workers > 1 else 0.0)
    seconds -= ending.margin(problem.budget.seconds, pace.tested(problem.workers))
    planned = default_recipe(task, len(task.train), EPOCHS[1])
    side = min(task.shape[1:], default=0)
    epochs = planned.epochs_in_time(side) * max(0.0, seconds) / ending.epoch(pace)

    compute = epochs * len(task.train) * flops[first]

    def distance(architecture: Architecture) -> float:
        seen = compute / flops[architecture]
        return abs(math.log(max(seen, 1.0) / (SEEN * math.sqrt(max(compute, 1.0) / COMPUTE))))

    start = min((one for one in found if family(names[one]) == family(names[first])), key=distance)
    epochs *= flops[first] / flops[start]
    if _affordable(problem, task, pace) / LEAST_TRIALS >= LEAST_EPOCHS or seconds <= 0:
        return None
    most = min(longest(task), max(1, round(epochs)))
    rows = min(len(task.valid), ending.measured)
    needed = seconds if most < longest(task) else seconds * most / max(epochs, most)
    shrunk = (planned.side(0.0, side) / side) ** 2 if side else 1.0
    trial = pace.epoch * flops[start] / flops[first] * shrunk
    spare = round(seconds - needed, 3)
    return Terms(
        start=names[start],
        flops=flops[start],
        epochs=most,
        most=longest(task),
        seconds=round(needed, 3),
        spare=spare,
        pace=round(trial, 3),
        overhead=OVERHEAD,
        rows=rows,
        loss=problem.objectives[0].metric not in RATES | {"r2"},
    )


def openers(problem: Problem, most: int) -> tuple[Start, ...]:
    """Return the references to begin with: of each family the one whose size is nearest to that of a random network.

    Args:
        problem: Space and constraints.
        most: How many, at most.
    """
    references: Mapping[str, Architecture] = getattr(problem.space, "references", {})
    names = {architecture: name for name, architecture in references.items()}
    found = list(feasible(problem, references.values()))
    if not found or most < 1:
        return ()
    rng = np.random.default_rng([problem.seed, 2**31])
    drawn = feasible(problem, (problem.space.sample(rng) for _ in range(DRAWN)))
    sizes = sorted(float(problem.graph(architecture).cost.flops) for architecture in drawn)
    usual = sizes[len(sizes) // 2] if sizes else 1.0
    families: dict[str, list[Architecture]] = {}
    for architecture in found:
        families.setdefault(family(names[architecture]), []).append(architecture)
    chosen = [
        min(members, key=lambda one: abs(math.log(max(float(problem.graph(one).cost.flops), 1.0) / usual)))
        for members in families.values()
    ]
    return tuple(Start(one, {"by": "reference", "reference": names[one]}) for one in chosen[:most])


def first_references(budget: Budget) -> int:
    """Return how many references a search begins with, at most: a quarter of the trials if these are limited."""
    limits = [budget.trials or math.inf, (budget.epochs or math.inf) / 10]
    return min(REFERENCES, math.floor(0.25 * min(limits)) if min(limits) < math.inf else REFERENCES)


def family(name: str) -> str:
    """Return the name of a reference without its size.

    >>> family("speednet-0.5"), family("resnet-small"), family("mlp-piecewise")
    ('speednet', 'resnet', 'mlp-piecewise')
    """
    return _SIZE.sub("", name)


def _epochs(samples: int, rows: int) -> int:
    return min(EPOCHS[1], max(EPOCHS[0], round(samples / rows)))


def longest(task: Task) -> int:
    """Return the epochs of the longest training that can be of use."""
    return _epochs(TABLE_SAMPLES if task.modality == "tabular" else FINAL_SAMPLES, len(task.train))


def steep_epochs(task: Task) -> int:
    """Return the epochs after which more training gains little."""
    return _epochs(STEEP_SAMPLES, len(task.train))


def make_ending(
    task: Task | None, fidelity: Fidelity, after: float, baseline: float, budget: Budget, workers: int
) -> Ending:
    """Return what a search on a task ends with: nothing if there is none.

    If time is limited, all cores train the finalists; else one core each, so that results do not depend on how many
    there are.

    Args:
        task: The data.
        fidelity: Of the final training, at most if time is limited.
        after: Seconds wanted for what follows.
        baseline: Share of the control; 0 if it is not trained to the end.
        budget: The whole budget.
        workers: Trials at once.
    """
    if task is None:
        return Ending()
    from archwright.evaluators.train import MIN_VALID

    train, valid = len(task.train), len(task.valid)
    finalists = 2 if baseline else 1
    threads = 1 if budget.seconds is None else max(1, min(workers, default_workers()) // finalists)
    steep = min(fidelity.epochs, steep_epochs(task))
    return Ending(
        finalists, fidelity, steep, threads, (train + valid) / train, min(valid, MIN_VALID), len(task.test), after
    )


def trained_controls(baseline: float, notes: Mapping[str, Any]) -> float:
    """Return the share of the control if it is trained to the end beside the answer; 0 if time is too short for it."""
    return 0.0 if "race" in notes else baseline


def timetable(limit: float, spent: float, notes: Mapping[str, Any], ending: Ending, workers: int) -> dict[str, Any]:
    """Return how a time budget is divided.

    Returns:
        ``search_seconds``: those left for searching once the workers have started, less what the end will take. If the
        pace is known, ``final``: what the final training of a network will have
        (:meth:`~archwright.engine.clock.Ending.training`).
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


def shared_plan(
    space: Space, task: Task, evaluator: Any, full: Fidelity, notes: dict[str, Any], workers: int, seed: int
) -> dict[str, Any]:
    """How a search with shared weights is divided, and what the supernet takes; refuses what cannot be.

    Raises:
        SupernetError: Where weights of the space cannot be shared so.
        EvaluationError: Where the supernet needs more memory than there is.
    """
    from archwright.evaluators.one_shot.forecast import forecast

    search, pace = notes.get("search_seconds"), notes.get("pace")
    epochs = evaluator.own["epochs"] or steep_epochs(task)
    derives = evaluator.make_picker().derives
    made = one_shot.plan(epochs, full, search, pace["epoch"] if pace else None, workers, derives)
    settings: dict[str, Any] = msgspec.to_builtins(made)
    return settings | {"needs": forecast(space, task, evaluator, seed)}
