"""Learning-curve extrapolation: what a training that has begun will come to, judged by those that have ended.

Baker et al. 2017, arXiv 1705.10823: a regression from the first part of a curve, its first and second differences and the
costs of the network to the final value, with a Gaussian error estimated by cross-validation. The regression is ridge
regression of the gain still to come, its penalty and its error those of leave-one-out cross-validation, in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

PENALTIES = tuple(10.0**power for power in range(-3, 4))
"""Penalties tried, on standardised features and per curve."""
MOST = 150
"""Curves that are learned from at most, the latest."""


class Curve(msgspec.Struct, frozen=True):
    """A learning curve of one trial.

    Attributes:
        trial: The trial.
        costs: Logarithms of the network's costs.
        steps: After how many epochs each of the values was measured, ascending.
        values: For each learned objective the scores, more being better, one for each step.
    """

    trial: int
    costs: tuple[float, ...]
    steps: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]

    def at(self, steps: Sequence[int]) -> list[list[float]] | None:
        """For each objective the values at these steps; ``None`` where one is missing."""
        if self.steps[: len(steps)] == steps:
            return [list(series[: len(steps)]) for series in self.values]
        known = {step: place for place, step in enumerate(self.steps)}
        if not all(step in known for step in steps):
            return None
        return [[series[known[step]] for step in steps] for series in self.values]


class Forecast(msgspec.Struct, frozen=True):
    """A final score to be expected: a Student distribution.

    Attributes:
        mean: Its centre.
        deviation: Its scale.
        freedom: Its degrees of freedom.
    """

    mean: float
    deviation: float
    freedom: float

    def below(self, score: float) -> float:
        """The probability that the final score is below this one."""
        from scipy.special import stdtr

        if self.deviation <= 0:
            return float(self.mean < score)
        return float(stdtr(self.freedom, (score - self.mean) / self.deviation))


def forecast(curve: Curve, finished: Sequence[Curve], fewest: int) -> tuple[Forecast, ...] | None:
    """The final score of each objective; ``None`` where fewer than ``fewest`` finished curves have the same steps.

    It learns from the latest finished curves, the same ones until there are an eighth more.
    """
    count = len(finished)
    count -= count % max(1, count // 8)
    fits = _fits(tuple(finished[max(0, count - MOST) : count]), curve.steps)
    if fits is None or fits[0].count < fewest:
        return None
    return tuple(fit.forecast(series, curve.costs) for fit, series in zip(fits, curve.values, strict=True))


class Fit:
    """Ridge regression of what finished curves gained after some steps, on features of their values at those steps.

    Args:
        values: A row for each curve, its values at the steps, ``(curves, steps)``.
        costs: Logarithms of costs, ``(curves, costs)``.
        finals: Their final values, ``(curves,)``.
    """

    def __init__(self, values: NDArray[np.float64], costs: NDArray[np.float64], finals: NDArray[np.float64]) -> None:
        self.count = len(values)
        features = _features(values, costs)
        self._mean, spread = features.mean(axis=0), features.std(axis=0)
        self._spread = np.where(spread > 1e-12, spread, 1.0)
        gains = finals - values[:, -1]
        self._gain = gains.mean()
        left, singular, self._axes = np.linalg.svd((features - self._mean) / self._spread, full_matrices=False)
        self._singular, best = singular, math.inf
        rotated = left.T @ (gains - self._gain)
        for penalty in PENALTIES:
            shrink = singular**2 / (singular**2 + penalty * self.count)
            leverage = np.minimum((left**2 * shrink).sum(axis=1) + 1.0 / self.count, 1.0 - 1e-6)
            errors = (gains - self._gain - left @ (shrink * rotated)) / (1.0 - leverage)
            error = math.sqrt(float(np.mean(errors**2)))
            if error < best:
                best, self._penalty = error, penalty * self.count
                self._weights = rotated * singular / (singular**2 + self._penalty)
                self._freedom = max(1.0, self.count - 1.0 - float(shrink.sum()))
        self._error = best

    def forecast(self, series: Sequence[float], costs: Sequence[float]) -> Forecast:
        """The final value of a curve with these values at the steps; the further from the known curves, the less certain."""
        features = _features(np.array([series], dtype=np.float64), np.array([costs], dtype=np.float64))[0]
        rotated = self._axes @ ((features - self._mean) / self._spread)
        leverage = float((rotated**2 / (self._singular**2 + self._penalty)).sum()) + 1.0 / self.count
        mean = float(series[-1] + self._gain + rotated @ self._weights)
        return Forecast(mean, self._error * math.sqrt(1.0 + leverage), self._freedom)


def _features(values: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, their first and second differences, and the costs."""
    return np.concatenate([values, np.diff(values, axis=1), np.diff(values, n=2, axis=1), costs], axis=1)


@lru_cache(maxsize=256)
def _fits(finished: tuple[Curve, ...], steps: tuple[int, ...]) -> tuple[Fit, ...] | None:
    """A regression for each objective, from the curves that have these steps and go on; ``None`` for fewer than three."""
    rows = [
        (curve, values) for curve in finished if curve.steps[-1] > steps[-1] and (values := curve.at(steps)) is not None
    ]
    if len(rows) < 3:
        return None
    costs = np.array([curve.costs for curve, _ in rows], dtype=np.float64)
    objectives = range(len(finished[0].values))
    return tuple(
        Fit(
            np.array([values[number] for _, values in rows], dtype=np.float64),
            costs,
            np.array([curve.values[number][-1] for curve, _ in rows], dtype=np.float64),
        )
        for number in objectives
    )
