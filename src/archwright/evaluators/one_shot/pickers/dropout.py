"""All paths at once, some dropped."""

from __future__ import annotations

import dataclasses
from typing import Any

from archwright.evaluators.one_shot.picker import Picker
from archwright.evaluators.one_shot.shared import Shared


@dataclasses.dataclass(eq=False)
class Dropout(Picker):
    """All options of a choice among operations summed, each dropped at a rate that grows (Bender et al., ICML 2018).

    Of `k` options each is dropped with probability ``r ** (1 / k)``, where ``r`` grows linearly from 0 to `rate`; one is always left. Choices of
    attributes, and of what is read, are made at random.

    Attributes:
        rate: Probability that all options of a choice would be dropped, at the end of the training.
    """

    rate: float = 0.1

    def pick(self, shared: Shared) -> Any:
        """The weights of the options that are left: 1 each, 0 for those dropped."""
        chosen: dict[str, Any] = {}
        limit = self.rate * shared.progress
        for address, count in shared.net.counts.items():
            if address not in shared.operations:
                chosen[address] = int(shared.rng.integers(count))
                continue
            kept = shared.rng.random(count) >= limit ** (1.0 / count) if limit else [True] * count
            if not any(kept):
                kept = [False] * count
                kept[int(shared.rng.integers(count))] = True
            chosen[address] = [1.0 if keep else None for keep in kept]
        return chosen
