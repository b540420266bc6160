"""Architectures that between them take every option of a space."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from archwright.problem import Architecture
from archwright.space.space import Space

DRAWN = 64
"""Architectures drawn at random to find the places and their largest settings, besides those that take every option."""


def covering(space: Space, rng: np.random.Generator) -> Iterator[Architecture]:
    """Architectures that between them take every option of every choice: with random other choices, with the last options, with the first."""
    for _ in range(DRAWN):
        yield space.sample(rng)
    for info in space.choices():
        condition = dict(info.conditions[0]) if info.conditions else {}
        for option in range(len(info.labels)):
            forced = {address: allowed[0] for address, allowed in condition.items()} | {info.address: option}
            for style in range(3):

                def pick(address: str, count: int, forced: dict[str, int] = forced, style: int = style) -> int:
                    if address in forced:
                        return forced[address]
                    return int(rng.integers(count)) if style == 0 else (count - 1 if style == 1 else 0)

                yield space.fill(pick)
