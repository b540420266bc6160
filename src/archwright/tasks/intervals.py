"""Confidence intervals of test metrics, and paired comparisons of two networks on the same rows.

All intervals are 95%. Of a text whole windows are drawn, because the symbols in one depend on each other. Accuracy gets Wilson's score interval (Wilson 1927, JASA 22, 209-212), but for texts; everything else the percentile bootstrap over
test rows (Efron and Tibshirani 1993, chapter 13), except where the rows leave it nothing to draw from (see :func:`intervals` and
:func:`paired_difference`). They say how far the result would move on other test rows of the same
kind; they do not contain the noise of training again with another seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archwright.errors import DataError
from archwright.problem.final import RATES, Comparison, Interval
from archwright.problem.settings import MINIMISED
from archwright.tasks.metrics import symbols

RESAMPLES = 1000
"""Bootstrap resamples; the interval's ends are then known to about a tenth of its width."""

_Z = 1.959963984540054  # the normal distribution's 97.5% point
_CHUNK = 4_000_000  # numbers drawn at once

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Row weights ``(resamples, n)`` to one value per resample."""


def wilson(correct: int, total: int) -> Interval:
    """Wilson's 95% interval of a proportion.

    >>> interval = wilson(98, 100)
    >>> round(interval.low, 3), round(interval.high, 3)
    (0.93, 0.994)

    Raises:
        DataError: Where ``total`` is not positive or ``correct`` lies outside ``[0, total]``.
    """
    if total <= 0 or not 0 <= correct <= total:
        raise DataError(f"Got {correct} correct of {total}; expected a share of at least one row.")
    share, spread = correct / total, _Z**2 / total
    centre = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * float(np.sqrt(share * (1 - share) / total + spread / (4 * total)))
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def intervals(kind: str, y: ArrayLike, outputs: ArrayLike, *, scale: float = 1.0, seed: int = 0) -> dict[str, Interval]:
    """Every metric of a task's kind with its interval.

    Args:
        kind: ``"classification"`` or ``"regression"``.
        y: True classes (int) or targets (float), shape ``(n,)``; of a text the next symbols ``(n, steps)``.
        outputs: Logits ``(n, classes)``, or predictions ``(n,)`` or ``(n, 1)`` in the units of ``y``; of a text logits ``(n, classes, steps)``.
        scale: What the targets were divided by (``task.target_std``), so that ``mae`` and ``rmse`` are in the target's units.
        seed: Of the bootstrap; equal seeds give equal intervals.

    Returns:
        accuracy, balanced_accuracy, macro_f1, log_loss; or mae, r2, rmse; or perplexity, accuracy, log_loss of a text. Where every row is right, the bootstrap has nothing to
        draw from, and all rates get accuracy's interval. A metric that is undefined on these rows (R2 of equal
        targets) is left out.
    """
    statistics, rows = _statistics(kind, np.asarray(y), np.asarray(outputs, dtype=np.float64), scale)
    values = {name: float(statistic(np.ones((1, rows)))[0]) for name, statistic in statistics.items()}
    values = {name: value for name, value in values.items() if np.isfinite(value)}
    drawn: dict[str, list[Floats]] = {name: [] for name in values}
    for weights in _resamples(rows, seed):
        for name in values:
            drawn[name].append(statistics[name](weights))
    found = {name: _percentiles(value, np.concatenate(drawn[name])) for name, value in values.items()}
    if kind == "classification":
        if np.ndim(y) == 1 or found["accuracy"].value == 1.0:
            found["accuracy"] = wilson(round(found["accuracy"].value * rows), rows)
        if found["accuracy"].value == 1.0:
            found |= {name: found["accuracy"] for name in found if name in RATES}
    return found


def compare(
    kind: str,
    metric: str,
    y: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    scale: float = 1.0,
    seed: int = 0,
) -> Comparison:
    """Compares two networks' outputs for the same test rows by any metric, with the same resampled rows for both.

    Args:
        kind: ``"classification"`` or ``"regression"``.
        metric: One of those of :func:`intervals`. Where less of it is better the sign is turned, so that positive favours ``first``.
        y: True classes or targets, as for :func:`intervals`.
        first: Logits or predictions of the first network, as for :func:`intervals`.
        second: Those of the second.
        scale: As for :func:`intervals`.
        seed: Of the bootstrap.
    """
    truth = np.asarray(y)
    both = [_statistics(kind, truth, np.asarray(outputs, dtype=np.float64), scale) for outputs in (first, second)]
    if metric not in both[0][0]:
        raise DataError(f"Got the metric {metric!r}; expected one of {', '.join(sorted(both[0][0]))}.")
    one, two = (statistics[metric] for statistics, _ in both)
    sign = -1.0 if metric in MINIMISED else 1.0
    ones = np.ones((1, truth.shape[0]))
    difference = float(sign * (one(ones) - two(ones))[0])
    if not np.isfinite(difference):
        raise DataError(
            f"Got a difference of {metric} of {difference} on {truth.shape[0]} rows; expected outputs and targets that define it."
        )
    drawn = np.concatenate([sign * (one(weights) - two(weights)) for weights in _resamples(truth.shape[0], seed)])
    return _comparison(metric, difference, drawn, truth.shape[0])


def paired_difference(first: ArrayLike, second: ArrayLike, *, metric: str = "accuracy", seed: int = 0) -> Comparison:
    """Compares two networks by one number per test row, more being better (1 where it was right, 0 where it was wrong).

    Where the two never differ, the bootstrap has nothing to draw from: rates then get the rule of three, plus and minus 3 / n.

    >>> right = np.arange(200) < 190
    >>> paired_difference(right, right).text()
    'search and random tie: +0.0 points [-1.5, +1.5] on the same test rows'
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise DataError(
            f"Got rows of shapes {a.shape} and {b.shape}; expected two equal vectors, one value per test row."
        )
    gain = a - b
    drawn = np.concatenate([weights @ gain / a.size for weights in _resamples(a.size, seed)])
    return _comparison(metric, float(gain.mean()), drawn, a.size)


def _comparison(metric: str, difference: float, drawn: Floats, rows: int) -> Comparison:
    interval = _percentiles(difference, drawn)
    if metric in RATES and interval.low == interval.high:
        interval = Interval(difference, max(-1.0, difference - 3 / rows), min(1.0, difference + 3 / rows))
    verdict: str = "better" if interval.low > 0 else "worse" if interval.high < 0 else "tie"
    return Comparison(metric, difference, interval.low, interval.high, verdict)  # type: ignore[arg-type]


def _percentiles(value: float, drawn: Floats) -> Interval:
    usable = drawn[np.isfinite(drawn)]
    low, high = np.percentile(usable, [2.5, 97.5]) if usable.size else (value, value)
    return Interval(value, min(value, float(low)), max(value, float(high)))


def _resamples(rows: int, seed: int) -> Iterator[Floats]:
    """How often each row was drawn, for chunks of resamples: arrays of shape ``(chunk, rows)``."""
    rng = np.random.default_rng([seed, rows])
    chunk = max(1, min(RESAMPLES, _CHUNK // rows))
    for start in range(0, RESAMPLES, chunk):
        size = min(chunk, RESAMPLES - start)
        drawn = rng.integers(rows, size=(size, rows)) + rows * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)


def _statistics(kind: str, y: NDArray[np.generic], outputs: Floats, scale: float) -> tuple[dict[str, Statistic], int]:
    if (
        kind == "classification"
        and y.ndim == 2
        and y.size
        and outputs.shape == (len(y), *outputs.shape[1:2], y.shape[1])
    ):
        return _text(y.astype(np.int64), outputs), y.shape[0]
    if y.ndim != 1 or y.shape[0] != outputs.shape[0] or y.shape[0] == 0:
        raise DataError(
            f"Got truths {y.shape} and outputs {outputs.shape}; expected one row of outputs for each truth."
        )
    if kind == "classification":
        return _classification(y.astype(np.int64), outputs), y.shape[0]
    if kind == "regression":
        return _regression(y.astype(np.float64), outputs.reshape(y.shape[0]), scale), y.shape[0]
    raise DataError(f"Got the kind {kind!r}; expected 'classification' or 'regression'.")


def _classification(y: NDArray[np.int64], logits: Floats) -> dict[str, Statistic]:
    guess = logits.argmax(axis=1)
    right = (guess == y).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    chances = np.exp(shifted)
    chances /= chances.sum(axis=1, keepdims=True)
    floor = np.finfo(np.float64).eps
    losses = -np.log(np.clip(chances[np.arange(y.size), y], floor, 1 - floor))
    labels = np.union1d(y, guess)
    truth = (y[:, None] == labels).astype(np.float64)
    guessed = (guess[:, None] == labels).astype(np.float64)
    hit = truth * right[:, None]

    def balanced(weights: Floats) -> Floats:
        support, hits = weights @ truth, weights @ hit
        return _mean_where(support > 0, hits, support)

    def macro_f1(weights: Floats) -> Floats:
        both = weights @ truth + weights @ guessed
        return _mean_where(both > 0, 2 * (weights @ hit), both)

    return {
        "accuracy": lambda weights: weights @ right / y.size,
        "balanced_accuracy": balanced,
        "macro_f1": macro_f1,
        "log_loss": lambda weights: weights @ losses / y.size,
    }


def _text(y: NDArray[np.int64], logits: Floats) -> dict[str, Statistic]:
    losses, right = symbols(y, logits)
    return {
        "perplexity": lambda weights: np.exp(weights @ losses / len(y)),
        "accuracy": lambda weights: weights @ right / len(y),
        "log_loss": lambda weights: weights @ losses / len(y),
    }


def _regression(y: Floats, predicted: Floats, scale: float) -> dict[str, Statistic]:
    error = predicted - y
    centred = y - y.mean()

    def r2(weights: Floats) -> Floats:
        spread = weights @ centred**2 - (weights @ centred) ** 2 / y.size
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(spread > 1e-12 * y.size, 1 - weights @ error**2 / spread, np.nan)

    return {
        "r2": r2,
        "mae": lambda weights: scale * (weights @ np.abs(error)) / y.size,
        "rmse": lambda weights: scale * np.sqrt(weights @ error**2 / y.size),
    }


def _mean_where(counted: NDArray[np.bool_], numerator: Floats, denominator: Floats) -> Floats:
    ratio = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=counted)
    total: Floats = ratio.sum(axis=1) / counted.sum(axis=1)
    return total
