"""Whether pictures keep their class when they are mirrored, found out from the pictures themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 8
"""Pixels a side at which pictures are compared."""
QUERIES, KNOWN = 2000, 6000
"""Pictures that are looked up, and among how many."""
KEPT = 0.75
"""Share of the agreement between neighbours' classes that mirrored pictures must keep."""


def mirrors(x: NDArray[np.float32], y: NDArray[np.generic]) -> bool:
    """Return whether mirrored pictures look like those of their own class.

    Every picture's nearest neighbour among others is looked up, once as it is and once mirrored. Photos of things find
    a neighbour of their class as often; digits, letters and sides do not.

    Args:
        x: Pictures ``(n, C, H, W)``.
        y: Their classes ``(n,)``.
    """
    from sklearn.neighbors import NearestNeighbors

    rows = np.linspace(0, len(x) - 1, min(len(x), QUERIES + KNOWN)).astype(int)
    rows = np.random.default_rng(0).permutation(np.unique(rows))
    count = max(1, min(QUERIES, len(rows) // 4))
    queries, known = rows[:count], rows[count:]
    if not len(known):
        return False
    index = NearestNeighbors(n_neighbors=1).fit(_small(x[known]))

    def agreement(pictures: NDArray[np.float32]) -> float:
        found = index.kneighbors(_small(pictures), return_distance=False)[:, 0]
        return float(np.mean(y[known][found] == y[queries]))

    return agreement(x[queries][..., ::-1]) >= KEPT * agreement(x[queries])


def _small(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over about 8x8 windows of each channel, one row a picture."""
    height, width = (max(1, size // SIDE) for size in x.shape[2:])
    rows, columns = (size // step for size, step in zip(x.shape[2:], (height, width), strict=True))
    cut = x[:, :, : rows * height, : columns * width]
    means = cut.reshape(len(x), x.shape[1], rows, height, columns, width).mean((3, 5))
    found: NDArray[np.float32] = means.reshape(len(x), -1)
    return found
