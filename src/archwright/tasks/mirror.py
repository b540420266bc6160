"""Whether pictures keep their class when they are mirrored, found out from the pictures themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIDE = 8
"""Pixels a side at which pictures are compared."""
QUERIES, KNOWN = 2000, 6000
"""Pictures that are looked up, and among how many."""
KEPT = 0.75
"""Share of the agreement between neighbours' classes, beyond chance, that mirrored pictures must keep."""
DEVIATIONS = 3.0
"""Standard deviations from which an agreement is no chance, and a class that lost half of its own is no accident."""


def mirrors(x: NDArray[np.float32], y: NDArray[np.generic]) -> bool:
    """Return whether mirrored pictures look like those of their own class.

    Every picture's nearest neighbour among others is looked up, once as it is and once mirrored. Photos of things find
    a neighbour of their class as often; digits, letters and sides do not. One class that clearly does not is enough
    (turn left among many signs), and so is data in which neighbours say nothing of the class.

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

    def hits(pictures: NDArray[np.float32]) -> NDArray[np.bool_]:
        found = index.kneighbors(_small(pictures), return_distance=False)[:, 0]
        same: NDArray[np.bool_] = y[known][found] == y[queries]
        return same

    plain, mirrored = hits(x[queries]), hits(x[queries][..., ::-1])
    shares = np.unique(y[rows], return_counts=True)[1] / len(rows)
    chance = float(np.sum(shares**2))
    if plain.mean() - chance <= DEVIATIONS * np.sqrt(chance * (1.0 - chance) / count):
        return False
    for one in np.unique(y[queries]):
        before, after = (int(found[y[queries] == one].sum()) for found in (plain, mirrored))
        if after < before / 2 and before - after > DEVIATIONS * np.sqrt(before + after):
            return False
    return bool(mirrored.mean() - chance >= KEPT * (plain.mean() - chance))


def _small(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over about 8x8 windows of each channel, one row a picture."""
    height, width = (max(1, size // SIDE) for size in x.shape[2:])
    rows, columns = (size // step for size, step in zip(x.shape[2:], (height, width), strict=True))
    cut = x[:, :, : rows * height, : columns * width]
    means = cut.reshape(len(x), x.shape[1], rows, height, columns, width).mean((3, 5))
    found: NDArray[np.float32] = means.reshape(len(x), -1)
    return found
