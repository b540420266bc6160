"""Generated tables whose optimum is known: effects of each choice, of pairs of choices, and noise."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Final

import numpy as np

from archwright.bench.reading import PLAIN, choice_space
from archwright.bench.table import Table, TableSpace

LOW: Final = 0.1
HIGH: Final = 0.9
"""Values of the worst and of the best architecture."""


@lru_cache(maxsize=4)
def grid(choices: int, options: int) -> TableSpace:
    """The space of all combinations of equal choices, a row for each."""
    space = choice_space(
        f"synthetic-{choices}x{options}", {f"choice{index}": list(range(options)) for index in range(choices)}
    )
    return TableSpace(space.expression, space.name, (architecture.choices for architecture in space.architectures()))


@lru_cache(maxsize=2)
def synthetic_table(choices: int, options: int, interaction: float, noise: float, seed: int) -> Table:
    """A landscape drawn at random.

    Each option of each choice has an effect drawn from a normal distribution, each pair of options of two choices another, whose sum over the pairs has
    ``interaction`` times the variance. ``value`` is their sum, scaled so that the worst architecture has 0.1 and the best 0.9. ``observed`` is
    the value with normal noise, drawn once for each architecture: measured again, it is the same.

    Args:
        choices: How many.
        options: Of each choice.
        interaction: Variance of the pairs' effects relative to that of the single ones: 0 is additive.
        noise: Standard deviation of the noise.
        seed: Seed of the landscape.
    """
    rng = np.random.default_rng([seed, choices, options])
    space = grid(choices, options)
    value = np.zeros((options,) * choices)
    for place in range(choices):
        value += _spread(rng.standard_normal(options), (place,), choices)
    pairs = list(itertools.combinations(range(choices), 2))
    strength = np.sqrt(interaction * choices / len(pairs))
    for pair in pairs if interaction > 0 else ():
        value += strength * _spread(rng.standard_normal((options, options)), pair, choices)
    flat = value.ravel()
    flat = LOW + (HIGH - LOW) * (flat - flat.min()) / (flat.max() - flat.min())
    observed = np.clip(flat + noise * rng.standard_normal(flat.size), 0.0, 1.0)
    return Table(space, {"value": flat, "observed": observed}, f"generated from seed {seed}", PLAIN)


def _spread(effects: np.ndarray, places: tuple[int, ...], choices: int) -> np.ndarray:
    """Effects along some of the dimensions, to be added to all."""
    shape = [1] * choices
    for place, size in zip(places, effects.shape, strict=True):
        shape[place] = size
    return effects.reshape(shape)
