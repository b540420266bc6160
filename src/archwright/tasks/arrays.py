"""Data in arrays: ``.npz`` files, numpy arrays, tensors and DataFrames handed over by a program."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from archwright.errors import DataError, closest
from archwright.tasks.preprocess import resize, to_nchw
from archwright.tasks.raw import Raw, join
from archwright.tasks.split import TEST, TRAIN, UNASSIGNED, VALID

LONG_SIDE = 64
"""Longest side of images unless ``image_size`` says otherwise."""

_PAIRS = (
    ("x_{}", "y_{}"),
    ("X_{}", "y_{}"),
    ("{}_images", "{}_labels"),
    ("{}_x", "{}_y"),
    ("{}_data", "{}_labels"),
)
_SINGLE = (
    ("x", "y"),
    ("X", "y"),
    ("data", "target"),
    ("data", "labels"),
    ("images", "labels"),
    ("X", "Y"),
    ("features", "labels"),
)
_SPLITS = {"train": TRAIN, "val": VALID, "valid": VALID, "validation": VALID, "test": TEST}


def npz(path: Path, target: str | None, image_size: int | None) -> Raw:
    """An ``.npz`` file with inputs and targets, whole or in official splits.

    Known names: x and y (or data and target, images and labels), or x_train, y_train, x_test, y_test, or MedMNIST's train_images,
    train_labels, val_images, ...; ``target`` names another key for the targets, beside exactly one other array.

    Raises:
        DataError: Where the file is unreadable or its names or shapes do not fit.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files} if hasattr(file, "files") else {}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        ragged = "Object array" in str(error)
        cause = (
            "it holds ragged or other arrays of objects; expected plain numbers of one shape" if ragged else str(error)
        )
        raise DataError(f"Could not read {path}: {cause}.") from error
    return from_arrays(_pieces(arrays, target, path), path.stem, image_size)


def _pieces(arrays: Mapping[str, np.ndarray], target: str | None, path: Path) -> list[tuple[Any, Any, int]]:
    if target is not None:
        others = [key for key in arrays if key != target]
        if target not in arrays:
            raise DataError(f"Got no array {target!r} in {path}. {closest(target, arrays)}")
        if len(others) != 1:
            raise DataError(
                f"Got the arrays {', '.join(others)} beside {target!r} in {path}; expected exactly one, the inputs."
            )
        return [(arrays[others[0]], arrays[target], UNASSIGNED)]
    for x, y in _PAIRS:
        found = [
            (arrays[x.format(name)], arrays[y.format(name)], code)
            for name, code in _SPLITS.items()
            if x.format(name) in arrays and y.format(name) in arrays
        ]
        if any(code == TRAIN for _, _, code in found):
            return found
    for x, y in _SINGLE:
        if x in arrays and y in arrays:
            return [(arrays[x], arrays[y], UNASSIGNED)]
    raise DataError(
        f"Got the arrays {', '.join(arrays) or '(none)'} in {path}; expected x and y, or x_train, y_train, x_test and y_test. Or name the targets with target= (--target)."
    )


def in_memory(x: Any, y: Any, image_size: int | None, name: str = "data") -> Raw:
    """Inputs and targets handed over by a program: arrays, tensors, a DataFrame and a Series."""
    from archwright.tasks.tables import frame_and_target

    if hasattr(x, "columns"):
        return frame_and_target(x, y, name)
    try:
        x, y = to_numpy(x), to_numpy(y)
        raw = from_arrays([(x, y, UNASSIGNED)], name, image_size)
    except ValueError as error:
        raise DataError(f"Got inputs and targets that are no arrays of one shape (ragged?): {error}") from error
    raw.trusted = True
    return raw


def to_numpy(values: Any) -> np.ndarray:
    """Lists, arrays, Series and tensors as an array."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def from_arrays(pieces: list[tuple[Any, Any, int]], name: str, image_size: int | None) -> Raw:
    """Raw data of ``(x, y, split code)`` pieces: two dimensions are a table, three or four are images."""
    arrays, y, part = join(pieces)
    if any(x.dtype.kind not in "biuf" and x.ndim != 2 for x in arrays):
        raise DataError(
            f"Got inputs of type {arrays[0].dtype} and shape {arrays[0].shape}; expected numbers in rows of one shape. Are they ragged?"
        )
    if not len(y):
        raise DataError(f"Got no rows in {name!r}; expected at least 20.")
    if arrays[0].ndim == 2:
        import pandas as pd

        frame = pd.DataFrame(np.concatenate(arrays))
        return Raw(name, "tabular", frame.rename(columns=str), y, part, {"version": 1, "modality": "tabular"})
    if arrays[0].ndim not in (3, 4):
        raise DataError(
            f"Got inputs of shape {arrays[0].shape}; expected a table (rows, columns) or images (n, H, W), (n, H, W, C) or (n, C, H, W)."
        )
    warnings: list[str] = []
    record = image_record(arrays, image_size, warnings)
    images = [resize(to_nchw(x, record["layout"], record["dtype"]), *record["size"]) for x in arrays]
    return Raw(
        name, "image", images[0] if len(images) == 1 else np.concatenate(images), y, part, record, warnings=warnings
    )


def image_record(arrays: list[np.ndarray], image_size: int | None, warnings: list[str]) -> dict[str, Any]:
    """Layout, channels, type, scale and size of arrays of images.

    Of four dimensions the second is the channels where it is not larger than the last, else the last.
    """
    shape = arrays[0].shape
    layout = "NHW" if len(shape) == 3 else "NCHW" if shape[1] <= shape[3] else "NHWC"
    channels, height, width = {"NHW": (1, *shape[1:]), "NCHW": shape[1:], "NHWC": (shape[-1], *shape[1:-1])}[layout]
    if min(channels, height, width) < 1:
        raise DataError(f"Got images of shape {shape[1:]}; expected at least one pixel and one channel.")
    if layout != "NHW" and channels > 4:
        warnings.append(
            f"Images of shape {shape[1:]} are read as {layout}: {channels} channels of {height} x {width} pixels."
        )
    whole = all(x.dtype.kind in "iu" for x in arrays)
    lowest, highest = (min(x.min() for x in arrays), max(x.max() for x in arrays)) if whole else (0, 0)
    dtype = "uint8" if whole and lowest >= 0 and highest <= 255 else "float32"
    scale = 255.0 if dtype == "uint8" else 65535.0 if arrays[0].dtype == np.uint16 else 1.0
    size = target_size(height, width, image_size, warnings)
    return {
        "version": 1,
        "modality": "image",
        "channels": channels,
        "size": list(size),
        "layout": layout,
        "dtype": dtype,
        "scale": scale,
    }


def target_size(height: float, width: float, image_size: int | None, warnings: list[str]) -> tuple[int, int]:
    """Height and width of images of about this size: the long side is ``image_size``, or at most 64, and the proportions stay."""
    if image_size is not None and image_size < 1:
        raise DataError(f"Got image_size={image_size}; expected the pixels of the long side, 1 or more.")
    long = image_size or min(LONG_SIDE, round(max(height, width)))
    factor = long / max(height, width)
    if image_size is None and factor < 1:
        warnings.append(
            f"Images of {width:g} x {height:g} pixels are made smaller, to {long} on the long side; image_size= (--image-size) keeps more."
        )
    return max(1, round(height * factor)), max(1, round(width * factor))
