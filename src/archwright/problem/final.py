"""What a search ends with: the payload of a run's ``final`` event, read by the export, the explanation and the report."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from archwright.problem.protocols import Cost
from archwright.problem.records import Architecture

RATES = frozenset({"accuracy", "balanced_accuracy", "macro_f1"})
"""Metrics that are shares of 1 and are shown to people as percentages; their differences are percentage points."""


class Interval(msgspec.Struct, frozen=True):
    """A measured value and its 95% confidence interval, in the metric's own unit (accuracies in [0, 1])."""

    value: float
    low: float
    high: float


class Comparison(msgspec.Struct, frozen=True):
    """The difference of two networks on the same test rows.

    Attributes:
        metric: What was compared.
        difference: First minus second, with the sign such that positive means the first is better.
        low: Lower end of its 95% interval.
        high: Upper end of its 95% interval.
        verdict: Of the first network: ``better`` or ``worse`` where the interval excludes zero, else ``tie``.
    """

    metric: str
    difference: float
    low: float
    high: float
    verdict: Literal["better", "tie", "worse"]

    @property
    def numbers(self) -> str:
        """The difference and its interval for people, in percentage points where the metric is a rate."""
        if self.metric in RATES:
            return f"{_signed(100 * self.difference, 1)} points [{_signed(100 * self.low, 1)}, {_signed(100 * self.high, 1)}]"
        digits = 3 if max(abs(self.low), abs(self.high)) < 10 else 1
        return (
            f"{_signed(self.difference, digits)} {self.metric} "
            f"[{_signed(self.low, digits)}, {_signed(self.high, digits)}]"
        )

    def text(self, first: str = "search", second: str = "random") -> str:
        """One sentence for people.

        >>> Comparison("accuracy", 0.006, -0.002, 0.014, "tie").text()
        'search and random tie: +0.6 points [-0.2, +1.4] on the same test rows'
        >>> Comparison("accuracy", 0.02, 0.011, 0.03, "better").text()
        'search beat random by +2.0 points [+1.1, +3.0] on the same test rows'
        """
        verb = {
            "better": f"{first} beat {second} by",
            "tie": f"{first} and {second} tie:",
            "worse": f"{first} did worse than {second}:",
        }[self.verdict]
        return f"{verb} {self.numbers} on the same test rows"


class Ensemble(msgspec.Struct, frozen=True, kw_only=True):
    """Networks that are handed over as one, compared with the best single network.

    Attributes:
        trials: The members; each has the weights that its trial left.
        weights: The share of each in the mean of the predictions.
        logits: Whether probabilities are averaged, and the outputs are their logarithms.
        valid: Metrics of the best member alone on the validation rows, all of them.
        test: Metrics of the best single network on the test rows.
        comparison: The ensemble against that network, on the same test rows.
    """

    trials: tuple[int, ...]
    weights: tuple[float, ...]
    logits: bool = True
    valid: dict[str, float] = {}
    test: dict[str, Interval] = {}
    comparison: Comparison | None = None

    def __str__(self) -> str:
        """Name the members for people.

        >>> str(Ensemble(trials=(7, 4), weights=(0.6, 0.4)))
        'ensemble of trials 7 (60%) and 4 (40%)'
        """
        parts = [f"{trial} ({weight:.0%})" for trial, weight in zip(self.trials, self.weights)]
        return f"ensemble of trials {', '.join(parts[:-1])} and {parts[-1]}"


class FinalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The chosen network, measured once on the test split. All of it is JSON.

    If it is an ensemble, ``test``, ``valid``, ``cost`` and ``weights`` are those of the ensemble,
    and ``trial`` is the best single network, which the control is compared with.

    Attributes:
        trial: The trial whose architecture was chosen.
        architecture: Its choices.
        metric: The first objective's metric.
        test: Metric name to value and interval on the test split, of the network trained on train + validation.
        valid: Metric name to value on the validation split, as the search saw it.
        cost: Parameters, FLOPs, activation memory.
        baseline_trial: The best trial of the random baseline, if any ran.
        baseline_architecture: Its choices.
        baseline_test: The same metrics of the baseline's network, trained and tested alike.
        comparison: Chosen network against the baseline's, on the same test rows.
        epochs: Epochs of the final training.
        seconds: Seconds of the final training and test.
        weights: Digest of the artifact with the chosen network's weights.
        numerics: Numerics mode of the final training, such as ``"fp32"`` or ``"bf16, channels_last"``.
        recipe: Optimiser, learning rate, augmentation and the like, as used.
        finalists: Trials that were retrained, the chosen one first.
        test_rows: Rows of the test split.
        warnings: What a reader must know, in full sentences.
        ensemble: What the network is made of, if it is an ensemble.
    """

    trial: int
    architecture: Architecture
    metric: str
    test: dict[str, Interval]
    valid: dict[str, float] = {}
    cost: Cost | None = None
    baseline_trial: int | None = None
    baseline_architecture: Architecture | None = None
    baseline_test: dict[str, Interval] = {}
    comparison: Comparison | None = None
    epochs: int = 0
    seconds: float = 0.0
    weights: str | None = None
    numerics: str = "fp32"
    recipe: dict[str, Any] = {}
    finalists: tuple[int, ...] = ()
    test_rows: int = 0
    warnings: tuple[str, ...] = ()
    ensemble: Ensemble | None = None

    @property
    def answer(self) -> str:
        """The network for people: ``"trial 7"``, or an ensemble with its members."""
        return str(self.ensemble) if self.ensemble is not None else f"trial {self.trial}"

    @property
    def against_single(self) -> str | None:
        """One sentence: an ensemble against the best single network on the test rows."""
        if self.ensemble is None or self.ensemble.comparison is None:
            return None
        return self.ensemble.comparison.text("the ensemble", f"trial {self.trial} alone")


def show(metric: str, value: float) -> str:
    """A metric's value for people: a percentage for rates, thousands separators for counts.

    >>> show("accuracy", 0.98123), show("params", 123456.0), show("rmse", 3.14159)
    ('98.12%', '123,456', '3.142')
    """
    if metric in RATES:
        return f"{100 * value:.2f}%"
    if abs(value) >= 1000 and float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.4g}"


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"
