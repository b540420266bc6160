"""Checks before any training: what makes a task impossible is an error, what makes it doubtful a warning."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from archwright.errors import DataError
from archwright.tasks.raw import Raw
from archwright.tasks.split import TEST, TRAIN, VALID

MIN_ROWS = 20
MIN_TRUSTED = 5
"""Fewest rows of a file, and of arrays handed over by a program."""

_NAMES = {TRAIN: "training", VALID: "validation", TEST: "test"}


def available_bytes() -> int:
    """Memory that can be had without swapping."""
    import psutil

    return int(psutil.virtual_memory().available)


def check_data_memory(rows: int, size: int, name: str) -> None:
    """Refuses data that does not fit into memory as float32.

    Args:
        rows: Number of rows.
        size: Numbers in each.
        name: Name of the data.

    Raises:
        DataError: With what is needed and what there is.
    """
    needed, available = rows * size * 4, available_bytes()
    if needed > 0.8 * available:
        raise DataError(
            f"Got {rows:,} rows of {size:,} numbers in {name!r}, {needed / 1e9:,.1f} GB as float32; {available / 1e9:,.1f} GB of memory are free. "
            "Use fewer rows, smaller images (image_size=, --image-size) or a larger machine."
        )


def check_file(path: Path) -> None:
    """Refuses a file whose (unpacked) content does not fit into memory.

    Raises:
        DataError: With what is needed and what there is.
    """
    needed, available = path.stat().st_size, available_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            needed = sum(entry.file_size for entry in packed.infolist())
    if needed > 0.8 * available:
        raise DataError(
            f"Got {path} with {needed / 1e9:,.1f} GB of content; {available / 1e9:,.1f} GB of memory are free. Use a part of it or a larger machine."
        )


def check_inputs(splits: Sequence[np.ndarray], name: str) -> None:
    """Refuses inputs that are too large for float32.

    Raises:
        DataError: With what to do.
    """
    if not all(np.isfinite(x).all() for x in splits):
        raise DataError(
            f"Got numbers in {name!r} that are too large for float32 after standardising; expected less spread. Take their logarithm, or clip them."
        )


def check_rows(raw: Raw) -> None:
    """Refuses data with too few rows, or images with values that are not finite.

    Raises:
        DataError: With the count, or the first bad image.
    """
    least = MIN_TRUSTED if raw.trusted else MIN_ROWS
    if len(raw.y) < least:
        raise DataError(
            f"Got {len(raw.y):,} rows in {raw.name!r}; expected at least {least} to train, validate and test on."
        )
    if raw.modality == "image" and raw.x.dtype.kind == "f":
        chunk = max(1, 10_000_000 // max(1, raw.x[0].size))
        for start in range(0, len(raw.x), chunk):
            finite = np.isfinite(raw.x[start : start + chunk]).all(axis=(1, 2, 3))
            if not finite.all():
                raise DataError(
                    f"Got NaN or infinite pixels in image {start + int((~finite).argmax())} of {raw.name!r}; expected finite ones. Correct or remove such images."
                )


def check_classes(y: np.ndarray, classes: Sequence[str], *, trusted: bool) -> list[str]:
    """Warnings on classes that are too small.

    Raises:
        DataError: Where classes are too many for the rows (unless a program handed them over).
    """
    counts = np.bincount(y, minlength=len(classes))
    present = int((counts > 0).sum())
    if present > len(y) / 3 and not trusted:
        raise DataError(
            f"Got {present:,} classes for {len(y):,} rows; expected at least 3 rows for each class on average. Is this the right target? Pass kind='regression' (--kind regression) if it is a number."
        )
    small = [f"{classes[int(i)]!r} ({counts[i]})" for i in np.flatnonzero((counts > 0) & (counts < 3))]
    none = [repr(classes[int(i)]) for i in np.flatnonzero(counts == 0)]
    warnings = []
    if small:
        warnings.append(
            f"Classes with fewer than 3 rows, which not every split can hold: {_few(small)}. Add rows or remove them."
        )
    if none:
        warnings.append(f"Classes without any row: {_few(none)}.")
    return warnings


def check_parts(y: np.ndarray, part: np.ndarray, classes: Sequence[str], *, holdout: bool = True) -> list[str]:
    """Warnings on classes that are tested but never learnt.

    Raises:
        DataError: Where a split is empty, or training holds one class.
    """
    for code, name in _NAMES.items():
        if not (part == code).any() and (holdout or code != TEST):
            raise DataError(
                f"Got no {name} rows; expected some in each split. Add rows, or leave out the official splits."
            )
    if not classes:
        return []
    learnt = np.unique(y[part == TRAIN])
    if len(learnt) < 2:
        raise DataError(
            f"Got one class only, {classes[int(learnt[0])]!r}, in the training rows; expected at least two classes to tell apart."
        )
    unknown = [repr(classes[int(i)]) for i in np.setdiff1d(y, learnt)]
    return [f"Classes without training rows, which no network can learn: {_few(unknown)}."] if unknown else []


def check_repeats(splits: Sequence[np.ndarray], targets: Sequence[np.ndarray], classes: Sequence[str]) -> list[str]:
    """Warnings on equal rows: shared between splits (leaking), or with different classes.

    Args:
        splits: Rows of train, validation and test, ``(n, ...)``.
        targets: Their targets.
        classes: Names of the classes; empty for regression.
    """
    keys = [_digests(rows) for rows in splits]
    seen = [set(found) for found in keys]
    warnings = []
    for later, earlier in ((2, 0), (2, 1), (1, 0)):
        shared = sum(key in seen[earlier] for key in keys[later])
        if shared:
            share = shared / len(keys[later])
            warnings.append(
                f"Leaking: {shared:,} of {len(keys[later]):,} {_NAMES[later]} rows ({share:.1%}) also occur among the {_NAMES[earlier]} rows, so results there look too good."
            )
    if classes:
        first: dict[bytes, int] = {}
        conflicts = {
            key
            for found, y in zip(keys, targets, strict=True)
            for key, label in zip(found, y.tolist(), strict=True)
            if first.setdefault(key, label) != label
        }
        if conflicts:
            warnings.append(
                f"Equal rows with different classes: {len(conflicts):,} distinct ones. No network can be right on all of them."
            )
    return warnings


def _digests(rows: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest() for row in rows]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
