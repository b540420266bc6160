"""Operators of genetic algorithms on the choices of a space: selection, crossover, mutation.

A genome is the list of choices in the order in which they are made. Choices that are not active in an architecture are not part of it; an
operator's result is made choice by choice, so that what is not active falls away, and what becomes active is taken from the other parent, or
drawn where no parent has it. A choice that two parents share keeps its option under crossover.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, ChoiceSpace, Problem

_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4}


def choice_space(problem: Problem, strategy: str) -> ChoiceSpace:
    """The problem's space, made choice by choice.

    Raises:
        StrategyError: Where it is not.
    """
    if not isinstance(problem.space, ChoiceSpace):
        raise StrategyError(
            f"The strategy {strategy!r} works on the choices of a space, which {problem.space.name!r} does not list: "
            "it has no 'choices', 'fill' and 'architectures'. 'random', 'evolution', 'tournament' and 'local' work on any space."
        )
    return problem.space


def roulette(scores: Sequence[float]) -> np.ndarray:
    """Probabilities in proportion to the score above the worst one, which so has none; equal where all scores are.

    >>> roulette([0.90, 0.91, 0.93]).round(2).tolist()
    [0.0, 0.25, 0.75]
    """
    above = np.asarray(scores, float) - min(scores)
    above /= above.max() or 1.0
    return above / above.sum() if above.any() else np.full(len(above), 1.0 / len(above))


def linear_rank(scores: Sequence[float]) -> np.ndarray:
    """Probabilities in proportion to the rank, 1 for the worst (Baker 1985); equal scores share their ranks' mean.

    >>> (6 * linear_rank([0.90, 0.91, 0.99])).round(2).tolist()
    [1.0, 2.0, 3.0]
    """
    values = np.asarray(scores, float)
    ranks = (values[:, None] > values).sum(axis=1) + ((values[:, None] == values).sum(axis=1) + 1) / 2
    return np.asarray(ranks / ranks.sum())


def tournament(scores: Sequence[float], size: int, rng: np.random.Generator) -> int:
    """The index of the best of a sample drawn with replacement; the first drawn of equals."""
    drawn: list[int] = rng.integers(len(scores), size=size).tolist()
    return max(drawn, key=lambda index: scores[index])


def points(crossover: str) -> int:
    """The number of cuts of a crossover by name, 0 for the uniform one.

    Raises:
        StrategyError: Where there is no such crossover.

    >>> points("uniform"), points("one-point"), points("5-point")
    (0, 1, 5)
    """
    if crossover == "uniform":
        return 0
    found = re.fullmatch(r"([a-z]+|\d+)-point", crossover)
    count = _NUMBERS.get(found[1], int(found[1]) if found[1].isdigit() else 0) if found else 0
    if count < 1:
        raise StrategyError(
            f"Got crossover={crossover!r}; expected 'uniform', 'one-point', 'two-point' or another number of points: '5-point'."
        )
    return count


def cross(
    space: ChoiceSpace, first: Architecture, second: Architecture, cuts: int, rng: np.random.Generator
) -> Architecture:
    """A child that takes each choice from one of two parents, the first choice from the first one.

    Args:
        space: Of both parents.
        first: A parent.
        second: A parent.
        cuts: After how many distinct places, among the choices active in either parent, the child goes on with the other parent; at most
            one after each choice. With 0, each choice comes from either parent with probability 1/2 (uniform crossover).
        rng: Source of randomness.
    """
    one, two = first.as_dict(), second.as_dict()
    genes = [choice.address for choice in space.choices() if choice.address in one or choice.address in two]
    if cuts == 0:
        other = rng.random(len(genes)) < 0.5
    else:
        places = rng.permutation(max(0, len(genes) - 1))[:cuts] + 1
        other = np.cumsum(np.isin(np.arange(len(genes)), places)) % 2 == 1
    wanted = {gene: (two if turned else one).get(gene) for gene, turned in zip(genes, other.tolist())}
    return _filled(
        space, {**two, **one, **{gene: option for gene, option in wanted.items() if option is not None}}, rng
    )


def flip(space: ChoiceSpace, parent: Architecture, rate: float, rng: np.random.Generator) -> Architecture:
    """Each active choice takes, with a probability, one of its other options, all alike.

    Args:
        space: Of the parent.
        parent: What is mutated.
        rate: Probability for each choice; choices with a single option stay.
        rng: Source of randomness.
    """
    counts = {choice.address: len(choice.labels) for choice in space.choices()}
    wanted = parent.as_dict()
    for address, old in parent.choices:
        if rng.random() < rate and counts[address] > 1:
            wanted[address] = (old + 1 + int(rng.integers(counts[address] - 1))) % counts[address]
    return _filled(space, wanted, rng)


def swap(space: ChoiceSpace, parent: Architecture, rate: float, rng: np.random.Generator) -> Architecture:
    """Each active choice changes options, with a probability, with another one that has the same options and takes another.

    Args:
        space: Of the parent.
        parent: What is mutated.
        rate: Probability for each choice; one that no other can change with stays.
        rng: Source of randomness.
    """
    labels = {choice.address: choice.labels for choice in space.choices()}
    wanted = parent.as_dict()
    for address in parent.as_dict():
        if rng.random() < rate:
            others = [
                other for other in wanted if wanted[other] != wanted[address] and labels[other] == labels[address]
            ]
            if others:
                other = others[int(rng.integers(len(others)))]
                wanted[address], wanted[other] = wanted[other], wanted[address]
    return _filled(space, wanted, rng)


MUTATIONS: Mapping[str, Callable[[ChoiceSpace, Architecture, float, np.random.Generator], Architecture]] = {
    "flip": flip,
    "swap": swap,
}


def _filled(space: ChoiceSpace, wanted: Mapping[str, int], rng: np.random.Generator) -> Architecture:
    """The architecture that makes the wanted choices where they are active; others are drawn."""

    def pick(address: str, options: int) -> int:
        option = wanted.get(address)
        return int(rng.integers(options)) if option is None else option

    return space.fill(pick)
