"""From candidates and what a model expects of them to a proposal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from archwright.problem import Architecture, Problem, Proposal
from archwright.strategies.common import edit
from archwright.strategies.history import History, Observed, best_functions, draw_new, first_new
from archwright.strategies.surrogate import Marks

Pool = Mapping[Architecture, Observed | None]
"""Candidates, each with the trial it was derived from; ``None`` for a random draw."""
PARENTS = 10
"""Mutants are made of so many of the best."""


class Judgement(NamedTuple):
    """What a model expects of candidates; arrays of shape (candidates,).

    Attributes:
        candidates: One or more.
        mean: Means of their marks.
        deviation: Standard deviations.
        gain: The acquisition, more being better.
    """

    candidates: Sequence[Architecture]
    mean: np.ndarray
    deviation: np.ndarray
    gain: np.ndarray


def mutants(problem: Problem, history: History, count: int, every: int, rng: np.random.Generator) -> Pool:
    """Mutants of the best and, one in `every`, random draws, none of them proposed before.

    Args:
        problem: Their space.
        history: What was proposed.
        count: How many are drawn; those known, and repetitions, are left out.
        every: One in so many is a random draw; all of them where the space has one architecture.
        rng: Draws them.
    """
    known, space, parents = history.known(), problem.space, best_functions(history.observed, PARENTS)
    pool: dict[Architecture, Observed | None] = {}
    for index in range(count):
        drawn = not parents or space.size == 1 or index % every == 0
        parent = None if drawn else parents[int(rng.integers(len(parents)))]
        candidate = space.sample(rng) if parent is None else space.mutate(parent.architecture, rng)
        if candidate not in known:
            pool.setdefault(candidate, parent)
    return pool


def judge(
    candidates: Sequence[Architecture],
    predicted: tuple[np.ndarray, np.ndarray],
    best: float,
    how: str,
    rng: np.random.Generator,
) -> Judgement:
    """What candidates are worth.

    Args:
        candidates: One or more.
        predicted: Means and standard deviations of their marks.
        best: The best mark there is.
        how: ``"ei"``, expected improvement on it; ``"thompson"``, a draw for each candidate from its own prediction; ``"mean"``, the mean.
        rng: Draws.
    """
    mean, deviation = predicted
    if how == "ei":
        gain = expected_improvement(mean, deviation, best)
    else:
        gain = mean if how == "mean" else mean + deviation * rng.standard_normal(len(mean))
    return Judgement(candidates, mean, deviation, gain)


def best_candidate(
    problem: Problem,
    history: History,
    pool: Pool,
    judged: Judgement | None,
    marks: Marks,
    why: dict[str, Any],
    rng: np.random.Generator,
) -> Proposal:
    """The proposal of the candidate with the highest acquisition that is new; a random draw where none is.

    Args:
        problem: Space and constraints.
        history: What was proposed.
        pool: Where candidates come from.
        judged: What is expected of some of them; ``None`` where there are none.
        marks: What scores the marks stand for.
        why: What the proposal says besides; ``by`` is who chose.
        rng: Draws where no candidate is new.

    Raises:
        StrategyError: Where the constraints exclude (nearly) all of the space.
    """
    order = [] if judged is None else np.argsort(-judged.gain, kind="stable").tolist()
    chosen = None if judged is None else first_new(problem, history, (judged.candidates[place] for place in order))
    if judged is None or chosen is None:
        said = {**why, "by": "random", "reason": "no candidate is new"}
        return Proposal(draw_new(problem, history, rng), why=said)
    place, parent = list(judged.candidates).index(chosen), pool[chosen]
    mean, deviation = float(judged.mean[place]), float(judged.deviation[place])
    said = {**why, **marks.explain(mean, deviation), "acquisition": float(judged.gain[place])}
    if parent is None:
        return Proposal(chosen, why=said)
    said["edit"] = edit(problem, parent.architecture, chosen)
    return Proposal(chosen, parent=parent.trial, why=said)


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
