"""Exhaustive search: every architecture once, in order."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import cast

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, ChoiceSpace, Problem, Proposal, Trial
from archwright.strategies.operators import choice_space

SKIPS = 10_000
"""Architectures in a row that break the constraints, after which it gives up."""
ROUNDS = 6


class GridState(msgspec.Struct, frozen=True):
    """Where grid search is.

    Attributes:
        position: How many architectures are behind it, proposed or passed over.
        last: The one proposed last.
    """

    position: int = 0
    last: Architecture | None = None


@dataclasses.dataclass(frozen=True)
class Grid:
    """Grid search: every feasible architecture once, as NAS-Bench-101 was made. Ying et al. 2019, arXiv 1902.09635.

    The order is that of the space's ``architectures()``: the first option of each choice first, the last choice changing fastest. When all have been
    proposed there are no proposals any more, which ends the search. Nothing but the position is kept, so that a resumed search goes on at once.

    Attributes:
        shuffled: Go through them in a random order given by the problem's seed. What is then cut short by the budget is a uniform sample
            without repetition. It takes a space with a method ``at``, which all expressions have.
    """

    shuffled: bool = False
    name = "grid"

    def init(self, problem: Problem) -> GridState:
        """Before the first architecture.

        Raises:
            StrategyError: Where the space is not made choice by choice, or is to be shuffled and has no method ``at``.
        """
        choice_space(problem, self.name)
        if self.shuffled:
            _unrank(problem)
        return GridState()

    def tell(self, state: GridState, problem: Problem, trial: Trial) -> GridState:
        """Moves on past a trial that starts."""
        position = trial.proposal.why.get("position")
        if not isinstance(position, int) or position < state.position:
            return state
        return GridState(position + 1, trial.proposal.architecture)

    def ask(self, state: GridState, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """The next feasible architecture; ``None`` after the last.

        Raises:
            StrategyError: Where very many architectures in a row break the constraints.
        """
        space = cast(ChoiceSpace, problem.space)
        rest = _shuffled(problem, state.position) if self.shuffled else _ordered(space, state.last)
        for skipped, architecture in enumerate(rest):
            if skipped == SKIPS:
                advice = "Relax them" if self.shuffled else "Relax them, use shuffled=True"
                raise StrategyError(
                    f"{SKIPS:,} architectures in a row of the space {problem.space.name!r}, from number {state.position:,} on, break the "
                    f"constraints ({', '.join(map(str, problem.constraints))}). {advice} or search with another strategy."
                )
            if problem.feasible(architecture):
                why = {"by": "grid", "position": state.position + skipped, "of": problem.space.size}
                return Proposal(architecture, why=why)
        return None


def following(space: ChoiceSpace, architecture: Architecture) -> Architecture | None:
    """The architecture after this one in the order of ``space.architectures()``; ``None`` after the last."""
    made = architecture.as_dict()
    counts: dict[str, int] = {}

    def replay(address: str, options: int) -> int:
        counts[address] = options
        return made[address]

    space.fill(replay)
    wanted = list(architecture.choices)
    while wanted:
        address, option = wanted.pop()
        if option + 1 < counts[address]:
            prefix = {**dict(wanted), address: option + 1}
            break
    else:
        return None
    return space.fill(lambda address, options: prefix.get(address, 0))


def permuted(position: int, size: int, seed: int) -> int:
    """What is at a position of a random order of ``range(size)``, without making the order: a Feistel network.

    Outside of the range it is applied again, until the result is inside (Black and Rogaway 2002).

    >>> sorted(permuted(position, 5, seed=0) for position in range(5))
    [0, 1, 2, 3, 4]
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = position >> half, position & mask
        for turn in range(ROUNDS):
            digest = hashlib.shake_256(f"{seed} {turn} {right}".encode()).digest((half + 7) // 8)
            left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
        position = left << half | right
        if position < size:
            return position


def _ordered(space: ChoiceSpace, last: Architecture | None) -> Iterator[Architecture]:
    """The architectures after the last one, in order."""
    following_one = space.fill(lambda address, options: 0) if last is None else following(space, last)
    while following_one is not None:
        yield following_one
        following_one = following(space, following_one)


def _shuffled(problem: Problem, position: int) -> Iterator[Architecture]:
    """The architectures from a position on, in the order given by the seed."""
    unrank, size = _unrank(problem), problem.space.size
    while position < size:
        yield unrank(permuted(position, size, problem.seed))
        position += 1


def _unrank(problem: Problem) -> Callable[[int], Architecture]:
    """The method of the space that gives the architecture of a number."""
    found: Callable[[int], Architecture] | None = getattr(problem.space, "at", None)
    if found is None:
        raise StrategyError(
            f"Got shuffled=True, but the space {problem.space.name!r} has no method 'at' that gives the architecture of a number. "
            "Use shuffled=False, or the strategy 'random'."
        )
    return found
