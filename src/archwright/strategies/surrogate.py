"""A Gaussian process over architectures that sees their choices, paths and costs, and tells how far it can be trusted.

Its kernel is the mean of one exponential kernel for each view: ``exp(-distance / length)``, distances being counted in
those of two typical architectures. What it models are the normal scores of the ranks (a Gaussian copula), so that neither
the scale of a metric nor networks that failed to learn matter, only who is better.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from archwright.problem import Architecture, Problem
from archwright.strategies.evidence import ranks, spearman
from archwright.strategies.features import ALL, Views, scores_of, view
from archwright.strategies.history import Observed, best_and_latest

MOST = 200
"""Observations that a process is given at most: the best half and the latest half."""
LENGTHS = (0.35, 0.7, 1.4, 2.8, 5.6)
"""Length scales tried, in units of the mean distance of two observed architectures."""
NOISES = (0.03, 0.1, 0.3, 1.0)
"""Variances of the noise tried, relative to that of the process. None is near 0: equal networks trained twice differ."""


class Marks(NamedTuple):
    """Scores and what they are modelled as.

    Attributes:
        scores: Ascending, without repetition.
        marks: Their standardised normal scores.
    """

    scores: np.ndarray
    marks: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray) -> tuple[Marks, np.ndarray]:
        """The map that these scores suggest, and what it makes of them."""
        from scipy.special import ndtri

        marks = ndtri((ranks(scores) - 0.5) / len(scores))
        marks = (marks - marks.mean()) / (float(marks.std()) or 1.0)
        levels, first = np.unique(scores, return_index=True)
        return cls(levels, marks[first]), marks

    def back(self, mark: float) -> float:
        """The score that a mark stands for: between those observed by interpolation, beyond them along their range."""
        low, high = float(self.marks[0]), float(self.marks[-1])
        slope = float(self.scores[-1] - self.scores[0]) / (high - low) if high > low else 0.0
        beyond = slope * (mark - min(max(mark, low), high))
        return float(np.interp(mark, self.marks, self.scores)) + beyond

    def explain(self, mean: float, deviation: float) -> dict[str, float]:
        """A prediction on the scale of the scores."""
        low, high = self.back(mean - deviation), self.back(mean + deviation)
        return {"predicted": self.back(mean), "uncertainty": (high - low) / 2}


class Hyper(NamedTuple):
    """What the marginal likelihood decides.

    Attributes:
        length: Length scale of all views, in their units.
        noise: Variance of the noise, relative to that of the process.
    """

    length: float
    noise: float


@dataclasses.dataclass(frozen=True, eq=False)
class Surrogate:
    """A Gaussian process given observations.

    Attributes:
        rows: The architectures observed, n of them, and any believed in.
        units: The unit of each view's distances.
        hyper: Length scale and noise.
        targets: What was observed, shape (n,).
        factor: Lower Cholesky factor of the covariance with noise, shape (n, n).
    """

    rows: Views
    units: Units
    hyper: Hyper
    targets: np.ndarray
    factor: np.ndarray

    @cached_property
    def weights(self) -> np.ndarray:
        """The inverse covariance times the targets, shape (n,)."""
        return _solved(self.factor.T, _solved(self.factor, self.targets, lower=True), lower=False)

    @cached_property
    def variance(self) -> float:
        """Variance of the process, as the targets suggest."""
        return max(float(self.targets @ self.weights) / len(self.targets), 1e-9)

    @cached_property
    def left_out(self) -> np.ndarray:
        """What is predicted for each observation from all the others, shape (n,)."""
        inverse = _solved(self.factor, np.eye(len(self.targets)), lower=True)
        found: np.ndarray = self.targets - self.weights / np.einsum("ij,ij->j", inverse, inverse)
        return found

    @cached_property
    def correlation(self) -> float:
        """Rank correlation of observations with what is predicted for each from all the others."""
        return spearman(self.left_out, self.targets)

    @cached_property
    def best(self) -> float:
        """The highest that was observed, or is believed of what runs."""
        return float(self.targets.max())

    @property
    def views(self) -> tuple[str, ...]:
        """What it tells architectures apart by."""
        named = zip(self.rows.names, self.units, strict=True)
        return tuple(name for name, unit in named if unit[0] > 0.0 or name == "choices")

    def predict(self, rows: Views) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, without noise; shape (rows,) each."""
        across = kernel(self.rows, rows, self.units, self.hyper.length)
        whitened = _solved(self.factor, across, lower=True)
        left = 1.0 - np.einsum("ij,ij->j", whitened, whitened)
        return self.weights @ across, np.sqrt(self.variance * np.maximum(left, 1e-6))

    def believe(self, rows: Views) -> Surrogate:
        """The process that takes its own means for results (kriging believer, Ginsbourger et al. 2010): less uncertain near them."""
        believed, _ = self.predict(rows)
        joined = _join(self.rows, rows)
        targets = np.concatenate([self.targets, believed])
        return Surrogate(joined, self.units, self.hyper, targets, _factor(joined, self.units, self.hyper))


Units = tuple[tuple[float, ...], ...]
"""For each view what its distances are divided by, 0 where it tells nothing apart; for costs, also what each cost is divided by."""


class Task:
    """A problem as a key under which fits are kept: its space, its signature, and the zero-cost scores of what a model is fitted to.

    Args:
        problem: The problem.
        architectures: What the model is fitted to.
    """

    def __init__(self, problem: Problem, architectures: Sequence[Architecture]) -> None:
        scores = scores_of(problem, architectures)
        self.problem = problem
        self.key = (problem.space, problem.signature, None if scores is None else scores.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def fitted(problem: Problem, observed: Sequence[Observed], of: tuple[str, ...] = ALL) -> tuple[Surrogate, Marks]:
    """The process given what was observed, and what scores its marks stand for; what was computed before is remembered.

    Args:
        problem: The problem.
        observed: Trials with scores, at least two of them.
        of: The views it sees, see :func:`~archwright.strategies.features.view`.
    """
    architectures = tuple(item.architecture for item in observed)
    scores = tuple(item.scores[0] for item in observed if item.scores is not None)
    return _fitted(Task(problem, architectures), architectures, scores, of)


@lru_cache(maxsize=32)
def _fitted(
    task: Task, architectures: tuple[Architecture, ...], scores: tuple[float, ...], of: tuple[str, ...]
) -> tuple[Surrogate, Marks]:
    step = 5 if len(scores) < 100 else 10
    tuned = max(len(scores) - len(scores) % step, min(len(scores), step))
    kept, results = best_and_latest(architectures, scores, MOST)
    marks, targets = Marks.of(results)
    hyper, units = _tuned(Task(task.problem, architectures[:tuned]), architectures[:tuned], scores[:tuned], of)
    return condition(view(task.problem, kept, of), targets, units, hyper), marks


@lru_cache(maxsize=32)
def _tuned(
    task: Task, architectures: tuple[Architecture, ...], scores: tuple[float, ...], of: tuple[str, ...]
) -> tuple[Hyper, Units]:
    """The likeliest length scale and noise, and the units; chosen anew only every few results."""
    kept, results = best_and_latest(architectures, scores, MOST)
    rows = view(task.problem, kept, of)
    units = units_of(rows)
    return likeliest(rows, Marks.of(results)[1], units), units


def condition(rows: Views, targets: np.ndarray, units: Units, hyper: Hyper) -> Surrogate:
    """The process given observations.

    Args:
        rows: Architectures, n of them.
        targets: Their marks, shape (n,).
        units: Of distances.
        hyper: Length scale and noise.
    """
    return Surrogate(rows, units, hyper, targets, _factor(rows, units, hyper))


def likeliest(rows: Views, targets: np.ndarray, units: Units) -> Hyper:
    """The length scale and the noise of the grid with the highest marginal likelihood.

    Args:
        rows: Architectures, n of them.
        targets: Their marks, shape (n,).
        units: Of distances.
    """
    count = len(targets)
    between = _distances(rows, rows, units)
    found: list[tuple[float, Hyper]] = []
    for length in LENGTHS:
        covariance = _covariance(between, length)
        for noise in NOISES:
            factor = _cholesky(covariance + noise * np.eye(count))
            whitened = _solved(factor, targets, lower=True)
            variance = max(float(whitened @ whitened) / count, 1e-9)
            likelihood = -0.5 * count * np.log(variance) - np.log(np.diag(factor)).sum()
            found.append((float(likelihood), Hyper(length, noise)))
    return max(found, key=lambda item: item[0])[1]


def units_of(rows: Views) -> Units:
    """The mean distance of two of these architectures in each view, and the spread of each cost."""
    spread: tuple[float, ...] = ()
    if rows.costs is not None:
        spread = tuple(float(value) or 1.0 for value in rows.costs.std(axis=0))
    plain = tuple((1.0, *(spread if name == "costs" else ())) for name in rows.names)
    count = len(rows)
    means = [float(matrix.sum()) / max(1, count * (count - 1)) for matrix in _distances(rows, rows, plain)]
    return tuple((mean, *unit[1:]) for mean, unit in zip(means, plain, strict=True))


def kernel(first: Views, second: Views, units: Units, length: float) -> np.ndarray:
    """Covariances in (0, 1], shape (first, second): the mean over the views."""
    return _covariance(_distances(first, second, units), length)


def _covariance(between: list[np.ndarray], length: float) -> np.ndarray:
    total: np.ndarray = sum((np.exp(matrix / -length) for matrix in between), np.zeros(()))
    return total / len(between)


def _distances(first: Views, second: Views, units: Units) -> list[np.ndarray]:
    """For each view the sum of absolute differences, in units."""
    found = []
    for name, unit in zip(first.names, units, strict=True):
        if unit[0] == 0.0 and name != "choices":
            continue
        one, two = getattr(first, name), getattr(second, name)
        if name in ("costs", "scores"):
            scaled = np.array(unit[1:]) if len(unit) > 1 else 1.0
            matrix = np.abs((one / scaled)[:, None, :] - (two / scaled)[None, :, :]).sum(axis=2)
        else:
            common = one @ two.T
            matrix = (one.sum(axis=1)[:, None] + two.sum(axis=1)[None, :] - 2.0 * common).astype(float)
        found.append(np.maximum(matrix, 0.0) / (unit[0] or 1.0))
    return found


def _factor(rows: Views, units: Units, hyper: Hyper) -> np.ndarray:
    return _cholesky(kernel(rows, rows, units, hyper.length) + hyper.noise * np.eye(len(rows)))


def _join(first: Views, second: Views) -> Views:
    joined = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in first.names}
    return Views(**joined)


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    from scipy.linalg import cholesky

    factor: np.ndarray = cholesky(matrix, lower=True, check_finite=False)
    return factor


def _solved(factor: np.ndarray, right: np.ndarray, *, lower: bool) -> np.ndarray:
    from scipy.linalg import solve_triangular

    found: np.ndarray = solve_triangular(factor, right, lower=lower, check_finite=False)
    return found
