"""Turns raw inputs into what a network takes, and its outputs into answers, as a JSON record says.

This file stands alone: it needs numpy, and Pillow where images are files. Its source travels with exported networks.

The record of an image task holds ``channels``, ``size`` (height, width), ``layout`` of raw arrays (NHW, NHWC or NCHW), ``dtype``
(``uint8`` or ``float32``) and ``scale``, ``mean``, ``std`` (per channel, after division by the scale): x = (raw / scale - mean) / std.
Arrays are in the units of the training data. Image files and PIL images, whose pixels are 0 (black) to 255 (white), are brought to
0 to ``scale`` first: the digits of scikit-learn, for example, are 0 to 16.
The record of a table holds ``width`` (raw columns) and ``columns``: numbers (missing: the median; less ``centre`` and divided by
``scale``; then clipped smoothly; records of earlier versions standardise by ``mean`` and ``std`` instead; with an indicator of
what was missing where the training rows had such) and categories (one-hot; unknown ones are all zero, or "other" where there is one).
The record of a text holds ``symbols``, which are numbered from 1 in this order (0 is any other), ``steps``, the length of a window, and
``padding``, the number of the symbol that comes before shorter texts: the line break, or the most frequent symbol where there is none.
All numbers in it come from the training rows alone.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

MISSING = frozenset(
    [
        "",
        "?",
        "NA",
        "N/A",
        "n/a",
        "nan",
        "NaN",
        "NAN",
        "-nan",
        "null",
        "NULL",
        "None",
        "none",
        "<NA>",
        "NaT",
        "#N/A",
        "#NA",
    ]
)
"""Texts of a table's cells that mean: no value."""

IMAGE_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"))
"""Endings of the names of image files."""

TEXT_SUFFIXES = (".txt", ".txt.gz")
"""Endings of the names of texts."""

UNKNOWN = "(other)"
"""Name of the class of all symbols that have none of their own."""

CLIP = 3.0
"""Numbers of tables stay below this size."""

_TRUTHS = {"true": 1.0, "false": 0.0}


def apply(record: Mapping[str, Any], raw: Any) -> np.ndarray:
    """What the network takes, float32 of shape ``(n, *input shape)``.

    Args:
        record: The task's record.
        raw: Images: a path, a PIL image, a list of either (their white becomes ``scale``), or an array in the record's layout
            (with or without the batch dimension) and in the units of the training data. Tables: a DataFrame, a mapping from
            column name to values, a list of such rows, or a 2-D array. Texts: a string or a list of them, of each of which the last
            ``steps`` symbols count; shorter ones are padded on the left.

    Raises:
        ValueError: Where the raw input does not fit the record.
    """
    if record["modality"] == "image":
        return normalise(record, pixels(record, raw))
    if record["modality"] == "text":
        return last_windows(record, raw)
    return table(record, raw)


def predictions(record: Mapping[str, Any], outputs: np.ndarray) -> np.ndarray:
    """The network's outputs as answers: names of classes, or values in the target's own units, shape ``(n,)``.

    Of a text it is the symbol after the last one of each window.
    """
    target = record["target"]
    if target["kind"] == "classification":
        logits = after_last(np.asarray(outputs))
        names: np.ndarray = np.asarray(target["classes"], dtype=object)[logits.argmax(axis=1)]
        return names
    values: np.ndarray = np.asarray(outputs, dtype=np.float64).reshape(len(outputs))
    return values * float(target["std"]) + float(target["mean"])


def read(record: Mapping[str, Any], path: str | Path) -> Any:
    """Raw input from a file or folder: an image, a folder of images (sorted by name), a CSV file, an ``.npy`` array or a text."""
    path = Path(path)
    if record["modality"] == "text":
        return read_text(path)
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if path.suffix.lower() == ".npy":
        array: np.ndarray = np.load(path, allow_pickle=False)
        return array
    if record["modality"] == "image":
        return [path]
    with path.open(newline="", encoding="utf-8-sig") as file:
        delimiter = separator(file.readline())
        file.seek(0)
        header, *rows = [row for row in csv.reader(file, delimiter=delimiter, skipinitialspace=True) if row]
    return {name or f"Unnamed: {i}": [row[i] for row in rows] for i, name in enumerate(header)}


def separator(header: str) -> str:
    """What separates the cells of a CSV file with this first line: the most frequent of comma, semicolon and tabulator."""
    return max(",;\t", key=header.count)


# Images


def normalise(record: Mapping[str, Any], images: np.ndarray) -> np.ndarray:
    """Pixels ``(n, C, H, W)`` scaled and standardised per channel, float32 of the same shape."""
    mean, std = np.asarray(record["mean"], dtype=np.float64), np.asarray(record["std"], dtype=np.float64)
    factor = (1.0 / (record["scale"] * std)).astype(np.float32)[:, None, None]
    offset = (mean / std).astype(np.float32)[:, None, None]
    x = np.empty(images.shape, dtype=np.float32)
    np.multiply(images, factor, out=x, dtype=np.float32, casting="unsafe")
    x -= offset
    return x


def pixels(record: Mapping[str, Any], raw: Any) -> np.ndarray:
    """Raw images as uint8 or float32 of shape ``(n, C, H, W)``, read and resized but not yet scaled."""
    height, width = record["size"]
    if is_file(raw):
        raw = [raw]
    if isinstance(raw, Sequence) and len(raw) > 0 and is_file(raw[0]):
        pictures = np.stack([read_image(file, record["channels"], height, width) for file in raw])
        return to_scale(record, pictures)
    images = to_nchw(np.asarray(raw), record["layout"], record["dtype"])
    if images.shape[1] != record["channels"]:
        raise ValueError(
            f"Got images of {images.shape[1]} channels; expected {record['channels']} in the layout {record['layout']}."
        )
    return resize(images, height, width)


def to_scale(record: Mapping[str, Any], pictures: np.ndarray) -> np.ndarray:
    """Pixels of pictures, 0 to 255, in the units of the training data: 0 to the recorded scale.

    Raises:
        ValueError: Where the training data were in other units, as their mean shows.
    """
    if record["scale"] == 255:
        return pictures
    if not all(0 <= mean <= 1 for mean in record["mean"]):
        means = ", ".join(f"{mean * record['scale']:.4g}" for mean in record["mean"])
        raise ValueError(
            "Got pictures, but the network was trained on arrays that are "
            f"not in 0 to {record['scale']:g}: their mean is {means}. "
            "Expected arrays in the same units; np.asarray(picture) gives the pixels, 0 to 255."
        )
    return pictures * np.float32(record["scale"] / 255)


def is_file(raw: Any) -> bool:
    """Whether this is one image file or PIL image, not an array."""
    return isinstance(raw, str | Path) or hasattr(raw, "getbands")


def to_nchw(images: np.ndarray, layout: str, dtype: str) -> np.ndarray:
    """A batch of raw images (or one image) as ``(n, C, H, W)``; whole numbers are stored in ``dtype``, others as float32."""
    if images.ndim == len(layout) - 1:
        images = images[None]
    if images.ndim != len(layout):
        raise ValueError(f"Got an array of shape {images.shape}; expected images in the layout {layout}.")
    if images.dtype != np.uint8 or dtype != "uint8":
        images = images.astype(dtype if images.dtype.kind in "biu" else np.float32)
    return images[:, None] if layout == "NHW" else images.transpose(0, 3, 1, 2) if layout == "NHWC" else images


def resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Images ``(n, C, H, W)`` at another size (bilinear, antialiased); the same array where they have it."""
    if images.shape[2:] == (height, width):
        return images
    from PIL import Image

    planes = [
        np.asarray(Image.fromarray(p).resize((width, height), Image.Resampling.BILINEAR))
        for image in images
        for p in image
    ]
    return np.stack(planes).reshape(*images.shape[:2], height, width)


def read_image(file: Any, channels: int, height: int, width: int) -> np.ndarray:
    """One image file (or PIL image) as uint8 ``(channels, height, width)``: turned upright, on white where transparent, resized."""
    from PIL import Image, ImageOps

    picture = file if hasattr(file, "getbands") else Image.open(file)
    try:
        picture.draft(None, (2 * max(height, width),) * 2)
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I"):
            upright = Image.fromarray((np.clip(np.asarray(upright, dtype=np.float64), 0, 65535) / 257).astype(np.uint8))
        if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in upright.info:
            upright = upright.convert("RGBA")
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright)
        plain = upright.convert("L" if channels == 1 else "RGB")
    finally:
        if picture is not file:
            picture.close()
    if plain.size != (width, height):
        plain = plain.resize((width, height), Image.Resampling.BILINEAR)
    array = np.asarray(plain, dtype=np.uint8)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


# Tables


def table(record: Mapping[str, Any], raw: Any) -> np.ndarray:
    """Rows of a table as float32 ``(n, features)``."""
    values_of = _columns(record, raw)
    features: list[np.ndarray] = []
    for column in record["columns"]:
        values = values_of(column)
        features += _numbers(column, values) if column["kind"] == "number" else _categories(column, values)
    return np.stack(features, axis=1)


def _columns(record: Mapping[str, Any], raw: Any) -> Callable[[Mapping[str, Any]], Any]:
    """How to get the values of a column from raw rows."""
    if isinstance(raw, Sequence) and len(raw) > 0 and isinstance(raw[0], Mapping):
        return lambda column: [row.get(column["name"]) for row in raw]
    if hasattr(raw, "keys"):
        keys = {str(key): key for key in raw.keys()}  # noqa: SIM118 - a DataFrame's keys are its columns
        absent = [column["name"] for column in record["columns"] if column["name"] not in keys]
        if absent:
            raise ValueError(f"Got the columns {', '.join(list(keys)[:20])}; expected also {', '.join(absent[:20])}.")
        return lambda column: raw[keys[column["name"]]]
    rows = np.asarray(raw)
    if rows.ndim != 2 or rows.shape[1] != record["width"]:
        raise ValueError(f"Got an array of shape {rows.shape}; expected rows of {record['width']} columns.")
    return lambda column: rows[:, column["index"]]


def _numbers(column: Mapping[str, Any], values: Any) -> list[np.ndarray]:
    found = numbers(values)
    missing = np.isnan(found)
    filled = np.where(missing, column["median"], found)
    with np.errstate(over="ignore"):
        if "std" in column:
            scaled = ((filled - column["mean"]) / column["std"]).astype(np.float32)
        else:
            scaled = clipped((filled - column["centre"]) / column["scale"]).astype(np.float32)
    return [scaled, missing.astype(np.float32)] if column["missing"] else [scaled]


def clipped(values: np.ndarray) -> np.ndarray:
    """Values bent smoothly towards limits of +-3 (RealMLP, Holzmüller et al. 2024, arXiv 2407.04491).

    >>> clipped(np.array([0.0, 1.0, -1e6])).round(3).tolist()
    [0.0, 0.949, -3.0]
    >>> clipped(np.array([1e308, -np.inf])).tolist()
    [3.0, -3.0]
    """
    values = np.clip(values, -1e150, 1e150)  # the products of larger ones are infinite
    bent: np.ndarray = CLIP * values / np.hypot(CLIP, values)
    return bent


def _categories(column: Mapping[str, Any], values: Any) -> list[np.ndarray]:
    names = column["categories"]
    positions = {name: i for i, name in enumerate(names)}
    other = len(names) if column["other"] else -1
    found = np.fromiter(
        (positions.get(text(value), other) for value in np.asarray(values, dtype=object)), dtype=np.int64
    )
    return [(found == i).astype(np.float32) for i in range(len(names) + bool(column["other"]))]


def text(value: Any) -> str:
    """A cell as the name of a category; the empty text where it is missing.

    >>> text(" red "), text(3.0), text(None)
    ('red', '3', '')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    plain = str(value).strip()
    return "" if plain in MISSING else plain


def numbers(values: Any) -> np.ndarray:
    """A column as float64; NaN where a cell is missing, infinite or no number. Dates become seconds since 1970, truths 1 and 0."""
    array = np.asarray(values)
    if array.dtype.kind in "mM":
        kind = "datetime64[us]" if array.dtype.kind == "M" else "timedelta64[us]"
        found = np.where(np.isnat(array), np.nan, array.astype(kind).astype(np.int64) / 1e6)
    else:
        try:
            found = array.astype(np.float64)
        except (TypeError, ValueError):
            found = np.array([number(value) for value in array], dtype=np.float64)
    return np.where(np.isfinite(found), found, np.nan)


def number(value: Any) -> float:
    """One cell as a number; NaN where it is missing or none.

    >>> number("1e3"), number("true"), number("1970-01-02"), number("red")
    (1000.0, 1.0, 86400.0, nan)
    """
    plain = str(value).strip()
    if plain in MISSING:
        return float("nan")
    if plain.lower() in _TRUTHS:
        return _TRUTHS[plain.lower()]
    try:
        return float(plain)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        return float("nan")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


# Texts


def read_text(path: Path) -> str:
    """A text in UTF-8, perhaps packed by gzip; all line breaks are ``\\n``."""
    content = path.read_bytes()
    if path.suffix.lower() == ".gz":
        content = gzip.decompress(content)
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def last_windows(record: Mapping[str, Any], raw: Any) -> np.ndarray:
    """The last symbols of each text as numbers, float32 ``(n, steps)``."""
    texts = [raw] if isinstance(raw, str) else list(raw)
    steps = record["steps"]
    windows = np.full((len(texts), steps), record["padding"], dtype=np.float32)
    for window, given in zip(windows, texts):
        if not isinstance(given, str):
            raise ValueError(f"Got a {type(given).__name__}; expected a text, or a list of texts.")
        last = numbered(record["symbols"], given[-steps:])
        window[steps - len(last) :] = last
    return windows


def numbered(symbols: Sequence[str], given: str) -> np.ndarray:
    """The number of each symbol of a text, int64 ``(n,)``; 0 for those not among the symbols.

    >>> numbered(["a", "b"], "abcba").tolist()
    [1, 2, 0, 2, 1]
    """
    known = np.array([ord(symbol) for symbol in symbols], dtype=np.int64)
    order = known.argsort()
    codes = code_points(given)
    place = order[np.minimum(np.searchsorted(known[order], codes), len(known) - 1)]
    return np.where(known[place] == codes, place + 1, 0)


def code_points(given: str) -> np.ndarray:
    """The Unicode code points of a text, int64 ``(n,)``."""
    return np.frombuffer(given.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)


def shown(name: str) -> str:
    """The name of a class for people: spaces, line breaks and marks, which could be missed, are in quotes.

    >>> shown("cat"), shown(" ")
    ('cat', "' '")
    """
    return name if name.isprintable() and any(map(str.isalnum, name)) else repr(name)


def after_last(outputs: np.ndarray) -> np.ndarray:
    """Of outputs for each step of a window ``(n, classes, steps)`` those of the last ``(n, classes)``; others as they are."""
    return outputs[:, :, -1] if outputs.ndim == 3 else outputs
