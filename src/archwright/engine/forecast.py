"""Which network to train for the answer, where the time left gives a fast one more epochs than a slow one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from archwright.explain import SCORED, fidelity, ranking
from archwright.problem import Problem, Trial
from archwright.strategies.extrapolation import error, expected_error


def choose(
    trials: Iterable[Trial], problem: Problem, epochs: Callable[[Trial], float], across: bool = False
) -> Trial | None:
    """The trial whose network should be the best after the final training.

    Candidates are the trials of the highest fidelity reached. Where the final training has as many epochs for each, it is the one with the best
    score. Else each error is extrapolated to the epochs that there is time for (:func:`~archwright.strategies.extrapolation.expected_error`).

    Args:
        trials: Those to choose from.
        problem: Its first objective decides.
        epochs: Epochs over all the data that a trial's network will be trained for.
        across: Whether trials of lower fidelities are candidates too, as where each is the best of another search.

    Returns:
        ``None`` where no trial can be chosen.
    """
    ranked = ranking(trials, problem)
    if not ranked:
        return None
    top = fidelity(ranked[0], problem)
    candidates = [trial for trial in ranked if across or fidelity(trial, problem) == top]
    known = [(trial, missing) for trial in candidates if (missing := error(trial, problem)) is not None]
    if len(known) < len(candidates) or any(fidelity(trial, problem).share < SCORED for trial in candidates):
        return ranked[0]
    best, _ = min(known, key=lambda row: expected_error(row[1], fidelity(row[0], problem).cost, epochs(row[0])))
    return best
