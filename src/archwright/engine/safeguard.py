"""The final training must do no harm: how long it may be, and which weights are handed over."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from archwright.artifacts import Artifacts
from archwright.explain import fidelity
from archwright.problem import Architecture, Problem, Trial, purpose
from archwright.problem.final import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archwright.tasks import Task

KEPT = 0.25
"""Share of the validation rows kept back from a final training, to compare its weights with those of the search ..."""
LEAST_KEPT = 50
"""... if these are so many rows ..."""
COMPARABLE = 0.5
"""... and the search trained for this share of the epochs."""
LOSSES = ("log_loss", "rmse", "perplexity")
"""Losses of which a curve is read; the first that a trial measured."""
LENGTHS = ((0.1, math.inf), (0.02, 4.0), (-math.inf, 1.0))
"""How far a training may be stretched by the exponent with which its loss still fell in its last third."""


def goes_on(problem: Problem, trial: Trial) -> str | None:
    """Return the weights that the answer's training goes on from, if the trial was the first part of it."""
    if "race" not in problem.settings or trial.final is None or not trial.proposal.why.get("probe"):
        return None
    return trial.final.artifacts.get("checkpoint")


def kept_share(problem: Problem, trial: Trial, valid: int, epochs: int) -> float:
    """Return the share of the validation rows to keep back from a final training; 0 if nothing is to be compared.

    Args:
        problem: Its fidelity.
        trial: The trial that found the network.
        valid: Validation rows.
        epochs: Of the final training, at most.
    """
    long = fidelity(trial, problem).cost >= COMPARABLE * min(epochs, problem.fidelity.cost)
    weights = trial.final is not None and "checkpoint" in trial.final.artifacts
    return KEPT if long and weights and KEPT * valid >= LEAST_KEPT else 0.0


def supported_epochs(trial: Trial, problem: Problem, most: int, trials: Iterable[Trial] = ()) -> int:
    """Return the epochs that learning curves support: more than a trial's own only if more are known to help.

    A trial on a share of the data had so many passes over that share: on more rows as many are supported at least.

    Args:
        trial: The trial.
        problem: Its fidelity.
        most: Epochs at most.
        trials: All of the run. If the same network was trained for longer and was no better, it is no use; so too if
            this network was not, and most of those that were had been as good before.
    """
    own = fidelity(trial, problem)
    passes = float(own.epochs) if own.share < 1.0 else own.cost
    if _longer_is_no_use(trial, problem, own.cost, trials):
        return max(1, min(most, math.ceil(passes)))
    if own.cost < problem.fidelity.cost:
        return most
    curve = loss_curve(trial)
    if curve is None:
        return max(1, min(most, math.ceil(passes)))
    fell = curve[-1][1]
    earlier = [loss for epoch, loss in curve[:-1] if epoch <= 2 / 3 * curve[-1][0]]
    if not earlier:
        return most
    power = math.log(max(earlier[-1], 1e-12) / max(fell, 1e-12)) / math.log(1.5)
    stretch = next(factor for least, factor in LENGTHS if power >= least)
    return max(1, math.ceil(min(most, passes * stretch)))


def _longer_is_no_use(trial: Trial, problem: Problem, own: float, trials: Iterable[Trial]) -> bool:
    """Whether longer trainings were no better.

    Those of the same network decide; if it had none, those of the others: two at least, and most of them.
    """
    gains: dict[bool, list[bool]] = {True: [], False: []}
    reached: dict[Architecture, dict[float, float]] = {}
    for other in trials:
        score = problem.score(other) if purpose(other) == purpose(trial) else None
        if score is not None:
            reached.setdefault(other.proposal.architecture, {})[fidelity(other, problem).cost] = score
    for architecture, scores in reached.items():
        longer = [score for cost, score in scores.items() if cost > own]
        if own in scores and longer:
            gains[architecture == trial.proposal.architecture].append(max(longer) > scores[own])
    if gains[True]:
        return not gains[True][0]
    no_better = gains[False].count(False)
    return no_better > max(1, len(gains[False]) - no_better)


def loss_curve(trial: Trial) -> list[tuple[int, float]] | None:
    """Return the epochs and losses of the validation rows that a trial measured; ``None`` if it measured no loss."""
    for name in LOSSES:
        values = [(measured.epoch, measured.values[name]) for measured in trial.measurements if name in measured.values]
        if values:
            return values
    return None


def harm(problem: Problem, task: Task, again: Trial, trial: Trial, artifacts: Artifacts) -> Comparison | None:
    """Compare the weights of the search with those of a final training on the rows that neither was trained on.

    Args:
        problem: Its first objective decides.
        task: The data.
        again: The final training.
        trial: The trial that found the network.
        artifacts: Weights of both.

    Returns:
        The search's weights against the final ones; ``None`` if no rows were kept back, or weights are gone.
    """
    from archwright.evaluators import Mode, predict, weights_of
    from archwright.evaluators.train import kept_back
    from archwright.graph.module import build
    from archwright.tasks.intervals import compare

    rows = kept_back(task, again.proposal.why.get("keep", 0.0), problem.seed)
    digests = [one.final.artifacts.get("checkpoint", "") if one.final else "" for one in (trial, again)]
    if rows is None or not all(digest in artifacts for digest in digests):
        return None
    x = task.valid.x[rows]
    outputs: list[NDArray[np.float32]] = []
    for digest in digests:
        module = build(problem.graph(trial.proposal.architecture), seed=0)  # type: ignore[arg-type]
        module.load_state_dict(weights_of(artifacts.get(digest)))
        outputs.append(predict(module, x, Mode(channels_last=x.ndim == 4)))
    metric = problem.objectives[0].metric
    if metric not in task.metrics:
        metric = task.objective
    return compare(task.kind, metric, task.valid.y[rows], *outputs, scale=task.target_std, seed=problem.seed)


def harmful(found: Comparison | None) -> bool:
    """Whether the search's weights are better than the final ones by more than a standard error.

    >>> harmful(Comparison("accuracy", 0.02, 0.004, 0.036, "better"))
    True
    >>> harmful(Comparison("accuracy", 0.004, -0.012, 0.02, "tie"))
    False
    """
    return found is not None and found.difference > (found.high - found.low) / 3.92
