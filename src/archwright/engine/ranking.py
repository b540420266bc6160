"""Which trial is better: the order in which the loop, the results and the reports agree."""

from __future__ import annotations

from collections.abc import Iterable

from archwright.explain import fidelity, purpose
from archwright.problem import Problem, Trial

__all__ = ["BASELINE", "FINAL", "incumbent", "pareto", "purpose", "rank"]

BASELINE = "baseline"
FINAL = "final"


def rank(problem: Problem, trial: Trial) -> tuple[float, ...] | None:
    """A key that is larger for the better trial: highest fidelity, then score, then fewest parameters, then oldest.

    ``None`` for a trial that cannot be chosen: unfinished, failed, breaking a constraint, or the final training.
    """
    if trial.status not in ("finished", "duplicate") or purpose(trial) == FINAL:
        return None
    score = problem.score(trial)
    if score is None:
        return None
    return (
        (trial.proposal.fidelity or problem.fidelity).cost,
        score,
        -(trial.value("params") or 0.0),
        -float(trial.id),
    )


def incumbent(problem: Problem, trials: Iterable[Trial]) -> Trial | None:
    """The best trial, or ``None`` where none can be chosen."""
    ranked = [(key, trial) for trial in trials if (key := rank(problem, trial)) is not None]
    return max(ranked, key=lambda row: row[0])[1] if ranked else None


def pareto(problem: Problem, trials: Iterable[Trial]) -> list[Trial]:
    """The trials of the highest fidelity reached that no other beats in every objective, in order of the first one."""
    known = list(trials)
    best = incumbent(problem, known)
    if best is None:
        return []
    rows: dict[str, tuple[tuple[float, ...], Trial]] = {}
    for trial in known:
        values = [trial.value(objective.metric) for objective in problem.objectives]
        same = fidelity(trial, problem) == fidelity(best, problem) and trial.status == "finished"
        if same and rank(problem, trial) is not None and None not in values:
            scores = tuple(
                objective.score(value or 0.0) for objective, value in zip(problem.objectives, values, strict=True)
            )
            rows[trial.fingerprint or str(trial.id)] = (scores, trial)
    front = [
        (scores, trial)
        for scores, trial in rows.values()
        if not any(
            other != scores and all(a >= b for a, b in zip(other, scores, strict=True)) for other, _ in rows.values()
        )
    ]
    return [trial for _, trial in sorted(front, key=lambda row: row[0], reverse=True)]
