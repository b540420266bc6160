"""The audit of a search with shared weights: do shared scores rank networks as trainings on their own do, and did the search collapse?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from archwright.explain.trials import metric_value
from archwright.problem import ALONE, AUDIT, BASELINE, SUPERNET, Architecture, Problem, Trial, purpose
from archwright.space import Space
from archwright.space.weightless import Weightless, weightless

FEWEST = 5
"""Networks with both scores from which their agreement is worth a number."""
DRAWS = 2000
"""Bootstrap draws of an interval."""
WEAK = 0.3
"""Rank agreement below which shared scores are hardly better than chance at telling good networks from bad ones."""


class Pair(msgspec.Struct, frozen=True):
    """A network with both scores.

    Attributes:
        trial: That trained it on its own.
        shared: Its score with the shared weights.
        alone: Its score trained on its own.
        random: Whether it was drawn at random, and not found by the search.
    """

    trial: int
    shared: float
    alone: float
    random: bool


class Audit(msgspec.Struct, frozen=True):
    """What the audit found.

    Attributes:
        picker: Of the shared weights' training.
        epochs: Of that training; the last may be a part of one.
        seconds: That it took.
        pairs: Networks with both scores.
        tau: Kendall's rank agreement of the two scores over the random networks; ``None`` for too few.
        low: Lower end of its 95% bootstrap interval.
        high: Upper end.
        collapse: Of the best network found; ``None`` where the space has no options without weights.
        history: For each epoch: ``epoch``, ``loss``, ``score`` (mean of a few random paths), ``entropy`` (1: no preference), ``free`` (probability of options
            without weights, or ``None``), ``steps`` and which ``part`` of an epoch's steps these are.
        controls: Scores of the random networks trained on their own.
        affordable: Random networks that the shared weights' training would have paid for.
        alarms: What is wrong, each with what to do.
    """

    picker: str
    epochs: float
    seconds: float
    pairs: tuple[Pair, ...]
    tau: float | None
    low: float | None
    high: float | None
    collapse: Weightless | None
    history: tuple[dict[str, Any], ...]
    controls: tuple[float, ...]
    affordable: float
    alarms: tuple[str, ...]


def audit(trials: Iterable[Trial], problem: Problem) -> Audit | None:
    """The audit of a run; ``None`` for one without shared weights."""
    known = {trial.id: trial for trial in trials}
    trained = [trial for trial in known.values() if purpose(trial) == SUPERNET and trial.final is not None]
    if not trained:
        return None
    last = trained[-1]
    assert last.final is not None
    metric = problem.objectives[0].metric
    history = tuple(
        {
            "epoch": measured.epoch,
            "score": measured.values.get(metric),
            **{key: measured.notes.get(SUPERNET, {}).get(key) for key in ("loss", "entropy", "free", "part", "steps")},
        }
        for measured in last.measurements
    )
    pairs = _pairs(known, problem)
    drawn = [pair for pair in pairs if pair.random]
    tau, low, high = agreement([(pair.shared, pair.alone) for pair in drawn], problem.seed)
    best = _best(known.values(), problem)
    collapse = weightless(problem.space, best) if best is not None and isinstance(problem.space, Space) else None
    controls = [trial for trial in known.values() if purpose(trial) == BASELINE and trial.status == "finished"]
    paces = [trial.seconds for trial in controls if trial.seconds > 0]
    picker, seconds = str(last.final.notes.get(SUPERNET, {}).get("picker", "")), last.seconds or last.final.seconds
    return Audit(
        picker=picker,
        epochs=_passes(history),
        seconds=seconds,
        pairs=tuple(pairs),
        tau=tau,
        low=low,
        high=high,
        collapse=collapse,
        history=history,
        controls=tuple(value for trial in controls if (value := metric_value(trial, problem)) is not None),
        affordable=seconds / float(np.median(paces)) if paces else 0.0,
        alarms=(*_brief(picker, seconds, history), *_alarms(tau, high, len(drawn), collapse, history)),
    )


def agreement(scores: list[tuple[float, float]], seed: int = 0) -> tuple[float | None, float | None, float | None]:
    """Kendall's tau-b of pairs of scores, and its 95% bootstrap interval; ``None`` for fewer than five, or where one side is all equal.

    >>> agreement([(0.1, 1.0), (0.2, 2.0), (0.3, 3.0), (0.4, 4.0), (0.5, 5.0)])[0]
    1.0
    """
    from scipy.stats import kendalltau

    table = np.array(scores)
    if len(table) < FEWEST:
        return None, None, None
    tau = round(float(kendalltau(table[:, 0], table[:, 1]).statistic), 9)
    if np.isnan(tau):
        return None, None, None
    rng = np.random.default_rng([seed, len(table)])
    drawn = [table[rng.integers(len(table), size=len(table))] for _ in range(DRAWS)]
    found = np.array([kendalltau(rows[:, 0], rows[:, 1]).statistic for rows in drawn])
    low, high = np.nanquantile(found, [0.025, 0.975])
    return tau, round(float(low), 9), round(float(high), 9)


def _pairs(known: dict[int, Trial], problem: Problem) -> list[Pair]:
    found = []
    for trial in known.values():
        of = known.get(int(trial.proposal.why.get("of", -1)))
        if of is None or purpose(trial) not in (AUDIT, ALONE):
            continue
        shared, alone = (trial, of) if purpose(trial) == AUDIT else (of, trial)
        values = metric_value(shared, problem), metric_value(alone, problem)
        if values[0] is not None and values[1] is not None:
            found.append(Pair(alone.id, values[0], values[1], purpose(trial) == AUDIT))
    return found


def _best(trials: Iterable[Trial], problem: Problem) -> Architecture | None:
    """What the picker settled on, or else the best network of the search by shared weights."""
    trials = list(trials)
    derived = [trial for trial in trials if trial.proposal.why.get("place") == 1]
    if derived:
        return derived[-1].proposal.architecture
    scored = [
        (problem.objectives[0].score(value), -trial.id, trial)
        for trial in trials
        if purpose(trial) == "search" and (value := metric_value(trial, problem)) is not None
    ]
    return max(scored, key=lambda row: row[:2])[2].proposal.architecture if scored else None


def _passes(history: tuple[dict[str, Any], ...]) -> float:
    """Epochs that the shared weights saw, those of a training that this one goes on from too."""
    return history[0]["epoch"] - 1 + float(sum(row["part"] or 1.0 for row in history)) if history else 0.0


def _brief(picker: str, seconds: float, history: tuple[dict[str, Any], ...]) -> Iterable[str]:
    """An alarm where the shared weights have not seen each training row once."""
    seen = _passes(history)
    if seen < 1.0:
        steps = sum(row["steps"] or 0 for row in history)
        yield (
            f"The shared weights were trained for {seen:.0%} of an epoch only: {steps:,} steps of {seconds / max(steps, 1):.2g} s each with the picker {picker!r}. "
            "Little can be learned from so few. Search for longer, on smaller images (--image-size), or in a smaller space; where the picker mixes all options, "
            "one of single paths (uniform, gdas, enas) takes far cheaper steps."
        )


def _alarms(
    tau: float | None, high: float | None, count: int, collapse: Weightless | None, history: tuple[dict[str, Any], ...]
) -> Iterable[str]:
    if collapse is not None and collapse.collapsed:
        yield (
            f"The search collapsed: its best network takes an operation without weights (identity, pool, nothing) in {collapse.free} of {collapse.choices} places, "
            f"a random one in {collapse.expected:.1f}. Shared weights favour what needs no training. Select by perturbation (darts-pt), learn distributions (drnas), "
            "or stop before it happens ('supernet:darts(early=True)', or --option early=true)."
        )
    if tau is not None and tau < WEAK:
        sure = high is not None and high < WEAK
        yield (
            f"The shared weights {'do not' if sure else 'may not'} rank networks: over {count} random ones Kendall's tau between shared and own scores is {tau:.2f}. "
            "Train them for longer, use a picker of single paths (uniform, fair), share fewer attributes, or train more candidates on their own."
        )
    scores = [row["score"] for row in history if row["score"] is not None]
    if len(scores) >= 2 and scores[-1] <= scores[0]:
        yield (
            f"Random paths are no better after {history[-1]['epoch']} epochs of training the shared weights than after the first. "
            "Give the search more time, or a smaller space."
        )
