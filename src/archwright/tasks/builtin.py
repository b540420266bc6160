"""Data sets known by name."""

from __future__ import annotations

import dataclasses
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from archwright.errors import DataError
from archwright.tasks.arrays import from_arrays
from archwright.tasks.raw import Raw
from archwright.tasks.split import TEST, TRAIN, UNASSIGNED

_FASHION = "fashion-mnist"
_FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_FASHION_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", TRAIN),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", TEST),
}


def digits(image_size: int | None = None) -> Raw:
    """1,797 handwritten digits of 8 x 8 pixels (scikit-learn)."""
    from sklearn.datasets import load_digits

    data = load_digits()
    raw = from_arrays([(data.images.astype(np.uint8), data.target, UNASSIGNED)], "digits", image_size)
    raw.record["scale"] = 16.0
    raw.augment = ("crop",)
    return raw


def _table(name: str, loader: str) -> Raw:
    import pandas as pd
    from sklearn import datasets

    data = getattr(datasets, loader)()
    raw = from_arrays([(data.data, data.target, UNASSIGNED)], name, None)
    raw.x = pd.DataFrame(data.data, columns=[str(column) for column in data.feature_names])
    if hasattr(data, "target_names"):
        raw.classes = tuple(str(label) for label in data.target_names)
    return raw


def breast_cancer(image_size: int | None = None) -> Raw:
    """569 tumours, 30 measurements, 2 classes (scikit-learn)."""
    return _table("breast-cancer", "load_breast_cancer")


def wine(image_size: int | None = None) -> Raw:
    """178 wines, 13 measurements, 3 growers (scikit-learn)."""
    return _table("wine", "load_wine")


def diabetes(image_size: int | None = None) -> Raw:
    """442 patients, 10 measurements; how far the disease went in a year (scikit-learn)."""
    return dataclasses.replace(_table("diabetes", "load_diabetes"), kind="regression")


def fashion_mnist(image_size: int | None = None) -> Raw:
    """70,000 pictures of clothes of 28 x 28 pixels, 10 classes (idx files).

    Raises:
        DataError: Where the files are in none of the usual places, or damaged.
    """
    folder = _fashion_folder()
    pieces = [
        (read_idx(_idx(folder, images)), read_idx(_idx(folder, labels)), code)
        for images, labels, code in _FASHION_FILES.values()
    ]
    raw = from_arrays(pieces, _FASHION, image_size)
    raw.classes, raw.augment = _FASHION_CLASSES, ("crop", "flip")
    return raw


def _fashion_folder() -> Path:
    data = os.environ.get("ARCHWRIGHT_DATA")
    places = [Path(data), Path(data) / _FASHION] if data else []
    places += [Path("/usr/share/datasets") / _FASHION, Path.home() / ".cache" / "archwright" / _FASHION]
    names = [name for images, labels, _ in _FASHION_FILES.values() for name in (images, labels)]
    for place in places:
        if all(_idx(place, name).exists() for name in names):
            return place
    raise DataError(
        f"Fashion-MNIST is in none of {', '.join(map(str, places))}. On Debian and Ubuntu: apt-get install dataset-fashion-mnist. "
        f"Elsewhere put {', '.join(f'{name}.gz' for name in names)} into {places[-1]}, or into a folder that ARCHWRIGHT_DATA names."
    )


def _idx(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.exists() else folder / name


def read_idx(path: Path) -> np.ndarray:
    """An array from an idx file of unsigned bytes, packed by gzip or not (http://yann.lecun.com/exdb/mnist).

    Raises:
        DataError: Where the file is damaged or of another type.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Could not read {path}: {error}. Fetch it again.") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"Got {path}, which is no idx file of bytes. Fetch it again.")
    start = 4 + 4 * content[3]
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    values = np.frombuffer(content, dtype=np.uint8, offset=min(start, len(content)))
    if values.size != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"Got {values.size:,} bytes of data in {path}; expected {' x '.join(map(str, shape))}. It is cut off or damaged: fetch it again."
        )
    return values.reshape(shape)


BUILT_IN: dict[str, Callable[[int | None], Raw]] = {
    "digits": digits,
    "breast-cancer": breast_cancer,
    "wine": wine,
    "diabetes": diabetes,
    _FASHION: fashion_mnist,
}


def list_tasks() -> dict[str, str]:
    """Names of the built-in data sets, each with a description."""
    return {name: (loader.__doc__ or "").split("\n")[0].rstrip(".") for name, loader in BUILT_IN.items()}
