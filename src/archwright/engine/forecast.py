"""Which network to train for the answer, where the time left gives a fast one more epochs than a slow one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from archwright.explain import fidelity, ranking
from archwright.problem import Problem, Trial
from archwright.problem.final import RATES

EXPONENT = 0.2
"""The error falls about as this power of the training: exponents of 0.07 to 0.35 are usual (Hestness et al. 2017, arXiv 1712.00409)."""

LOSSES = frozenset({"loss", "log_loss", "mae", "mse", "rmse"})


def error(trial: Trial, problem: Problem) -> float | None:
    """What is missing of a perfect score in the first objective; ``None`` for a metric that has no perfect score."""
    metric = problem.objectives[0].metric
    value = trial.value(metric)
    if value is None or metric not in LOSSES | RATES | {"r2"}:
        return None
    return max(0.0, value if metric in LOSSES else 1.0 - value)


def choose(trials: Iterable[Trial], problem: Problem, epochs: Callable[[Trial], float]) -> Trial | None:
    """The trial whose network should be the best after the final training.

    Candidates are the trials of the highest fidelity reached. Where the final training has as many epochs for each, it is the one with the best
    score. Else each error is extrapolated to the epochs that there is time for: ``error * (epochs / trained) ** -0.2``.

    Args:
        trials: Those to choose from.
        problem: Its first objective decides.
        epochs: Epochs over all the data that a trial's network will be trained for.

    Returns:
        ``None`` where no trial can be chosen.
    """
    ranked = ranking(trials, problem)
    if not ranked:
        return None
    top = fidelity(ranked[0], problem)
    candidates = [trial for trial in ranked if fidelity(trial, problem) == top]
    known = [(trial, missing) for trial in candidates if (missing := error(trial, problem)) is not None]
    if len(known) < len(candidates):
        return ranked[0]
    best, _ = min(known, key=lambda row: row[1] * max(epochs(row[0]), top.cost) ** -EXPONENT)
    return best
