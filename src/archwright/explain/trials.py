"""Sorting the trials of a run: who asked for them, at what fidelity, what came of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from archwright.problem import ALONE, BASELINE, FINAL, OWN, SUPERNET, Fidelity, Problem, Trial, purpose

SCORED: Final = 1e-3
"""Share of the data below which a trial is no training but a score with shared weights."""


def arm(trial: Trial) -> str:
    """Whose candidate a trial is: ``"search"`` or ``"baseline"``; else what for it was asked."""
    who = purpose(trial)
    return "search" if who == ALONE else who


def fidelity(trial: Trial, problem: Problem) -> Fidelity:
    """What a trial was trained with; proposals without a fidelity mean the full one."""
    return trial.proposal.fidelity or problem.fidelity


def show_fidelity(fidelity: Fidelity) -> str:
    """A fidelity for people.

    >>> show_fidelity(Fidelity(8, 0.5))
    '8 epochs of 50% of the data'
    """
    epochs = f"{fidelity.epochs} epoch{'s' * (fidelity.epochs != 1)}"
    return epochs if fidelity.share == 1.0 else f"{epochs} of {100 * fidelity.share:.3g}% of the data"


def trains(problem: Problem) -> bool:
    """Whether the trials of the search are trainings; zero-cost scores are not."""
    return bool(problem.settings.get("trains", True))


def training(trial: Trial, problem: Problem) -> str:
    """What a trial was trained with, for people; empty where it was not trained."""
    trained = trains(problem) or purpose(trial) in (FINAL, ALONE) or problem.settings.get("one_shot")
    return show_fidelity(fidelity(trial, problem)) if trained and fidelity(trial, problem).share > SCORED else ""


def metric_value(trial: Trial, problem: Problem) -> float | None:
    """The trial's final value of the first objective's metric, or ``None`` where it has none (or NaN) or was stopped."""
    value = trial.value(problem.objectives[0].metric)
    return None if value is None or value != value or trial.status == "stopped" else value


def rank(trial: Trial, problem: Problem) -> tuple[float, ...] | None:
    """A key that is larger for the better trial: highest fidelity, then score, then fewest parameters, then oldest.

    ``None`` for a trial that cannot be chosen: unfinished, failed, stopped, breaking a constraint, or the final training.
    """
    if trial.status not in ("finished", "duplicate") or purpose(trial) in OWN:
        return None
    score = problem.score(trial)
    if score is None:
        return None
    return (fidelity(trial, problem).cost, score, -(trial.value("params") or 0.0), -float(trial.id))


def ranking(trials: Iterable[Trial], problem: Problem) -> list[Trial]:
    """The trials that can be chosen, the best first."""
    ranked = [(key, trial) for trial in trials if (key := rank(trial, problem)) is not None]
    return [trial for _, trial in sorted(ranked, key=lambda row: row[0], reverse=True)]


def baseline_share(trials: Iterable[Trial]) -> float:
    """The share of the search's training time that the random baseline had, in [0, 1]."""
    seconds: dict[str, float] = defaultdict(float)
    for trial in trials:
        seconds[purpose(trial)] += trial.seconds
    searching = seconds["search"] + seconds[SUPERNET] + seconds[ALONE]
    return seconds[BASELINE] / max(seconds[BASELINE] + searching, 1e-9)


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
