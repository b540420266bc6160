"""Operations without weights, into which gradient-based searches are known to collapse (Zela et al. 2020, arXiv 1909.09656)."""

from __future__ import annotations

import msgspec
import numpy as np

from archwright.graph.ops import PASSING, get_op
from archwright.problem import Architecture
from archwright.space.bound import Bound, BoundChoice, BoundOp, BoundPart
from archwright.space.space import Space
from archwright.space.walk import walk


class Weightless(msgspec.Struct, frozen=True):
    """How much of a network has no weights.

    Attributes:
        free: Choices among operations for which it takes an option without weights: identity, pool, nothing.
        choices: Choices among operations that have such options.
        expected: How many of them a random architecture takes on average.
        chance: Probability that a random one takes as many.
    """

    free: int
    choices: int
    expected: float
    chance: float

    @property
    def collapsed(self) -> bool:
        """Whether so many are no accident: a probability below 5%, or all of several."""
        return self.free > self.expected and (self.chance < 0.05 or self.free == self.choices > 1)


def weightless(space: Space, architecture: Architecture) -> Weightless | None:
    """How much of an architecture has no weights; ``None`` where it has no choice in that.

    >>> from archwright.space import get_space
    >>> space = get_space("nas-bench-201")
    >>> weightless(space, space.fill(lambda address, options: 1)).free
    6
    """
    from scipy.stats import binom

    options, counts = free_options(space), {info.address: len(info.labels) for info in space.choices()}
    taken = [(address, option) for address, option in architecture.choices if address in options]
    if not taken:
        return None
    share = float(np.mean([len(options[address]) / counts[address] for address, _ in taken]))
    used = sum(option in options[address] for address, option in taken)
    return Weightless(used, len(taken), share * len(taken), float(binom.sf(used - 1, len(taken), share)))


def free_options(space: Space) -> dict[str, frozenset[int]]:
    """For each choice among operations the options that have no weights; choices without such, or with no others, are left out."""
    found = {}
    for node in walk(space._bound):
        if isinstance(node, BoundChoice) and node.address is not None:
            free = frozenset(index for index, option in enumerate(node.options) if _is_free(option))
            if free and len(free) < len(node.options):
                found[node.address] = free
    return found


def _is_free(option: Bound) -> bool:
    while isinstance(option, BoundPart):
        option = option.body
    if not isinstance(option, BoundOp):
        return False
    op = option.source.op
    return op in PASSING or (op != "adapt" and get_op(op).kind in ("pool", "activation"))
