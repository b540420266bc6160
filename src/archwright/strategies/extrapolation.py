"""What error to expect of a network after more training, from a part of its learning curve."""

from __future__ import annotations

import math
import statistics

import msgspec

from archwright.problem import Problem, Trial
from archwright.problem.final import RATES

LOSSES = frozenset({"loss", "log_loss", "mae", "mse", "rmse"})


class Curve(msgspec.Struct, frozen=True):
    """How the logarithm of an error falls with training: a prior over data sets and networks.

    Its slope in the logarithm of the epochs is steep in the first epochs and flattens to a power law; exponents of 0.07
    to 0.35 are usual (Hestness et al. 2017, arXiv 1712.00409). A training that is not at the end of its learning-rate
    schedule has the decay still to come. The values are fitted by ``benchmarks/calibration.py``.

    Attributes:
        power: Exponent of long trainings.
        early: Epochs below which the curve is steeper.
        steep: By how much the exponent of the first epochs exceeds that of long trainings.
        noise: Standard deviation of a prediction from one epoch; it falls with the root of the epochs.
        drift: What the standard deviation grows by for each e-fold of training.
    """

    power: float = 0.2
    early: float = 4.0
    steep: float = 0.25
    noise: float = 0.15
    drift: float = 0.03

    def slope(self, epochs: float) -> float:
        """Return the exponent after so many epochs.

        >>> Curve().slope(1.0) > Curve().slope(10.0) > 0.2
        True
        """
        return self.power + self.steep * self.early / (self.early + epochs)

    def gain(self, trained: float, epochs: float) -> float:
        """Return by how much the logarithm of the error falls; 0 if there is nothing more to train.

        Args:
            trained: Epochs of the training.
            epochs: Epochs of the longer one.
        """
        if epochs <= trained:
            return 0.0
        early = self.early
        flat = self.power * math.log(epochs / trained)
        steep = math.log(epochs / (epochs + early)) - math.log(trained / (trained + early))
        return flat + self.steep * steep

    def deviation(self, trained: float, epochs: float) -> float:
        """Return the standard deviation of what :meth:`gain` predicts."""
        return self.noise / math.sqrt(trained) + self.drift * math.log(max(1.0, epochs / trained))


CURVE = Curve()


def error(trial: Trial, problem: Problem) -> float | None:
    """Return what is missing of a perfect first objective; ``None`` for a metric without a perfect score."""
    value = trial.value(problem.objectives[0].metric)
    return None if value is None or not has_error(problem) else missing(problem, value)


def has_error(problem: Problem) -> bool:
    """Whether the first objective has a perfect score, so that errors can be extrapolated."""
    return problem.objectives[0].metric in LOSSES | RATES | {"r2"}


def missing(problem: Problem, value: float) -> float:
    """Return the error that a value of the first objective stands for."""
    return max(0.0, value if problem.objectives[0].metric in LOSSES else 1.0 - value)


def expected_error(error_now: float, trained: float, epochs: float) -> float:
    """Return the error to expect after more training.

    Args:
        error_now: The error after a whole training.
        trained: Its epochs.
        epochs: Epochs of a longer training; fewer than it had change nothing.

    >>> expected_error(0.2, 1.0, 32.0) < 0.15
    True
    >>> expected_error(0.2, 4.0, 2.0)
    0.2
    """
    return error_now * math.exp(-CURVE.gain(trained, epochs))


def training_seconds(trial: Trial) -> float | None:
    """Return the median seconds of an epoch's training steps, the first left out if there are more."""
    notes = [measured.notes for measured in trial.measurements[1:] or trial.measurements]
    if not notes or not all("training" in note for note in notes):
        return None
    return float(statistics.median(note["training"] for note in notes))


def with_expected_score(problem: Problem, trial: Trial) -> Trial:
    """Return a finished trial with the score to expect after the final training in place of its own.

    So networks that train fast and slowly can be compared: a slow one has fewer epochs in the time that there is. The
    problem's setting ``final`` says what the final training will have: ``seconds``, and at most ``epochs`` over all the
    data. The trial is returned as it is if that is not known, if its metric has no perfect score or is constrained, or
    if its measurements do not tell the seconds of their ``training``.
    """
    final, now, seconds = problem.settings.get("final"), error(trial, problem), training_seconds(trial)
    metric = problem.objectives[0].metric
    if any(constraint.metric == metric for constraint in problem.constraints):
        return trial
    if not final or now is None or seconds is None or trial.status not in ("finished", "duplicate"):
        return trial
    fidelity = trial.proposal.fidelity or problem.fidelity
    epochs = min(final["epochs"], final["seconds"] / max(seconds / fidelity.share, 1e-9))
    after = expected_error(now, fidelity.cost, epochs)
    return scored(problem, trial, after if metric in LOSSES else 1.0 - after)


def scored(problem: Problem, trial: Trial, value: float) -> Trial:
    """Return the trial as if its last measurement of the first objective had been another."""
    final = trial.measurements[-1]
    values = {**final.values, problem.objectives[0].metric: value}
    measurement = msgspec.structs.replace(final, values=values)
    return msgspec.structs.replace(trial, measurements=(*trial.measurements[:-1], measurement))
