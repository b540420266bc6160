"""Distances between architectures, and kernels made of them.

Two views of an architecture are compared: its choices (one-hot; the Hamming distance counts the choices in which two
architectures differ) and, where the space has dags, the paths from input to output (White, Neiswanger and Savani 2021,
arXiv 1910.11858; the distance is the square root of the number of paths that one has and the other has not). Paths see
what choices do not: that an operation on a dead branch changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from archwright.errors import SpaceError, StrategyError
from archwright.problem import Architecture, Space

Vectors = tuple[np.ndarray, np.ndarray | None]
"""One architecture as vectors: its one-hot choices, and which paths it has."""


class Features(NamedTuple):
    """Architectures as rows.

    Attributes:
        choices: One-hot by choice, float32 of shape (architectures, options).
        paths: Which paths there are, float32 of shape (architectures, paths); ``None`` where the space has none.
    """

    choices: np.ndarray
    paths: np.ndarray | None

    def join(self, other: Features) -> Features:
        """These rows, then the others."""
        paths = None
        if self.paths is not None and other.paths is not None:
            paths = np.concatenate([self.paths, other.paths])
        return Features(np.concatenate([self.choices, other.choices]), paths)


class Distances(NamedTuple):
    """Distances between the rows of two sets of features.

    Attributes:
        choices: Hamming distance as a share of the choices, shape (first, second).
        paths: Path distance relative to that of two architectures without a common path; ``None`` where there are none.
    """

    choices: np.ndarray
    paths: np.ndarray | None


def features(space: Space, architectures: Sequence[Architecture]) -> Features:
    """The features of architectures; what was computed before is remembered."""
    vectors = coder(hashable(space))
    rows = [vectors(architecture) for architecture in architectures]
    paths = [path for _, path in rows if path is not None]
    return Features(np.stack([row for row, _ in rows]), np.stack(paths) if paths else None)


def hashable(space: Space) -> Any:
    """The space, as a key under which results about it are remembered.

    Raises:
        StrategyError: Where it has no hash.
    """
    if not isinstance(space, Hashable):
        raise StrategyError(
            f"The space {space.name!r} has no hash, so that nothing about its architectures can be remembered. Make its "
            f"class {type(space).__name__} a frozen dataclass, or give it __hash__."
        )
    return space


@lru_cache(maxsize=8)
def coder(space: Space) -> Callable[[Architecture], Vectors]:
    """Turns the architectures of a space into read-only vectors, and remembers the last few thousand."""
    paths = _path_encoder(space)

    @lru_cache(maxsize=8192)
    def vectors(architecture: Architecture) -> Vectors:
        choices = np.asarray(space.encode(architecture), np.float32)
        choices.setflags(write=False)
        found = None if paths is None else np.asarray(paths(architecture), np.float32)
        if found is not None:
            found.setflags(write=False)
        return choices, found

    return vectors


def _path_encoder(space: Space) -> Callable[[Architecture], np.ndarray] | None:
    """The path encoding of a space; ``None`` where it has none, or no dag."""
    encode: Callable[[Architecture], np.ndarray] | None = getattr(space, "encode_paths", None)
    if encode is not None:
        try:
            encode(space.sample(np.random.default_rng(0)))
        except SpaceError:
            return None
    return encode


def distances(first: Features, second: Features, scale: tuple[float, float]) -> Distances:
    """Distances between all rows of one set and all of another.

    Args:
        first: The rows of the result.
        second: Its columns.
        scale: What counts as the unit: a number of choices, and a distance of paths.
    """
    choices = _differing(first.choices, second.choices) / (2.0 * scale[0])
    if first.paths is None or second.paths is None:
        return Distances(choices, None)
    return Distances(choices, np.sqrt(_differing(first.paths, second.paths)) / scale[1])


def scale_of(rows: Features) -> tuple[float, float]:
    """The units of distance: the mean number of choices made, and the distance of two typical architectures that have no
    path in common."""
    choices = max(1.0, float(rows.choices.sum(axis=1).mean()))
    paths = 1.0 if rows.paths is None else max(1.0, float(np.sqrt(2.0 * rows.paths.sum(axis=1).mean())))
    return choices, paths


class Shape(NamedTuple):
    """The form of a kernel.

    Attributes:
        choices: Length scale of choices, in their units.
        paths: Length scale of paths, in theirs; ``None`` where only choices count.
    """

    choices: float
    paths: float | None = None


def kernel(between: Distances, shape: Shape) -> np.ndarray:
    """Covariances between 0 and 1: ``exp(-distance / length)`` of choices, or the mean of that of choices and of paths.

    Args:
        between: Distances.
        shape: Length scales.
    """
    choices: np.ndarray = np.exp(between.choices / -shape.choices)
    if between.paths is None or shape.paths is None:
        return choices
    both: np.ndarray = 0.5 * (choices + np.exp(between.paths / -shape.paths))
    return both


def _differing(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The number of entries in which rows of zeros and ones differ."""
    common = first @ second.T
    differing: np.ndarray = first.sum(axis=1)[:, None] + second.sum(axis=1)[None, :] - 2.0 * common
    found: np.ndarray = np.maximum(differing, 0.0).astype(float)
    return found
