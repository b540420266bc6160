"""Fits the preprocessing record on the training rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from archwright.errors import DataError
from archwright.tasks.preprocess import number, numbers, text

if TYPE_CHECKING:
    import pandas as pd

CATEGORIES = 32
"""Categories of a column that get a feature of their own; where there are more, the rarer ones share "other"."""

Scaling = Literal["robust", "standard"]
"""How numbers of tables are scaled: by quartiles with smooth clipping, or by mean and standard deviation.

Runs stored by earlier versions have the second."""

_CHUNK = 4096
_NAMED_ID = re.compile(r"(^|[\W_])(id|key|index|idx|nr|no|row)$|^unnamed: \d+$", re.IGNORECASE)
_JUNK = 0.05  # share of cells that may be no numbers in a column of numbers


def fit_images(record: dict[str, Any], images: np.ndarray) -> dict[str, Any]:
    """The record with the mean and standard deviation of each channel of the training images ``(n, C, H, W)``."""
    chunks = [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
    count = images.size // images.shape[1]
    mean = sum(chunk.sum(axis=(0, 2, 3), dtype=np.float64) for chunk in chunks) / count
    squares = sum(np.square(chunk - mean[:, None, None], dtype=np.float64).sum(axis=(0, 2, 3)) for chunk in chunks)
    std = np.sqrt(squares / count)
    scale = record["scale"]
    return {**record, "mean": (mean / scale).tolist(), "std": np.where(std > 0, std / scale, 1.0).tolist()}


def fit_table(
    record: dict[str, Any], frame: pd.DataFrame, warnings: list[str], scaling: Scaling = "robust"
) -> dict[str, Any]:
    """The record with what becomes of each column of the training rows; columns that say nothing are dropped with a warning.

    Args:
        record: What is known of the task.
        frame: The training rows.
        warnings: Takes what a careful person should look at.
        scaling: How numbers are scaled.

    Raises:
        DataError: Where no column is left, or cells hold lists.
    """
    fitted: list[dict[str, Any]] = []
    dropped: dict[str, list[str]] = {}
    for position, name in enumerate(frame.columns):
        entry, problem = _fit_column(frame.iloc[:, position], warnings, scaling)
        if entry is None:
            dropped.setdefault(problem, []).append(str(name))
        else:
            fitted.append({"name": str(name), "index": position, **entry})
    for problem, names in dropped.items():
        warnings.append(f"Dropped {_columns(names)}: {problem}.")
    if not fitted:
        raise DataError(
            f"Got no usable column among {frame.shape[1]}: {'; '.join(dropped)}. Expected at least one that varies."
        )
    return {**record, "width": frame.shape[1], "columns": fitted}


def column_sizes(record: Mapping[str, Any]) -> tuple[int, ...]:
    """The entries of each column in a row: 1 for a number or an indicator, k for a one-hot group."""
    sizes: list[int] = []
    for column in record["columns"]:
        if column["kind"] == "number":
            sizes += [1, 1] if column["missing"] else [1]
        else:
            sizes.append(len(column["categories"]) + bool(column["other"]))
    return tuple(sizes)


def _columns(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"the column {shown}" if len(names) == 1 else f"{len(names)} columns ({shown})"


def _fit_column(column: pd.Series, warnings: list[str], scaling: Scaling) -> tuple[dict[str, Any] | None, str]:
    """What becomes of a column, or nothing and why."""
    values = np.asarray(column)
    if values.dtype.kind in "biufmM":
        return _fit_numbers(column, warnings, scaling)
    cells = [text(value) for value in _plain(values, str(column.name))]
    present = [cell for cell in cells if cell]
    if not present:
        return None, "every cell is missing"
    junk = [cell for cell in present if np.isnan(number(cell))]
    if len(junk) <= _JUNK * len(present):
        if junk:
            warnings.append(
                f"Column {str(column.name)!r}: {len(junk):,} cells are no numbers ({junk[0]!r}, ...); taken as missing."
            )
        return _fit_numbers(column, warnings, scaling)
    return _fit_categories(cells, present)


def _plain(values: np.ndarray, name: str) -> np.ndarray:
    for value in values[:1000]:
        if isinstance(value, list | tuple | dict | set | np.ndarray):
            raise DataError(
                f"Column {name!r} holds a {type(value).__name__} in each cell; expected numbers or texts. Spread it over columns, or drop it."
            )
    return values


def _identifies(present: np.ndarray, name: str) -> bool:
    """Whether distinct whole numbers look like an identifier: by the column's name, or because they only rise."""
    if len(present) < 20 or (np.mod(present, 1) != 0).any() or len(np.unique(present)) < len(present):
        return False
    return bool((np.diff(present) > 0).all()) or _NAMED_ID.search(name) is not None


def _fit_numbers(column: pd.Series, warnings: list[str], scaling: Scaling) -> tuple[dict[str, Any] | None, str]:
    name, values, rows = str(column.name), np.asarray(column), np.asarray(column.index)
    found = numbers(values)
    missing = np.isnan(found)
    present = found[~missing]
    if values.dtype.kind == "f" and (infinite := int(np.isinf(values).sum())):
        warnings.append(f"Column {name!r}: {infinite:,} infinite numbers; taken as missing.")
    if not len(present):
        return None, "every cell is missing"
    if present.min() == present.max() and not missing.any():
        return None, "the same in every training row"
    if len(found) > 2 and np.ptp(found - rows) == 0 and _NAMED_ID.search(name):
        return None, "it counts the rows"
    if _identifies(present, name):
        warnings.append(
            f"Column {name!r} holds a different whole number in every row: an identifier? "
            "It then tells nothing about new rows: remove it."
        )
    median = float(np.median(present))
    entry = {"kind": "number", "median": median, "missing": bool(missing.any())}
    scales = _robust(present) if scaling == "robust" else _standard(np.where(missing, median, found))
    return {**entry, **scales}, ""


def _robust(present: np.ndarray) -> dict[str, float]:
    """Median and distance of the quartiles, or half the range if these are equal (RealMLP)."""
    lowest, low, median, high, highest = (float(value) for value in np.quantile(present, (0, 0.25, 0.5, 0.75, 1)))
    scale = high - low if high > low else highest / 2 - lowest / 2
    return {"centre": median, "scale": scale if np.isfinite(scale) and scale > 1e-12 * abs(median) else 1.0}


def _standard(filled: np.ndarray) -> dict[str, float]:
    with np.errstate(over="ignore"):
        mean, std = float(filled.mean()), float(filled.std())
    return {"mean": mean, "std": std if np.isfinite(std) and std > 1e-12 * abs(mean) else 1.0}


def _fit_categories(cells: list[str], present: list[str]) -> tuple[dict[str, Any] | None, str]:
    names, counts = np.unique(np.array(cells, dtype=object).astype(str), return_counts=True)
    if len(names) == 1:
        return None, "the same in every training row"
    if len(present) > CATEGORIES and len(set(present)) == len(present):
        return None, "a different text in every row, so it says nothing about new ones"
    order = sorted(range(len(names)), key=lambda i: (-counts[i], names[i]))[:CATEGORIES]
    return {
        "kind": "category",
        "categories": sorted(str(names[i]) for i in order),
        "other": len(names) > CATEGORIES,
    }, ""
