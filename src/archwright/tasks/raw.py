"""What a loader hands on: raw rows, before targets, splits and preprocessing are settled."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from archwright.errors import DataError
from archwright.tasks.split import UNASSIGNED
from archwright.tasks.task import Kind, Modality


@dataclasses.dataclass
class Raw:
    """A data set as read.

    Attributes:
        name: Name of the task to be.
        modality: ``image`` or ``tabular``.
        x: Images as uint8 or float32 ``(n, C, H, W)``, resized; or a DataFrame (tables from arrays have columns ``0``, ``1``, ...).
        y: Raw targets, shape ``(n,)``.
        part: Official split of each row, or ``UNASSIGNED``.
        record: What is known of the preprocessing record so far.
        target: Name of the target, for messages.
        classes: Names of the classes that whole-number targets stand for, where the source gives them.
        kind: What the source says the targets are.
        augment: Which changes of an image keep its class; ``None`` where the source does not know.
        trusted: Whether the arrays were handed over by a program, which knows why they are small.
        warnings: What the loader noticed.
    """

    name: str
    modality: Modality
    x: Any
    y: np.ndarray
    part: np.ndarray
    record: dict[str, Any]
    target: str = "target"
    classes: tuple[str, ...] | None = None
    kind: Kind | None = None
    augment: tuple[str, ...] | None = None
    trusted: bool = False
    warnings: list[str] = dataclasses.field(default_factory=list)

    def rows(self, chosen: np.ndarray) -> Any:
        """The chosen rows of ``x`` (a mask or positions)."""
        return self.x.iloc[chosen] if hasattr(self.x, "iloc") else self.x[chosen]


def join(pieces: list[tuple[Any, Any, int]]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Arrays, targets and split codes of ``(x, y, code)`` pieces: the arrays apart, targets and codes joined.

    Raises:
        DataError: Where rows and targets differ in number or targets in shape.
    """
    arrays, targets, codes = [], [], []
    for x, y, code in pieces:
        x, y = np.asarray(x), one_target(y)
        if len(x) != len(y):
            raise DataError(f"Got {len(x):,} rows and {len(y):,} targets; expected as many of one as of the other.")
        arrays.append(x)
        targets.append(y)
        codes.append(np.full(len(y), code))
    if len({x.shape[1:] for x in arrays}) > 1:
        shapes = ", ".join(str(x.shape) for x in arrays)
        raise DataError(f"Got splits of the shapes {shapes}; expected rows of one shape in all of them.")
    return arrays, np.concatenate(targets), np.concatenate(codes)


def one_target(y: Any) -> np.ndarray:
    """Targets as a vector: ``(n, 1)`` is squeezed, one-hot rows become class numbers.

    Raises:
        DataError: Where there are several targets for each row.
    """
    targets: np.ndarray = np.asarray(y)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim == 2 and targets.dtype.kind in "biuf" and _one_hot(targets):
        targets = targets.argmax(axis=1)
    if targets.ndim != 1:
        raise DataError(
            f"Got targets of shape {targets.shape}; expected one target for each row: a class, or a number."
        )
    return targets


def _one_hot(targets: np.ndarray) -> bool:
    return bool(np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all())


def unassigned(count: int) -> np.ndarray:
    """Split codes of rows without official splits."""
    return np.full(count, UNASSIGNED)
