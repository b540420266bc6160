"""Sorting the trials of a run: who asked for them, at what fidelity, what came of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from archwright.problem import Fidelity, Problem, Trial

Purpose = Literal["search", "baseline", "final"]


def purpose(trial: Trial) -> Purpose:
    """Who asked for a trial: the strategy, the random baseline, or the training of the final networks."""
    by = trial.proposal.why.get("by")
    return "baseline" if by == "baseline" else "final" if by == "final" else "search"


def fidelity(trial: Trial, problem: Problem) -> Fidelity:
    """What a trial was trained with; proposals without a fidelity mean the full one."""
    return trial.proposal.fidelity or problem.fidelity


def metric_value(trial: Trial, problem: Problem) -> float | None:
    """The trial's final value of the first objective's metric, or ``None`` where it has none (or NaN)."""
    value = trial.value(problem.objectives[0].metric)
    return None if value is None or value != value else value


def ranking(trials: Iterable[Trial], problem: Problem) -> list[Trial]:
    """Scored trials of the search and its baseline: the highest fidelity first, within it the best score, then the fewest parameters."""
    scored = [
        (fidelity(trial, problem).cost, score, -(trial.value("params") or 0.0), -trial.id, trial)
        for trial in trials
        if purpose(trial) != "final" and (score := problem.score(trial)) is not None
    ]
    return [item[-1] for item in sorted(scored, key=lambda item: item[:-1], reverse=True)]


class Failures(msgspec.Struct, frozen=True):
    """Failed trials that share a reason.

    Attributes:
        reason: The reason, with numbers generalised to ``N`` where they differ between the trials.
        status: ``failed`` or ``stopped``.
        trials: Their numbers, in order.
        example: The first one's reason in full.
        seconds: Wall seconds they took together.
    """

    reason: str
    status: str
    trials: tuple[int, ...]
    example: str
    seconds: float


def failures(trials: Iterable[Trial]) -> tuple[Failures, ...]:
    """Failed and stopped trials grouped by reason, the most frequent first.

    >>> from archwright.problem import Architecture, Proposal
    >>> broken = Proposal(Architecture(()))
    >>> groups = failures([Trial(0, broken, "failed", reason="loss is NaN at step 3"), Trial(1, broken, "failed", reason="loss is NaN at step 12")])
    >>> groups[0].reason, groups[0].trials
    ('loss is NaN at step N', (0, 1))
    """
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        if trial.status in ("failed", "stopped"):
            reason = trial.reason or "no reason was recorded"
            groups.setdefault((trial.status, _general(reason)), []).append(trial)
    found = []
    for (status, general), members in groups.items():
        example = members[0].reason or general
        same = all((member.reason or general) == example for member in members)
        numbers = tuple(member.id for member in members)
        seconds = sum(member.seconds for member in members)
        found.append(Failures(example if same else general, status, numbers, example, seconds))
    return tuple(sorted(found, key=lambda group: (group.status, -len(group.trials), group.reason)))


def _general(reason: str) -> str:
    return re.sub(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", "N", reason)
