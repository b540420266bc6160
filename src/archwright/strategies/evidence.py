"""How well two orders agree: what the default strategy trusts a model or a fidelity by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ranks(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Ranks from 1, ties sharing their mean.

    >>> ranks([0.3, 0.1, 0.3]).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    shared: np.ndarray = (last - (count - 1) / 2)[place]
    return shared


def spearman(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Rank correlation of Spearman, in [-1, 1]; 0 where one of the two is constant.

    >>> spearman([1, 2, 3], [10, 20, 15])
    0.5
    """
    one, two = ranks(first), ranks(second)
    one, two = one - one.mean(), two - two.mean()
    spread = float(np.sqrt((one @ one) * (two @ two)))
    return round(float(one @ two) / spread, 12) if spread > 0 else 0.0


def kendall(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float:
    """Rank correlation of Kendall (tau-b), in [-1, 1]: concordant less discordant pairs; 0 where one of the two is constant.

    >>> kendall([1, 2, 3], [10, 20, 15])
    0.333333333333
    """
    one, two = np.asarray(first, float), np.asarray(second, float)
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, two)]
    spread = float(np.sqrt(np.abs(signs[0]).sum() * np.abs(signs[1]).sum()))
    return round(float((signs[0] * signs[1]).sum()) / spread, 12) if spread > 0 else 0.0
