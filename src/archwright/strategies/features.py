"""What surrogates see of an architecture: its choices, the paths through its dags, what its network costs and how it scores.

One network can be written in many ways: an operation on a dead branch changes nothing. Choices do not see that, paths do
in part, and costs are those of the network itself, equal for equal networks. Each view is computed once for an
architecture and kept, for the last few ten thousand.

Scores of networks before their training are a view where the problem brings them: ``problem.settings["zero_cost"]`` maps
the ids of architectures to named scores. What is missing counts as the mean of what is known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
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

    paths: Callable[[Architecture], np.ndarray] | None
    cost: Callable[[Architecture], Cost | None]
    neighbours: Callable[[Architecture], tuple[Architecture, ...]]


ALL = Views._fields
"""The names of all views."""


def hashable(space: Space) -> Any:
    """The space, as a key under which results about it are kept.

    Raises:
        StrategyError: Where it has no hash.
    """
    if not isinstance(space, Hashable):
        raise StrategyError(
            f"The space {space.name!r} has no hash, so that nothing about its architectures can be kept. Make its "
            f"class {type(space).__name__} a frozen dataclass, or give it __hash__."
        )
    return space


def view(problem: Problem, architectures: Sequence[Architecture], of: Collection[str] = ALL) -> Views:
    """The views of architectures.

    Args:
        problem: Their space, and the signature their networks are built for.
        architectures: One or more, all of which can be built if their costs are asked for.
        of: The names of the views, choices always among them. For costs each network is built once.

    Raises:
        StrategyError: Where the space has no hash.
    """
    seen, paths, costs = _seen(hashable(problem.space), problem.signature), None, None
    if "paths" in of and seen.paths is not None:
        paths = np.stack([seen.paths(architecture) for architecture in architectures])
    if "costs" in of:
        found = [seen.cost(architecture) or Cost(0, 0, 0) for architecture in architectures]
        costs = np.log1p([[cost.params, cost.flops, cost.activation_bytes] for cost in found])
    scores = scores_of(problem, architectures) if "scores" in of else None
    return Views(choices_of(problem.space, architectures), paths, costs, scores)


def choices_of(space: Space, architectures: Sequence[Architecture]) -> np.ndarray:
    """The one-hot choices of architectures, shape (architectures, options)."""
    encode = _choices(hashable(space))
    return np.stack([encode(architecture) for architecture in architectures])


def scores_of(problem: Problem, architectures: Sequence[Architecture]) -> np.ndarray | None:
    """The zero-cost scores that the problem brings, standardised; shape (architectures, scores); ``None`` where it has none."""
    table: Mapping[str, Mapping[str, float]] = problem.settings.get("zero_cost") or {}
    if not table:
        return None
    names, means, deviations = _summary(_Same(table))
    rows = [table.get(architecture.id, {}) for architecture in architectures]
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows], float)
    found: np.ndarray = np.clip(np.where(np.isfinite(values), (values - means) / deviations, 0.0), -3.0, 3.0)
    return found


class _Same(NamedTuple):
    """An object as a key: equal to itself only, and kept as long as the key is."""

    of: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.of is other.of

    def __hash__(self) -> int:
        return id(self.of)


@lru_cache(maxsize=4)
def _summary(table: _Same) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The names of the scores, their means and their standard deviations over the finite ones of the first thousand architectures."""
    rows = list(islice(table.of.values(), 1000))
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
    return _seen(hashable(problem.space), problem.signature).cost(architecture)


def neighbours(problem: Problem, architecture: Architecture) -> tuple[Architecture, ...]:
    """All architectures one choice away.

    Raises:
        StrategyError: Where the space has no hash.
    """
    return _seen(hashable(problem.space), problem.signature).neighbours(architecture)


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


@lru_cache(maxsize=8)
def _choices(space: Space) -> Callable[[Architecture], np.ndarray]:
    return _kept(space.encode)


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
    return _Seen(None if encode is None else _kept(encode), cost, near)


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
