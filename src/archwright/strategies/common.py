"""What several strategies need: feasible draws and mutations, scores, edits and checks of options."""

from __future__ import annotations

import inspect
import math
from collections.abc import Collection

import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, Constraint, Problem, Trial

SAMPLE_TRIES = 1000
MUTATE_TRIES = 50
SIZED_TRIES = 30
FRESH_TRIES = 10


def score_of(problem: Problem, trial: Trial) -> float | None:
    """The first objective of a trial, more being better; ``None`` unless it is finite and the constraints hold."""
    score = problem.score(trial)
    return score if score is not None and math.isfinite(score) else None


def check_uniform(problem: Problem) -> None:
    """Makes sure that the space can be sampled uniformly over its architectures.

    Raises:
        StrategyError: Where its ``sample`` has no argument ``uniform``.
    """
    if "uniform" not in inspect.signature(problem.space.sample).parameters:
        raise StrategyError(
            f"Got uniform=True, but the space {problem.space.name!r} cannot be sampled uniformly over its architectures: "
            "its 'sample' has no argument 'uniform'. Use uniform=False, which draws choice by choice."
        )


def sample_feasible(
    problem: Problem, rng: np.random.Generator, *, uniform: bool = False, avoid: Collection[Architecture] = ()
) -> Architecture:
    """Draws an architecture that satisfies the constraints known before training, by rejection.

    Args:
        problem: Space and constraints.
        rng: Source of randomness.
        uniform: Uniformly over architectures instead of choice by choice.
        avoid: Architectures that are drawn only where ten feasible draws in a row are among them.

    Raises:
        StrategyError: Where none of 1,000 draws is feasible; the message says how close they came.
    """
    options = {"uniform": True} if uniform else {}
    rejected: list[Architecture] = []
    known = 0
    while len(rejected) < SAMPLE_TRIES:
        architecture = problem.space.sample(rng, **options)
        if not problem.feasible(architecture):
            rejected.append(architecture)
            continue
        known += 1
        if known > FRESH_TRIES or architecture not in avoid:
            return architecture
    raise StrategyError(_excluded(problem, rejected))


def mutate_feasible(
    problem: Problem, parent: Architecture, rng: np.random.Generator, *, avoid: Collection[Architecture] = ()
) -> Architecture | None:
    """A mutation of the parent that satisfies the constraints; ``None`` where 50 tries find none, or there is no other.

    Args:
        problem: Space and constraints.
        parent: What to mutate.
        rng: Source of randomness.
        avoid: Architectures that are returned only where ten feasible mutations in a row are among them.
    """
    known = 0
    for _ in range(MUTATE_TRIES if problem.space.size > 1 else 0):
        child = problem.space.mutate(parent, rng)
        if not problem.feasible(child):
            continue
        known += 1
        if known > FRESH_TRIES or child not in avoid:
            return child
    return None


def mutate_sized(
    problem: Problem,
    parent: Architecture,
    rng: np.random.Generator,
    sizes: tuple[float, float],
    *,
    avoid: Collection[Architecture] = (),
) -> Architecture | None:
    """Return a feasible mutation of about the parent's size; ``None`` if 30 tries find none, or there is no other.

    Args:
        problem: Space and constraints.
        parent: What to mutate.
        rng: Source of randomness.
        sizes: Least and most FLOPs, relative to the parent's.
        avoid: Architectures that are not returned.
    """
    size = max(1.0, float(problem.graph(parent).cost.flops))
    for _ in range(SIZED_TRIES):
        drawn = mutate_feasible(problem, parent, rng, avoid=avoid)
        if drawn is None or drawn in avoid:
            return None
        if sizes[0] <= problem.graph(drawn).cost.flops / size <= sizes[1]:
            return drawn
    return None


def edit(problem: Problem, old: Architecture, new: Architecture) -> dict[str, list[str | None]]:
    """What changed: address to ``[old label, new label]``, ``None`` where a choice is inactive."""
    before, after = dict(problem.space.describe(old)), dict(problem.space.describe(new))
    changes = {address: [before.get(address), after.get(address)] for address in {**before, **after}}
    return {address: change for address, change in changes.items() if change[0] != change[1]}


def at_least(strategy: str, option: str, got: object, least: int) -> None:
    """Checks an option that counts something.

    Raises:
        StrategyError: Where it is no integer or too small.
    """
    if isinstance(got, bool) or not isinstance(got, int) or got < least:
        raise StrategyError(
            f"Got {option}={got!r} for the strategy {strategy!r}; expected an integer of at least {least}."
        )


def _excluded(problem: Problem, rejected: list[Architecture]) -> str:
    """Says which constraint excludes how many of the rejected draws, and how close they came."""
    costs = [problem.costs(architecture) for architecture in rejected]
    lines = []
    for constraint in problem.constraints:
        if costs and constraint.metric in costs[0]:
            values = [cost[constraint.metric] for cost in costs]
            satisfied = sum(constraint.holds(value) for value in values)
            seen = f"smallest {min(values):,.0f}" if constraint.relation == "<=" else f"largest {max(values):,.0f}"
            lines.append(f"{_written(constraint)} held for {satisfied} of {len(values)} ({seen})")
    return (
        f"{len(rejected)} samples of the space {problem.space.name!r} broke the constraints: {'; '.join(lines)}. "
        "Relax the constraint that excludes most, or choose a space whose networks fit it."
    )


def _written(constraint: Constraint) -> str:
    return f"{constraint.metric}{constraint.relation}{constraint.bound:,.0f}"
