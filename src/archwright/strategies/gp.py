"""Gaussian process regression over architectures, by Cholesky factors, and what decides by it.

Scores are skewed: a few networks fail to learn and score at chance level, while the best differ in decimals. The process
therefore models ``-log(0.1 + gap)``, the gap to the best score being counted in interquartile ranges: it spreads the best,
packs the failures, and depends on no scale.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np

from archwright.strategies.kernels import Features, Shape, distances, kernel, scale_of

LENGTHS = (1 / 3, 2 / 3, 4 / 3)
"""Length scales tried, in units of :func:`~archwright.strategies.kernels.scale_of`."""
NOISES = (0.01, 0.05, 0.2)
"""Shares of noise tried. None is near 0: equal networks trained twice differ, and the matrix stays well conditioned."""
OFFSET = 0.1
"""In interquartile ranges: differences far below this, next to the best, count little."""


class Warp(NamedTuple):
    """The map from scores to what the process models, standardised.

    Attributes:
        best: The best score.
        spread: The unit in which gaps to it are measured.
        mean: Of the logarithms.
        deviation: Of the logarithms.
    """

    best: float
    spread: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, scores: np.ndarray) -> Warp:
        """The map that these scores suggest."""
        quarter, three = np.percentile(scores, [25, 75])
        spread = float(three - quarter) or float(np.ptp(scores)) or 1.0
        best = float(scores.max())
        raw = cls(best, spread, 0.0, 1.0)(scores)
        return cls(best, spread, float(raw.mean()), float(raw.std()) or 1.0)

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Scores, none above the best, to standardised targets."""
        targets: np.ndarray = (-np.log(OFFSET + (self.best - scores) / self.spread) - self.mean) / self.deviation
        return targets

    def back(self, target: float) -> float:
        """Inverse: the score that a target stands for."""
        logarithm = min(target * self.deviation + self.mean, 50.0)
        return self.best + self.spread * (OFFSET - float(np.exp(-logarithm)))


class Hyper(NamedTuple):
    """What the marginal likelihood decides.

    Attributes:
        shape: Length scales of choices and of paths.
        noise: Variance of the noise as a share of that of the process.
        scale: Units of the distances.
    """

    shape: Shape
    noise: float
    scale: tuple[float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Posterior:
    """A Gaussian process given observations; its mean and variance are estimated from them.

    Attributes:
        rows: The architectures observed.
        hyper: Length scales and noise.
        factor: Lower Cholesky factor of the covariance with noise, shape (n, n).
        weights: Whitened residuals, shape (n,).
        mean: The constant that the process returns to.
        variance: Of the process.
    """

    rows: Features
    hyper: Hyper
    factor: np.ndarray
    weights: np.ndarray
    mean: float
    variance: float

    def predict(self, rows: Features) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, without noise, for new rows; shape (rows,) each."""
        from scipy.linalg import solve_triangular

        across = kernel(distances(self.rows, rows, self.hyper.scale), self.hyper.shape)
        whitened = solve_triangular(self.factor, across, lower=True, check_finite=False)
        left = 1.0 - np.einsum("ij,ij->j", whitened, whitened)
        return self.mean + whitened.T @ self.weights, np.sqrt(self.variance * np.maximum(left, 1e-9))


def condition(rows: Features, targets: np.ndarray, hyper: Hyper) -> Posterior:
    """The process given observations.

    Args:
        rows: Architectures, n of them.
        targets: Their values, shape (n,).
        hyper: Length scales and noise.
    """
    covariance = kernel(distances(rows, rows, hyper.scale), hyper.shape)
    _, factor, weights, mean, variance = _factor(covariance, targets, hyper.noise)
    return Posterior(rows, hyper, factor, weights, mean, variance)


def likeliest(rows: Features, targets: np.ndarray) -> Hyper:
    """The length scales, with or without paths, and the noise of the grid with the highest marginal likelihood.

    Args:
        rows: Architectures, n of them.
        targets: Their values, shape (n,).
    """
    scale = scale_of(rows)
    between = distances(rows, rows, scale)
    shapes = [Shape(length) for length in LENGTHS]
    if between.paths is not None:
        shapes += [Shape(*pair) for pair in itertools.product(LENGTHS, LENGTHS)]
    found: list[tuple[float, Hyper]] = []
    for shape in shapes:
        covariance = kernel(between, shape)
        found += [(_factor(covariance, targets, noise)[0], Hyper(shape, noise, scale)) for noise in NOISES]
    return max(found, key=lambda item: item[0])[1]


def believe(posterior: Posterior, pending: Features) -> tuple[Posterior, np.ndarray]:
    """The process that takes its own mean for the result of pending trials (kriging believer, Ginsbourger et al. 2010).

    Its mean stays what it was, since nothing surprises it; what shrinks is the uncertainty around the pending trials.

    Args:
        posterior: The process given the observations.
        pending: The architectures being evaluated.

    Returns:
        The process given both, and the results it believes in.
    """
    from scipy.linalg import block_diag, cholesky, solve_triangular

    hyper, count = posterior.hyper, len(pending.choices)
    across = kernel(distances(posterior.rows, pending, hyper.scale), hyper.shape)
    inside = kernel(distances(pending, pending, hyper.scale), hyper.shape)
    whitened = solve_triangular(posterior.factor, across, lower=True, check_finite=False)
    corner = cholesky(inside + hyper.noise * np.eye(count) - whitened.T @ whitened, lower=True)
    factor = block_diag(posterior.factor, corner)
    factor[-count:, :-count] = whitened.T
    weights = np.concatenate([posterior.weights, np.zeros(count)])
    believed = posterior.mean + whitened.T @ posterior.weights
    rows = posterior.rows.join(pending)
    return Posterior(rows, hyper, factor, weights, posterior.mean, posterior.variance), believed


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """By how much a normal variable exceeds a bound on average (Jones, Schonlau and Welch 1998).

    Args:
        mean: Means, any shape.
        deviation: Standard deviations, positive, of the same shape.
        best: The bound.

    >>> expected_improvement(np.array([0.0, 3.0]), np.array([1.0, 1e-9]), 1.0).round(4)
    array([0.0833, 2.    ])
    """
    from scipy.special import ndtr

    gain = (mean - best) / deviation
    density = np.exp(-0.5 * gain**2) / np.sqrt(2.0 * np.pi)
    improvement: np.ndarray = deviation * (gain * ndtr(gain) + density)
    return improvement


def _factor(
    covariance: np.ndarray, targets: np.ndarray, noise: float
) -> tuple[float, np.ndarray, np.ndarray, float, float]:
    """Log marginal likelihood (up to a constant), Cholesky factor, whitened residuals, mean and variance."""
    from scipy.linalg import cholesky, solve_triangular

    count = len(targets)
    factor = cholesky(covariance + noise * np.eye(count), lower=True, overwrite_a=True, check_finite=False)
    both = np.stack([targets, np.ones(count)], axis=1)
    whitened = solve_triangular(factor, both, lower=True, check_finite=False)
    values, ones = whitened[:, 0], whitened[:, 1]
    mean = float(values @ ones / (ones @ ones))
    weights = values - mean * ones
    variance = max(float(weights @ weights) / count, 1e-9)
    likelihood = -0.5 * count * float(np.log(variance)) - float(np.log(np.diag(factor)).sum())
    return likelihood, factor, weights, mean, variance
