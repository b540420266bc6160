"""Data sets in the format of Hugging Face ``datasets`` (the extra ``data``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from archwright.errors import DataError, MissingExtraError, closest
from archwright.tasks.images import load_images, natural_changes
from archwright.tasks.raw import Raw
from archwright.tasks.split import TEST, TRAIN, UNASSIGNED, VALID
from archwright.tasks.tables import frame_with_target

_SPLITS = {"train": TRAIN, "validation": VALID, "valid": VALID, "val": VALID, "dev": VALID, "test": TEST}


def hub(name: str, target: str | None, image_size: int | None) -> Raw:
    """A data set of the Hugging Face hub (``mnist``, ``scikit-learn/iris``, ``owner/name:config``) or a folder ``save_to_disk`` wrote.

    Where only the training rows carry an official split, the split is drawn. Labels are the target, or the only column of classes.

    Raises:
        MissingExtraError: Where ``datasets`` is not installed.
        DataError: Where it cannot be had or its columns do not fit.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError(f"The Hugging Face data set {name!r}", "data") from error
    path, _, config = name.partition(":")
    try:
        saved = Path(path, "dataset_dict.json").exists() or Path(path, "dataset_info.json").exists()
        loaded = datasets.load_from_disk(path) if saved else datasets.load_dataset(path, config or None)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"Could not load the Hugging Face data set {name!r}: {error}") from error
    return from_datasets(
        loaded if hasattr(loaded, "items") else {"train": loaded},
        path.rstrip("/").rsplit("/", 1)[-1],
        target,
        image_size,
    )


def from_datasets(loaded: Any, name: str, target: str | None, image_size: int | None) -> Raw:
    """Raw data of a mapping from split name to ``datasets.Dataset``."""
    pieces = [(rows, _SPLITS[split]) for split, rows in loaded.items() if split in _SPLITS and len(rows)]
    if not pieces:
        raise DataError(f"Got the splits {', '.join(loaded)} in {name!r}; expected at least 'train'.")
    if len(pieces) == 1:
        pieces = [(pieces[0][0], UNASSIGNED)]
    kinds = {column: type(feature).__name__ for column, feature in pieces[0][0].features.items()}
    pictures = [column for column, kind in kinds.items() if kind == "Image"]
    labels = [column for column, kind in kinds.items() if kind == "ClassLabel"]
    target = target or (labels[0] if len(labels) == 1 else None)
    if target is not None and target not in kinds:
        raise DataError(f"Got the target {target!r}, which is no column of {name!r}. {closest(target, kinds)}")
    pieces = [(_labelled(rows, target), code) for rows, code in pieces] if target in labels else pieces
    part = np.concatenate([np.full(len(rows), code) for rows, code in pieces])
    raw = _images(pieces, part, pictures, target, name, image_size) if pictures else _table(pieces, part, target, name)
    if target in labels:
        raw.classes = tuple(str(label) for label in pieces[0][0].features[target].names)
        raw.augment = natural_changes(raw.record["channels"], raw.classes) if pictures else None
    return raw


def _labelled(rows: Any, target: str | None) -> Any:
    """Without the rows whose class is withheld (-1), as in the test splits of competitions."""
    known = np.flatnonzero(np.asarray(rows[target]) >= 0)
    return rows if len(known) == len(rows) else rows.select(known)


def _images(
    pieces: list[tuple[Any, int]],
    part: np.ndarray,
    pictures: list[str],
    target: str | None,
    name: str,
    image_size: int | None,
) -> Raw:
    if len(pictures) > 1 or target is None:
        columns = ", ".join(pieces[0][0].features)
        raise DataError(
            f"Got the columns {columns} in {name!r}; expected one of images and one of classes. Name the classes with target= (--target)."
        )
    warnings: list[str] = []
    files = [row[pictures[0]] for rows, _ in pieces for row in rows.select_columns(pictures[0])]
    images, good, record = load_images(files, image_size, warnings, [f"image {i}" for i in range(len(files))])
    y = np.concatenate([np.asarray(rows[target]) for rows, _ in pieces])
    return Raw(name, "image", images, y[good], part[good], record, target, warnings=warnings)


def _table(pieces: list[tuple[Any, int]], part: np.ndarray, target: str | None, name: str) -> Raw:
    import pandas as pd

    frame = pd.concat([rows.to_pandas() for rows, _ in pieces], ignore_index=True)
    raw = frame_with_target(frame, target, name, repr(name))
    raw.part = part
    return raw
