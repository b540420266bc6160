"""What surrogates see of an architecture: its choices, the paths through its dags, what its network costs and how it scores.

One network can be written in many ways: an operation on a dead branch changes nothing. Choices do not see that, paths do
in part, and costs are those of the network itself, equal for equal networks. Each view is computed once for an
architecture and kept, for the last few ten thousand.

Scores of networks before their training are a view where the problem brings them: ``problem.settings["zero_cost"]`` maps
the ids of architectures to named scores. What is missing counts as the mean of what is known.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from archwright.errors import ArchwrightError, SpaceError, StrategyError
from archwright.problem import Architecture, Cost, Problem, Signature, Space

KEPT = 1 << 15
"""Architectures whose views are kept, for each space."""
PATHS = 128
"""Paths that are told apart, for each dag."""


class Views(NamedTuple):
    """Architectures as rows.

    Attributes:
        choices: One-hot by choice, shape (architectures, options).
        paths: Which paths there are, shape (architectures, paths); ``None`` where the space has none, or they were not asked for.
        costs: Logarithms of parameters, FLOPs and activation bytes, shape (architectures, 3); ``None`` likewise.
        scores: Zero-cost scores, standardised over all that are known, shape (architectures, scores); ``None`` likewise.
    """

    choices: np.ndarray
    paths: np.ndarray | None = None
    costs: np.ndarray | None = None
    scores: np.ndarray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The views there are."""
        return tuple(name for name, view in zip(self._fields, self, strict=True) if view is not None)

    def __len__(self) -> int:
        return len(self.choices)


class _Seen(NamedTuple):
    """The views of single architectures of one space, each kept once computed."""

    choices: Callable[[Architecture], np.ndarray]
    paths: Callable[[Architecture], np.ndarray] | None
    cost: Callable[[Architecture], Cost | None]
    neighbours: Callable[[Architecture], tuple[Architecture, ...]]


def can_see(space: Space) -> bool:
    """Whether the architectures of a space have views: it must have a hash, under which they are kept."""
    return isinstance(space, Hashable)


def view(problem: Problem, architectures: Sequence[Architecture], *, whole: bool = True) -> Views:
    """The views of architectures.

    Args:
        problem: Their space, and the signature their networks are built for.
        architectures: One or more, all of which can be built if the view is ``whole``.
        whole: With paths and costs, for which each network is built once.

    Raises:
        StrategyError: Where the space has no hash.
    """
    seen = _seen_of(problem)
    choices = np.stack([seen.choices(architecture) for architecture in architectures])
    if not whole:
        return Views(choices)
    paths = None if seen.paths is None else np.stack([seen.paths(architecture) for architecture in architectures])
    found = [seen.cost(architecture) or Cost(0, 0, 0) for architecture in architectures]
    costs = np.log1p([[cost.params, cost.flops, cost.activation_bytes] for cost in found])
    return Views(choices, paths, costs, scores_of(problem, architectures))


def scores_of(problem: Problem, architectures: Sequence[Architecture]) -> np.ndarray | None:
    """The zero-cost scores that the problem brings, standardised; shape (architectures, scores); ``None`` where it has none."""
    table: Mapping[str, Mapping[str, float]] = problem.settings.get("zero_cost") or {}
    if not table:
        return None
    names, means, deviations = _summary(table)
    rows = [table.get(architecture.id, {}) for architecture in architectures]
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows], float)
    found: np.ndarray = np.clip(np.where(np.isfinite(values), (values - means) / deviations, 0.0), -3.0, 3.0)
    return found


def _summary(table: Mapping[str, Mapping[str, float]]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The names of the scores, their means and their standard deviations over the finite ones of the first thousand architectures."""
    rows = list(islice(table.values(), 1000))
    names = sorted({name for row in rows for name, value in row.items() if np.isfinite(value)})
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows], float)
    known = np.ma.masked_invalid(values)
    means, deviations = np.asarray(known.mean(axis=0)), np.asarray(known.std(axis=0))
    return names, means, np.where(deviations > 0, deviations, 1.0)


def cost_of(problem: Problem, architecture: Architecture) -> Cost | None:
    """What the network costs; ``None`` where it cannot be built.

    Raises:
        StrategyError: Where the space has no hash.
    """
    return _seen_of(problem).cost(architecture)


def neighbours(problem: Problem, architecture: Architecture) -> tuple[Architecture, ...]:
    """All architectures one choice away.

    Raises:
        StrategyError: Where the space has no hash.
    """
    return _seen_of(problem).neighbours(architecture)


def fits(problem: Problem, architecture: Architecture) -> bool:
    """Whether the network can be built and satisfies every constraint that is known before training.

    Raises:
        StrategyError: Where the space has no hash.
    """
    cost = cost_of(problem, architecture)
    if cost is None:
        return False
    known = cost.as_dict()
    return all(item.holds(known[item.metric]) for item in problem.constraints if item.metric in known)


def _seen_of(problem: Problem) -> _Seen:
    if not can_see(problem.space):
        raise StrategyError(
            f"The space {problem.space.name!r} has no hash, so that nothing about its architectures can be kept. Make its "
            f"class {type(problem.space).__name__} a frozen dataclass, or give it __hash__."
        )
    hashable: Any = problem.space
    return _seen(hashable, problem.signature)


@lru_cache(maxsize=8)
def _seen(space: Space, signature: Signature) -> _Seen:
    @lru_cache(maxsize=KEPT)
    def cost(architecture: Architecture) -> Cost | None:
        try:
            return space.graph(architecture, signature).cost
        except ArchwrightError:
            return None

    @lru_cache(maxsize=128)
    def near(architecture: Architecture) -> tuple[Architecture, ...]:
        return tuple(space.neighbours(architecture))

    encode = _path_encoder(space)
    return _Seen(_kept(space.encode), None if encode is None else _kept(encode), cost, near)


def _kept(encode: Callable[[Architecture], np.ndarray]) -> Callable[[Architecture], np.ndarray]:
    """The encoding, remembered and read-only."""

    @lru_cache(maxsize=KEPT)
    def vector(architecture: Architecture) -> np.ndarray:
        found = np.asarray(encode(architecture), np.float32)
        found.setflags(write=False)
        return found

    return vector


def _path_encoder(space: Space) -> Callable[[Architecture], np.ndarray] | None:
    """The path encoding of a space; ``None`` where it has none, or no dag."""
    encode: Callable[..., np.ndarray] | None = getattr(space, "encode_paths", None)
    if encode is None:
        return None
    try:
        encode(space.sample(np.random.default_rng(0)), PATHS)
    except SpaceError:
        return None
    return lambda architecture: encode(architecture, PATHS)
