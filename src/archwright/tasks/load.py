"""From a source to a task: read, check, split, fit on the training rows, apply to all."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.errors import DataError, closest
from archwright.problem import Signature
from archwright.tasks import checks, preprocess
from archwright.tasks.arrays import in_memory, npz
from archwright.tasks.builtin import BUILT_IN
from archwright.tasks.fit import Scaling, column_sizes, fit_images, fit_table
from archwright.tasks.images import image_folder, natural_changes
from archwright.tasks.mirror import mirrors
from archwright.tasks.preprocess import TEXT_SUFFIXES
from archwright.tasks.raw import Raw, with_test
from archwright.tasks.split import TEST, TRAIN, VALID, split
from archwright.tasks.tables import frame_with_target, table_file
from archwright.tasks.targets import settle
from archwright.tasks.task import METRICS, Kind, Split, Task
from archwright.tasks.text import is_text, text_task

if TYPE_CHECKING:
    import pandas as pd

_TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq")


def load_task(
    source: str | Path | tuple[Any, Any] | pd.DataFrame,
    target: str | None = None,
    *,
    test: str | Path | tuple[Any, Any] | pd.DataFrame | None = None,
    kind: str | None = None,
    seed: int = 0,
    image_size: int | None = None,
    holdout: bool = True,
    scaling: Scaling = "robust",
) -> Task:
    """A data set made ready for networks.

    Official test and validation splits are kept. Without a test split the rows are dealt 60/20/20 by the seed, stratified; without a
    validation split a fifth of the training rows becomes it. A text is cut in its order, see :func:`~archwright.tasks.text.text_task`.

    Args:
        source: A built-in name (:func:`list_tasks`); ``hf:NAME`` for Hugging Face; a folder of class folders; an ``.npz``, CSV, Parquet
            or text file (``.txt``, ``.txt.gz``); a DataFrame; or ``(x, y)`` in memory (two dimensions: a table, three or four: images).
        target: Column (of a table) or array (of an ``.npz`` file) to predict.
        test: The rows to test on, if they are not in ``source``: a source of the same form.
        kind: ``"classification"`` or ``"regression"``; by default texts, truths and few distinct whole numbers are classes.
        seed: Seed of the split.
        image_size: Pixels of the images' long side; by default their own, at most 64.
        holdout: Whether to draw test rows where the source names none. Without them ``task.test`` is empty, and a fifth of all rows
            is validation.
        scaling: How numbers of tables are scaled: ``"robust"`` (by quartiles, clipped smoothly) or ``"standard"``.

    Raises:
        DataError: Where the data cannot be used; the message says what to do.
        MissingExtraError: Where a library for the format is not installed.

    >>> task = load_task("wine")
    >>> task.signature.inputs, task.classes, len(task.train), task.metrics[0]
    (((13,),), ('class_0', 'class_1', 'class_2'), 106, 'accuracy')
    """
    if seed < 0:
        raise DataError(f"Got seed={seed}; expected 0 or more.")
    if image_size is not None and image_size < 4:
        raise DataError(f"Got image_size={image_size}; expected at least 4 pixels.")
    if isinstance(source, str | Path) and is_text(path := Path(source).expanduser()) and path.is_file():
        if test is not None:
            raise DataError("Got test rows for a text, which is cut in its order. Leave out test=.")
        task = text_task(path, target, kind, seed, holdout=holdout)
    else:
        raw = _read(source, target, image_size)
        if test is not None:
            raw = with_test(raw, _read(test, target, image_size))
        task = make_task(raw, kind, seed, holdout=holdout, scaling=scaling)
    if image_size is not None and task.modality != "image":
        raise DataError(f"Got image_size={image_size} for {task.name!r}, which holds no images. Leave it out.")
    return task


def _read(source: Any, target: str | None, image_size: int | None) -> Raw:
    if isinstance(source, tuple):
        if len(source) != 2:
            raise DataError(f"Got a tuple of {len(source)}; expected (x, y).")
        return in_memory(source[0], source[1], image_size)
    if hasattr(source, "columns"):
        return frame_with_target(source, target)
    if not isinstance(source, str | Path):
        raise DataError(
            f"Got a {type(source).__name__}; expected the name of a data set, a path, (x, y) or a DataFrame."
        )
    if isinstance(source, str) and source in BUILT_IN:
        return BUILT_IN[source](image_size)
    if isinstance(source, str) and source.startswith("hf:"):
        from archwright.tasks.hub import hub

        return hub(source[3:], target, image_size)
    return _read_path(Path(source).expanduser(), str(source), target, image_size)


def _read_path(path: Path, written: str, target: str | None, image_size: int | None) -> Raw:
    if path.is_dir():
        return image_folder(path, image_size)
    is_table = path.name.lower().endswith(_TABLES)
    if path.is_file():
        checks.check_file(path)
        if path.suffix.lower() == ".npz":
            return npz(path, target, image_size)
        if is_table:
            return table_file(path, target)
        raise DataError(
            f"Got the file {path}; expected .npz, {', '.join((*_TABLES, *TEXT_SUFFIXES))}, or a folder of class folders with images."
        )
    if path.suffix or len(path.parts) > 1:
        beside = sorted(file.name for file in path.parent.iterdir()) if path.parent.is_dir() else []
        hint = f" {closest(path.name, beside[:20])}" if beside else ""
        raise DataError(f"Got {written}, which does not exist.{hint}")
    raise DataError(
        f"Got the data set {written!r}, which is neither built in nor a file or folder here. {closest(written, BUILT_IN)}"
    )


def _changes(raw: Raw, classes: tuple[str, ...], x: np.ndarray, y: np.ndarray) -> tuple[str, ...]:
    """The changes that keep a picture's class; if classes are numbers the pictures tell whether these are digits."""
    if raw.augment is not None:
        return raw.augment
    if classes and all(label.isdigit() for label in classes):
        return ("crop", "flip") if mirrors(x, y) else ("crop",)
    return natural_changes(raw.record["channels"], classes)


def make_task(raw: Raw, kind: str | None, seed: int, *, holdout: bool = True, scaling: Scaling = "robust") -> Task:
    """Checks, splits and preprocesses raw data."""
    raw = dataclasses.replace(raw, warnings=list(raw.warnings))
    raw, settled, classes = settle(raw, kind)
    checks.check_rows(raw)
    if settled == "classification":
        raw.warnings += checks.check_classes(raw.y, classes, trusted=raw.trusted)
    part = split(raw.y, settled, raw.part, seed, holdout=holdout)
    raw.warnings += checks.check_parts(raw.y, part, classes, holdout=holdout)
    record = {**_fit(raw, part == TRAIN, scaling), "target": _target_record(raw, settled, classes, part)}
    rows = [np.flatnonzero(part == code) for code in (TRAIN, VALID, TEST)]
    xs = _inputs(raw, record, rows)
    ys = _targets(raw, record, rows, settled)
    compared = [raw.x[chosen] for chosen in rows] if raw.modality == "image" else xs
    raw.warnings += checks.check_repeats(compared, ys, classes)
    shape = tuple(int(size) for size in xs[0].shape[1:])
    columns = column_sizes(record) if raw.modality == "tabular" and scaling == "robust" else ()
    augment = _changes(raw, classes, xs[0], ys[0]) if raw.modality == "image" else ()
    return Task(
        name=raw.name,
        kind=settled,
        modality=raw.modality,
        signature=Signature((shape,), (len(classes) or 1,), columns=columns),
        classes=classes,
        metrics=METRICS[settled],
        objective=METRICS[settled][0],
        augment=augment,
        target_mean=record["target"].get("mean", 0.0),
        target_std=record["target"].get("std", 1.0),
        data_hash=_content_hash(raw, rows, settled, classes),
        train=Split(xs[0], ys[0]),
        valid=Split(xs[1], ys[1]),
        test=Split(xs[2], ys[2]),
        preprocess=record,
        seed=seed,
        warnings=tuple(raw.warnings),
    )


def _fit(raw: Raw, train: np.ndarray, scaling: Scaling) -> dict[str, Any]:
    if raw.modality == "image":
        return fit_images(raw.record, raw.x[train])
    return fit_table(raw.record, raw.rows(train), raw.warnings, scaling)


def _target_record(raw: Raw, kind: Kind, classes: tuple[str, ...], part: np.ndarray) -> dict[str, Any]:
    if kind == "classification":
        return {"kind": kind, "name": raw.target, "classes": list(classes)}
    values = raw.y[part == TRAIN]
    return {"kind": kind, "name": raw.target, "mean": float(values.mean()), "std": float(values.std()) or 1.0}


def _inputs(raw: Raw, record: dict[str, Any], rows: list[np.ndarray]) -> list[np.ndarray]:
    if raw.modality == "image":
        checks.check_data_memory(len(raw.y), raw.x[0].size, raw.name)
        return [preprocess.normalise(record, raw.x[chosen]) for chosen in rows]
    checks.check_data_memory(len(raw.y), preprocess.table(record, raw.x[:1]).size, raw.name)
    tables = [preprocess.table(record, raw.rows(chosen)) for chosen in rows]
    checks.check_inputs(tables, raw.name)
    return tables


def _targets(raw: Raw, record: dict[str, Any], rows: list[np.ndarray], kind: Kind) -> list[np.ndarray]:
    if kind == "classification":
        return [raw.y[chosen].astype(np.int64) for chosen in rows]
    target = record["target"]
    return [((raw.y[chosen] - target["mean"]) / target["std"]).astype(np.float32) for chosen in rows]


def _content_hash(raw: Raw, rows: list[np.ndarray], kind: Kind, classes: tuple[str, ...]) -> str:
    """SHA-256 of the raw content of each split, so that rounding in the preprocessing does not matter."""
    digest = hashlib.sha256(repr((raw.modality, kind, classes)).encode())
    for chosen in rows:
        digest.update(np.ascontiguousarray(raw.y[chosen], dtype="<i8" if kind == "classification" else "<f8").data)
        if raw.modality == "image":
            digest.update(repr((raw.x.shape[1:], raw.x.dtype.str)).encode())
            digest.update(np.ascontiguousarray(raw.x[chosen]).data)
            continue
        part = raw.rows(chosen)
        for name in part.columns:
            values = np.asarray(part[name])
            digest.update(f"\x1e{name}\x1e".encode())
            if values.dtype.kind in "biuf":
                digest.update(np.ascontiguousarray(values, dtype="<f8").data)
            else:
                digest.update("\x1f".join(map(str, values)).encode())
    return digest.hexdigest()
