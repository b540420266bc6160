"""One search of a suite that trains networks: ``archwright.search``, or what is left of it after an interruption."""

from __future__ import annotations

import time
from pathlib import Path

from archwright.bench.cases import TrainingCase
from archwright.bench.run import Trajectory
from archwright.bench.specs import Spec
from archwright.engine import Result, Store, open_run, resume, search
from archwright.errors import BudgetError
from archwright.problem import Budget


def run_training(
    case: TrainingCase, spec: Spec, seed: int, budget: Budget, workers: int, folder: Path, name: str
) -> Trajectory:
    """Searches, or goes on with a search of that name.

    Args:
        case: What is searched.
        spec: The strategy.
        seed: Of the split, the proposals and the training.
        budget: Of the search.
        workers: Trials at once.
        folder: Store of the runs.
        name: Of the run.

    Raises:
        BudgetError: Where the search ended without a tested network.
    """
    begun = time.process_time()
    known = {run.name for run in Store(folder).ledger.runs()}
    if name in known:
        result = open_run(name, store=folder)
        if result.ended is None:
            result = resume(name, store=folder, progress="none")
    else:
        result = search(
            case.data,
            space=case.space,
            strategy=spec.name,
            options=spec.options,
            budget=budget,
            workers=workers,
            seed=seed,
            baseline=0.0,
            name=name,
            store=folder,
            progress="none",
        )
    if result.interrupted:
        raise KeyboardInterrupt
    return _trajectory(result, time.process_time() - begun)


def _trajectory(result: Result, cpu: float) -> Trajectory:
    if result.final is None:
        raise BudgetError(
            f"The search {result.name!r} ended without a tested network: {result.ended}. Give it more time with --budget."
        )
    run = result.run
    ends = {event.trial: event.at - run.created for event in run.events() if event.kind == "finished"}
    found = [trial for trial in result.trials if trial.status == "finished" and trial.proposal.why.get("by") != "final"]
    scored = [(trial, result.problem.score(trial)) for trial in found]
    kept = [(trial, score) for trial, score in scored if score is not None]
    return Trajectory(
        tuple(trial.id for trial, _ in kept),
        tuple((score,) for _, score in kept),
        tuple(ends[trial.id] for trial, _ in kept),
        sum(trial.status == "duplicate" for trial in result.trials),
        sum(trial.status == "failed" for trial in result.trials),
        result.ended or "",
        cpu,
        {f"test {metric}": interval.value for metric, interval in result.final.test.items()},
    )
