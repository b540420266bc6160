"""Generations: what genetic algorithms have in common, whatever selects and whatever survives.

A generation's children are bred while the generation lives; when enough of them have ended, the next generation begins. A worker never waits:
children that are still running then, because others were faster, count as children of the next generation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection
from typing import Any, cast

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, ChoiceSpace, Problem, Proposal, Trial
from archwright.strategies.common import FRESH_TRIES, MUTATE_TRIES, edit, sample_feasible
from archwright.strategies.operators import MUTATIONS, cross, points


class Individual(msgspec.Struct, frozen=True):
    """An evaluated architecture.

    Attributes:
        trial: The trial that evaluated it.
        architecture: Its choices.
        scores: Its objectives, more being better.
        violation: By how much it breaks the constraints, 0 where all hold.
        network: What it is equal in to others that compute the same: the fingerprint, or the architecture's id where there is none.
    """

    trial: int
    architecture: Architecture
    scores: tuple[float, ...]
    violation: float = 0.0
    network: str = ""


class Generation(msgspec.Struct, frozen=True):
    """What a genetic algorithm knows.

    Attributes:
        members: The population, as survival ordered it; empty before the first generation is complete.
        children: Those of the next generation that have ended, in the order of completion.
        pending: Trials that are running, with their architectures.
        number: How many generations are complete.
        heard: Highest trial number heard of.
    """

    members: tuple[Individual, ...] = ()
    children: tuple[Individual, ...] = ()
    pending: tuple[tuple[int, Architecture], ...] = ()
    number: int = 0
    heard: int = -1


def hear(state: Generation, trial: Trial, individual: Individual | None) -> Generation:
    """The state after hearing of a trial: it is pending, has become a child, has got another score, or is gone.

    Args:
        state: The state before.
        trial: What is heard of.
        individual: What a trial that is done is worth; ``None`` where it takes no part.
    """
    new = trial.id > state.heard
    members, children, pending = state.members, state.children, state.pending
    if not trial.done:
        started = ((trial.id, trial.proposal.architecture),) if new else ()
        return Generation(members, children, (*pending, *started), state.number, max(state.heard, trial.id))
    pending = tuple(item for item in pending if item[0] != trial.id)
    if individual is not None and (new or len(pending) < len(state.pending)):
        children = (*children, individual)
    elif individual is not None:
        members = tuple(individual if known.trial == trial.id else known for known in members)
        children = tuple(individual if known.trial == trial.id else known for known in children)
    return Generation(members, children, pending, state.number, max(state.heard, trial.id))


def succeeded(state: Generation, members: tuple[Individual, ...]) -> Generation:
    """The state in which these are the population, and the next generation has no child yet."""
    return Generation(members, (), state.pending, state.number + 1, state.heard)


@dataclasses.dataclass(frozen=True)
class Variation:
    """How a child is made of two parents: perhaps by crossover, then by mutation.

    Attributes:
        strategy: Whose options they are, for messages.
        crossover: Name of the crossover (:func:`~archwright.strategies.operators.points`).
        crossover_rate: Probability that there is a crossover at all; else the child begins as its first parent.
        mutation: ``flip`` or ``swap``.
        mutation_rate: Probability of mutation for each active choice; ``None`` is one over their number.

    Raises:
        StrategyError: Where a name is unknown, or a rate is no probability.
    """

    strategy: str
    crossover: str
    crossover_rate: float
    mutation: str
    mutation_rate: float | None

    def __post_init__(self) -> None:
        points(self.crossover)
        if self.mutation not in MUTATIONS:
            raise StrategyError(
                f"Got mutation={self.mutation!r} for the strategy {self.strategy!r}; expected one of: {', '.join(MUTATIONS)}."
            )
        for option in ("crossover_rate", "mutation_rate"):
            rate = getattr(self, option)
            none = option == "mutation_rate" and rate is None
            if not none and not (isinstance(rate, int | float) and 0 <= rate <= 1):
                raise StrategyError(
                    f"Got {option}={rate!r} for the strategy {self.strategy!r}; expected a probability from 0 to 1."
                )

    def child(
        self, problem: Problem, first: Architecture, second: Architecture, rng: np.random.Generator
    ) -> tuple[Architecture, str]:
        """A child and what made it: ``crossover`` (perhaps with mutation), ``mutation``, or ``copy`` where nothing changed."""
        space = cast(ChoiceSpace, problem.space)
        crossed = first
        if rng.random() < self.crossover_rate:
            crossed = cross(space, first, second, points(self.crossover), rng)
        rate = 1.0 / max(1, len(crossed.choices)) if self.mutation_rate is None else self.mutation_rate
        child = MUTATIONS[self.mutation](space, crossed, rate, rng)
        return child, "crossover" if crossed != first else "mutation" if child != first else "copy"


def offspring(
    state: Generation,
    problem: Problem,
    variation: Variation,
    select: Callable[[], Individual],
    rng: np.random.Generator,
) -> Proposal:
    """A random draw before the first generation is complete, then a child of two parents that are selected.

    What breaks a constraint known before training is bred again, as is, a few times, what is known to the generation or running.

    Raises:
        StrategyError: Where the constraints exclude (nearly) all of the space.
    """
    avoid = {architecture for _, architecture in state.pending}
    avoid |= {known.architecture for known in (*state.members, *state.children)}
    if not state.members:
        return Proposal(sample_feasible(problem, rng, avoid=avoid), why={"by": "random", "generation": 0})
    found = _bred(problem, variation, select, avoid, rng)
    why: dict[str, Any] = {"by": "random", "generation": state.number}
    if found is None:
        why["reason"] = f"none of {MUTATE_TRIES} children satisfied the constraints"
        return Proposal(sample_feasible(problem, rng, avoid=avoid), why=why)
    child, by, first, second = found
    why |= {"by": by, "edit": edit(problem, first.architecture, child), "parent_score": first.scores[0]}
    if by == "crossover":
        why["parents"] = [first.trial, second.trial]
    return Proposal(child, parent=first.trial, why=why)


def _bred(
    problem: Problem,
    variation: Variation,
    select: Callable[[], Individual],
    avoid: Collection[Architecture],
    rng: np.random.Generator,
) -> tuple[Architecture, str, Individual, Individual] | None:
    """A feasible child, how it was made and its parents; ``None`` where all tries broke the constraints."""
    known = 0
    for _ in range(MUTATE_TRIES):
        first, second = select(), select()
        child, by = variation.child(problem, first.architecture, second.architecture, rng)
        if problem.feasible(child):
            known += 1
            if known > FRESH_TRIES or child not in avoid:
                return child, by, first, second
    return None


def individual_of(problem: Problem, trial: Trial, scores: tuple[float, ...] | None) -> Individual | None:
    """The individual of a trial that is done; ``None`` without scores, or where the constraints cannot be judged."""
    violation = problem.violation(trial)
    if scores is None or not math.isfinite(violation):
        return None
    architecture = trial.proposal.architecture
    return Individual(trial.id, architecture, scores, violation, trial.fingerprint or architecture.id)
