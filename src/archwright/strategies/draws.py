"""Draws from a policy: new and feasible where a bounded number of tries finds such, and never an endless loop."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from archwright.problem import Architecture, Problem
from archwright.problem.protocols import ChoiceSpace
from archwright.strategies.common import FRESH_TRIES, sample_feasible
from archwright.strategies.policy import Policy, distribution, taken

TRIES = 60
"""Draws at most; after the first ten without success each is more random than the last."""
HEATING = 1.15
"""Factor of the temperature from one such draw to the next: the last is (nearly) uniform."""

_Node = tuple[np.ndarray, Any, dict[int, Any]]


class Draws:
    """Draws from a policy with certain weights.

    What follows the same choices is worked out once: a policy that has learned makes nearly the same choices again and again.

    Args:
        policy: Who chooses.
        weights: Of the policy.
        space: Whose choices are made.
    """

    def __init__(self, policy: Policy, weights: np.ndarray, space: ChoiceSpace) -> None:
        self._space, self._starts = space, policy.heads.starts
        self._advance = policy.follow(weights)
        self._root: _Node = (*self._advance(None, None), {})

    def draw(self, rng: np.random.Generator, temperature: float) -> Architecture:
        """An architecture; logits are divided by the temperature."""
        node = self._root
        token: int | None = None

        def pick(address: str, options: int) -> int:
            nonlocal node, token
            if token is not None:
                _, memory, after = node
                if token not in after:
                    after[token] = (*self._advance(memory, token), {})
                node = after[token]
            start = self._starts[address]
            chances = node[0][start : start + options] / temperature
            ends = np.exp(chances - chances.max()).cumsum()
            option = min(int(ends.searchsorted(rng.random() * ends[-1], side="right")), options - 1)
            token = start + option
            return option

        return self._space.fill(pick)


def new_architecture(
    problem: Problem, known: Collection[Architecture], rng: np.random.Generator, draw: Callable[[int], Architecture]
) -> tuple[Architecture, dict[str, Any]]:
    """An architecture that is feasible and, if possible, not known.

    Args:
        problem: Space and constraints.
        known: What was proposed before.
        rng: Source of randomness, where none of the draws is feasible.
        draw: Makes an architecture; its argument is 0 for the first ten draws, and from then on 1, 2, 3, ..., to make
            them more random.

    Returns:
        The architecture, and what to say of it.

    Raises:
        StrategyError: Where the constraints exclude (nearly) all of the space.
    """
    repeated: Architecture | None = None
    for attempt in range(TRIES):
        architecture = draw(max(0, attempt + 1 - FRESH_TRIES))
        if architecture in known:
            repeated = repeated or architecture
        elif problem.feasible(architecture):
            return architecture, {"draws": attempt + 1}
    if repeated is not None and problem.feasible(repeated):
        return repeated, {"draws": TRIES, "reason": "no draw was both new and feasible; this one is known"}
    drawn = sample_feasible(problem, rng, avoid=known)
    return drawn, {"by": "random", "draws": TRIES, "reason": "no draw satisfied the constraints"}


def propose(
    policy: Policy,
    weights: np.ndarray,
    problem: Problem,
    known: Collection[Architecture],
    rng: np.random.Generator,
    temperature: float,
) -> tuple[Architecture, dict[str, Any]]:
    """What a policy proposes, and why: the logarithm of its probability, and the entropy of the choices on the way.

    Raises:
        StrategyError: Where the constraints exclude (nearly) all of the space.
    """
    assert isinstance(problem.space, ChoiceSpace)
    draws = Draws(policy, weights, problem.space)
    architecture, said = new_architecture(
        problem, known, rng, lambda heat: draws.draw(rng, temperature * HEATING**heat)
    )
    batch = policy.heads.batch([architecture])
    chances, logarithms = distribution(policy.forward(weights, batch)[0], batch, temperature)
    return architecture, {
        "by": "policy",
        "log_probability": float(taken(batch, logarithms).sum()),
        "entropy": float(-(chances * logarithms).sum()),
        **said,
    }
