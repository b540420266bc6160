"""What a network is worth where time is limited: the score to expect of it after the final training, in which a slow one has fewer epochs."""

from __future__ import annotations

import statistics

import msgspec

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


def prospect(missing: float, trained: float, epochs: float) -> float:
    """The error to expect after more training: ``error * (epochs / trained) ** -0.2``.

    Args:
        missing: The error now.
        trained: Epochs that it was trained for.
        epochs: Epochs that it will be trained for; fewer than it was change nothing.

    >>> round(prospect(0.2, 1.0, 32.0), 3)
    0.1
    """
    return missing * float(max(1.0, epochs / trained) ** -EXPONENT)


def with_prospect(problem: Problem, trial: Trial) -> Trial:
    """A finished trial with its prospect in place of its score, so that those with slow and with fast networks can be compared.

    The problem's setting ``final`` says what the final training will have: ``seconds``, and ``epochs`` over all the data at most. The trial is
    returned as it is where that is not known, its metric has no perfect score or is constrained, or its measurements do not tell the seconds of
    their ``training``.
    """
    final, missing = problem.settings.get("final"), error(trial, problem)
    if any(constraint.metric == problem.objectives[0].metric for constraint in problem.constraints):
        return trial
    notes = [measurement.notes for measurement in trial.measurements[1:] or trial.measurements]
    if (
        not final
        or missing is None
        or not notes
        or trial.status not in ("finished", "duplicate")
        or not all("training" in note for note in notes)
    ):
        return trial
    fidelity = trial.proposal.fidelity or problem.fidelity
    epoch = statistics.median(note["training"] for note in notes) / fidelity.share
    after = prospect(missing, fidelity.cost, min(final["epochs"], final["seconds"] / max(epoch, 1e-9)))
    return scored(problem, trial, after if problem.objectives[0].metric in LOSSES else 1.0 - after)


def scored(problem: Problem, trial: Trial, value: float) -> Trial:
    """The trial as if its last measurement of the first objective had been another."""
    final = trial.measurements[-1]
    values = {**final.values, problem.objectives[0].metric: value}
    measurement = msgspec.structs.replace(final, values=values)
    return msgspec.structs.replace(trial, measurements=(*trial.measurements[:-1], measurement))
