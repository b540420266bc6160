"""Greedy selection of an ensemble, with replacement (Caruana et al. 2004).

Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models", ICML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Score = Callable[["NDArray[np.float32]"], float]
"""Averaged predictions for the validation rows to a score, more being better."""


def greedy(
    predictions: Mapping[int, NDArray[np.float32]],
    score: Score,
    size: int,
    allowed: Callable[[frozenset[int]], bool] = lambda members: True,
    late: Callable[[], bool] = lambda: False,
) -> dict[int, int]:
    """Select members greedily, with replacement, and return how often each was taken.

    Begins with the best network and adds the one that helps most, until there are ``size``. The
    best of the ensembles on the way is returned, the smaller one of equals. The result does not
    depend on the order of the candidates, and no candidate alone scores better.

    >>> rows = {3: np.array([1.0, 0.0], np.float32), 5: np.array([0.0, 1.0], np.float32)}
    >>> greedy(rows, lambda mean: -float(np.abs(mean - 0.5).sum()), size=4)
    {3: 1, 5: 1}

    Args:
        predictions: For each candidate, by number, what is averaged.
        score: Of averaged predictions; minus infinity for those that cannot be the answer.
        size: Most members, repetitions counted.
        allowed: Whether these candidates may be members of one ensemble.
        late: Whether to end with what there is.
    """
    alone = {number: score(predictions[number]) for number in sorted(predictions)}
    first = max(alone, key=lambda number: (alone[number], -number))
    counts = Counter([first])
    total = predictions[first]
    best, chosen = alone[first], dict(counts)
    while counts.total() < size and not late():
        count = np.float32(counts.total() + 1)
        added = {
            number: score((total + row) / count)
            for number, row in predictions.items()
            if number in counts or allowed(frozenset({*counts, number}))
        }
        taken = max(added, key=lambda one: (added[one], one in counts, alone[one], -one))
        counts[taken] += 1
        total = total + predictions[taken]
        if added[taken] > best:
            best, chosen = added[taken], dict(counts)
    return chosen
