"""What is to be predicted: classes or numbers, and which of the two."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from archwright.errors import DataError
from archwright.tasks.preprocess import MISSING, number, text
from archwright.tasks.raw import Raw
from archwright.tasks.task import Kind

GUESS_CLASSES = 30
"""Whole numbers with at most this many distinct values (and five rows for each) are taken as classes, others as numbers."""


def settle(raw: Raw, kind: str | None) -> tuple[Raw, Kind, tuple[str, ...]]:
    """The raw data with targets as class numbers or float64 values, the kind of task, and the names of the classes.

    Rows of a table without a target are dropped with a warning. Classes handed over by a program are numbered as ``np.unique`` sorts them.

    Raises:
        DataError: Where the targets are not finite, not numbers, of one class, or not of the wanted kind.
    """
    if kind not in (None, "classification", "regression"):
        raise DataError(
            f"Got kind={kind!r}; expected 'classification', 'regression' or nothing, to let the targets decide."
        )
    raw = _without_missing(raw)
    if not len(raw.y):
        raise DataError(f"Got no rows with a target in {raw.name!r}; expected at least 20.")
    wanted = kind or raw.kind or _guess(raw)
    if wanted == "regression":
        if raw.modality == "image":
            raise DataError(
                "Got images with numbers as targets; expected classes. Regression on images is not supported: pass kind='classification' (--kind classification) if the numbers are classes."
            )
        return dataclasses.replace(raw, y=_values(raw)), "regression", ()
    names, y = _classes(raw)
    return dataclasses.replace(raw, y=y), "classification", names


def _without_missing(raw: Raw) -> Raw:
    y = raw.y
    if y.dtype.kind == "f":
        gone = np.isnan(y)
        if np.isinf(y).any():
            raise DataError(
                f"Got {int(np.isinf(y).sum()):,} infinite values in {raw.target!r}; expected finite ones. Correct or remove those rows."
            )
    elif y.dtype.kind in "OUST":
        gone = np.array([str(value).strip() in MISSING for value in y], dtype=bool)
    else:
        return raw
    count = int(gone.sum())
    if not count:
        return raw
    if raw.trusted or raw.modality == "image":
        raise DataError(
            f"Got NaN or no value in {count:,} of {len(y):,} targets, the first in row {int(gone.argmax())}; expected a target in every row."
        )
    raw.warnings.append(
        f"{count:,} of {len(y):,} rows have no {raw.target!r} (empty, or a text such as NA or None); they are left out."
    )
    return dataclasses.replace(raw, y=y[~gone], x=raw.rows(~gone), part=raw.part[~gone])


def _guess(raw: Raw) -> Kind:
    y = raw.y
    if raw.modality == "image" or raw.classes is not None or y.dtype.kind == "b":
        return "classification"
    if y.dtype.kind not in "iuf":
        values = np.array([number(value) for value in y])
        if np.isnan(values).any() or any(str(value).strip().lower() in ("true", "false") for value in set(y.tolist())):
            return "classification"
        y = values
    distinct = len(np.unique(y))
    if (np.mod(y, 1) != 0).any():
        return "regression"
    few = distinct <= GUESS_CLASSES and distinct * 5 <= len(y)
    other = "regression" if few else "classification"
    if not few or distinct > 10:
        raw.warnings.append(
            f"{raw.target!r} holds whole numbers of {distinct:,} distinct values: taken as {'classes' if few else 'numbers (regression)'}. "
            f"Pass kind='{other}' (--kind {other}) for the other reading."
        )
    return "classification" if few else "regression"


def _values(raw: Raw) -> np.ndarray:
    if raw.y.dtype.kind in "biuf":
        values = raw.y.astype(np.float64)
    else:
        values = np.array([number(value) for value in raw.y], dtype=np.float64)
    if not np.isfinite(values).all():
        example = raw.y[int((~np.isfinite(values)).argmax())]
        raise DataError(
            f"Got {example!r} in {raw.target!r}; regression expects numbers. Correct it, or pass kind='classification' (--kind classification)."
        )
    if values.min() == values.max():
        raise DataError(
            f"Got {raw.target!r} with the one value {values[0]:g} in all rows; expected values that differ."
        )
    return values


def _classes(raw: Raw) -> tuple[tuple[str, ...], np.ndarray]:
    y = raw.y
    if y.dtype.kind == "f" and (np.mod(y, 1) != 0).any():
        example = y[(np.mod(y, 1) != 0).argmax()]
        raise DataError(
            f"Got {raw.target!r} with values such as {example:g}; classes are whole numbers or texts. Pass kind='regression' (--kind regression) to predict numbers."
        )
    if y.dtype.kind not in "biuf" and not (raw.trusted and len({type(value) for value in y.tolist()}) == 1):
        y = np.array([text(value) for value in y], dtype=str)
        if all(_whole(value) for value in np.unique(y)):
            y = y.astype(np.int64)
    labels, codes = np.unique(y, return_inverse=True)
    if raw.classes is not None:
        if labels.min() < 0 or labels.max() >= len(raw.classes):
            raise DataError(
                f"Got the labels {labels.min()} to {labels.max()}; expected 0 to {len(raw.classes) - 1}, one for each of {len(raw.classes)} classes."
            )
        codes, names = y.astype(np.int64), raw.classes
    else:
        names = tuple(_name(label) for label in labels)
    if len(labels) < 2:
        raise DataError(
            f"Got one class only, {names[int(codes[0])]!r}, in {raw.target!r}; expected at least two classes to tell apart."
        )
    return names, codes.reshape(len(y)).astype(np.int64)


def _whole(value: str) -> bool:
    return value.lstrip("-").isascii() and value.lstrip("-").isdigit() and str(int(value)) == value


def _name(label: Any) -> str:
    return str(int(label)) if isinstance(label, float | np.floating) and float(label).is_integer() else str(label)
