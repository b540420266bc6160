"""Which row goes to which split."""

from __future__ import annotations

import numpy as np

TRAIN, VALID, TEST = 0, 1, 2
UNASSIGNED = -1
"""A row whose source names no official split."""

_STREAM = 0x5B117


def split(y: np.ndarray, kind: str, part: np.ndarray, seed: int, *, holdout: bool = True) -> np.ndarray:
    """The split of every row: official ones are kept, the rest is drawn by the seed, stratified by the target.

    Without official splits train, validation and test get 60/20/20 percent; with an official test split a fifth of the training rows
    becomes validation (and the other way round, where only validation is official).

    Args:
        y: Class numbers, or targets, shape ``(n,)``.
        kind: ``"classification"`` or ``"regression"``.
        part: Official split of each row (``TRAIN``, ``VALID``, ``TEST``) or ``UNASSIGNED``.
        seed: Equal seeds give equal splits.
        holdout: Whether to draw a test split where none is official.

    Returns:
        ``TRAIN``, ``VALID`` or ``TEST`` for each row. A class with at least three rows is in all of the drawn splits; smaller ones
        stay in training as far as they can.
    """
    rng = np.random.default_rng([_STREAM, seed])
    wanted = [code for code in ((VALID, TEST) if holdout else (VALID,)) if not (part == code).any()]
    found = np.where(part == UNASSIGNED, TRAIN, part)
    free = np.flatnonzero(found == TRAIN)
    if wanted and len(free):
        deal = _deal_classes if kind == "classification" else _deal_values
        found[free] = deal(y[free], wanted, rng)
    return found


def _deal_classes(y: np.ndarray, wanted: list[int], rng: np.random.Generator) -> np.ndarray:
    """Each class on its own: a fifth, rounded, at least one row, to each wanted split as long as training keeps one."""
    found = np.full(len(y), TRAIN)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        share = max(1, round(len(rows) / 5))
        for place, code in enumerate(wanted):
            if len(rows) > (place + 1) * share:
                found[rows[place * share : (place + 1) * share]] = code
    return found


def _deal_values(y: np.ndarray, wanted: list[int], rng: np.random.Generator) -> np.ndarray:
    """Rows sorted by target, ties shuffled: of every five neighbours one goes to each wanted split."""
    order = np.lexsort((rng.permutation(len(y)), y))
    pattern = np.array([*wanted, *[TRAIN] * (5 - len(wanted))])
    blocks = np.concatenate([rng.permutation(pattern) for _ in range(-(-len(y) // 5))])
    found = np.empty(len(y), dtype=np.int64)
    found[order] = blocks[: len(y)]
    return found
