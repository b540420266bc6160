"""What a loader hands on: raw rows, before targets, splits and preprocessing are settled."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from archwright.errors import DataError
from archwright.tasks.split import TEST, UNASSIGNED
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


def with_test(raw: Raw, test: Raw) -> Raw:
    """Return the rows of two sources as one, those of the second being its test split.

    Raises:
        DataError: If the first names test rows of its own, or the two are not of one form.
    """
    if (raw.part == TEST).any():
        raise DataError(f"Got test rows for {raw.name!r}, which names test rows itself. Leave out test=.")
    one, other = _form(raw), _form(test)
    if one != other:
        raise DataError(f"Got {other} as the rows to test {raw.name!r} on; expected {one}, as in the training rows.")
    if raw.modality == "image":
        x = np.concatenate([raw.x, test.x])
    else:
        import pandas as pd

        x = pd.concat([raw.x, test.x[list(raw.x.columns)]], ignore_index=True)
    part = np.concatenate([raw.part, np.full(len(test.y), TEST)])
    warnings = [*raw.warnings, *(one for one in test.warnings if one not in raw.warnings)]
    y = np.concatenate([raw.y, test.y])
    return dataclasses.replace(raw, x=x, y=y, part=part, warnings=warnings)


def _form(raw: Raw) -> str:
    """What two sources must share to be rows of one data set."""
    targets = "numbers" if raw.y.dtype.kind in "biuf" else "names"
    if raw.modality == "image":
        return f"images of shape {raw.x.shape[1:]} and type {raw.x.dtype} with {targets} as targets"
    return f"a table of {', '.join(sorted(raw.x.columns))} with {targets} as targets"


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
