"""Means with intervals, and paired comparisons in which ties are called ties."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

LEVEL = 0.05
"""A difference whose Wilcoxon test gives less is called one."""


class Summary(msgspec.Struct, frozen=True):
    """Results of one strategy over seeds.

    Attributes:
        count: How many.
        mean: Their mean.
        std: Their standard deviation (n - 1); NaN for one.
        low: Lower end of the 95% interval of the mean, by Student's t.
        high: Upper end.
    """

    count: int
    mean: float
    std: float
    low: float
    high: float


class Paired(msgspec.Struct, frozen=True):
    """Results of one strategy against a reference on the same seeds.

    Attributes:
        count: Seeds that both have.
        difference: Mean difference, positive where the strategy is better.
        low: Lower end of its 95% interval, by Student's t.
        high: Upper end.
        wins: Seeds on which the strategy is better.
        ties: Seeds on which both are equal.
        losses: Seeds on which the reference is better.
        sign: p-value of the sign test, two-sided, ties left out.
        wilcoxon: p-value of Wilcoxon's signed-rank test, two-sided, ties split between the signs (Pratt).
        verdict: ``better`` or ``worse`` where Wilcoxon's p is below 0.05, else ``tie``.
    """

    count: int
    difference: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    sign: float
    wilcoxon: float
    verdict: Literal["better", "tie", "worse"]


def summarise(values: np.ndarray) -> Summary:
    """Mean, standard deviation and interval.

    Args:
        values: One for each seed, ``(seeds,)``.

    >>> summarise(np.array([1.0, 2.0, 3.0])).mean
    2.0
    """
    mean = float(np.mean(values))
    std, half = _spread(values)
    return Summary(len(values), mean, std, mean - half, mean + half)


def compare(mine: np.ndarray, other: np.ndarray) -> Paired:
    """Compares results of the same seeds, more being better.

    Args:
        mine: Of the strategy, ``(seeds,)``.
        other: Of the reference, ``(seeds,)``, in the same order.

    >>> compare(np.arange(20.0) + 1, np.arange(20.0)).verdict
    'better'
    >>> compare(np.ones(20), np.ones(20)).verdict
    'tie'
    """
    from scipy.stats import binomtest, rankdata, wilcoxon

    difference = mine - other
    mean = float(np.mean(difference))
    _, half = _spread(difference)
    wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
    differs = wins + losses > 0
    sign = float(binomtest(wins, wins + losses).pvalue) if differs else 1.0
    ranks = float(wilcoxon(difference, zero_method="pratt").pvalue) if differs else 1.0
    more = float(np.sum(np.sign(difference) * rankdata(np.abs(difference)))) > 0
    verdict: Literal["better", "tie", "worse"] = "tie" if not ranks < LEVEL else "better" if more else "worse"
    ties = len(difference) - wins - losses
    return Paired(len(difference), mean, mean - half, mean + half, wins, ties, losses, sign, ranks, verdict)


def _spread(values: np.ndarray) -> tuple[float, float]:
    """Standard deviation, and half of the interval of the mean."""
    from scipy.special import stdtrit

    if len(values) < 2:
        return float("nan"), float("nan")
    std = float(np.std(values, ddof=1))
    return std, float(stdtrit(len(values) - 1, 0.975)) * std / len(values) ** 0.5
