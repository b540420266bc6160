"""Raw inputs from preprocessed ones, so that an export's own preprocessing can be checked on real rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archwright.tasks.preprocess import CLIP

LIMIT = 1 - 1e-7
"""Largest share of the clipping's limit that is recovered; float32 knows no larger one."""

_UNKNOWN = "(no category of the training rows)"


def recover(record: Mapping[str, Any], x: np.ndarray) -> Any:
    """Raw inputs that the preprocessing turns into ``x``.

    Args:
        record: The task's preprocessing record (see :mod:`archwright.tasks.preprocess`).
        x: Preprocessed rows, float32 ``(n, *input shape)``.

    Returns:
        Images in the record's layout and dtype, a mapping from column name to values, or a list of texts.
    """
    if record["modality"] == "text":
        return _texts(record, x)
    return _images(record, x) if record["modality"] == "image" else _table(record, x)


def _texts(record: Mapping[str, Any], x: np.ndarray) -> list[str]:
    known = set(record["symbols"])
    other = next(symbol for code in range(0xFFFD, 0, -1) if (symbol := chr(code)) not in known)
    names = [other, *record["symbols"]]
    return ["".join(names[number] for number in window) for window in x.astype(np.int64)]


def _images(record: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    mean, std = (np.asarray(record[name], dtype=np.float64)[:, None, None] for name in ("mean", "std"))
    images: np.ndarray = (x.astype(np.float64) * std + mean) * record["scale"]
    if record["dtype"] == "uint8":
        images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    else:
        images = images.astype(np.float32)
    layout = record["layout"]
    return images[:, 0] if layout == "NHW" else images.transpose(0, 2, 3, 1) if layout == "NHWC" else images


def _table(record: Mapping[str, Any], x: np.ndarray) -> dict[str, list[Any]]:
    raw: dict[str, list[Any]] = {}
    place = 0
    for column in record["columns"]:
        if column["kind"] == "number":
            values = _numbers(column, x[:, place].astype(np.float64))
            if column["missing"]:
                values = np.where(x[:, place + 1] > 0.5, np.nan, values)
            place += 2 if column["missing"] else 1
            raw[column["name"]] = values.tolist()
        else:
            names = column["categories"]
            width = len(names) + bool(column["other"])
            hot = x[:, place : place + width]
            raw[column["name"]] = [_category(names, row) for row in hot]
            place += width
    return raw


def _numbers(column: Mapping[str, Any], scaled: np.ndarray) -> np.ndarray:
    if "std" in column:
        centre, scale = column["mean"], column["std"]
    else:
        centre, scale = column["centre"], column["scale"]
        scaled = scaled / np.sqrt(1 - np.clip(scaled / CLIP, -LIMIT, LIMIT) ** 2)
    values: np.ndarray = scaled * scale + centre
    return values


def _category(names: list[str], hot: np.ndarray) -> str:
    option = int(hot.argmax()) if hot.any() else len(names)
    return names[option] if option < len(names) else _UNKNOWN
