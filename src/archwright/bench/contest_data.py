"""The rows of the suite ``value``, written once in the forms that its methods read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from archwright.bench.cases import Files, Prepare
from archwright.bench.places import find

if TYPE_CHECKING:
    import pandas as pd

PHOTOS: Final = "photos50_32x32.npz"
SHARE: Final = 0.2
"""Share of test rows, drawn with ``random_state=0``, of data without an official split."""
_HOW: Final = "They are public data sets, in the forms that docs/benchmarks.md describes."


def photos(data: str | None, folder: Path) -> Files:
    """50 classes of photos of 32 x 32 pixels, the official split.

    Raises:
        DataError: If the file is missing.
    """
    return Files(str(find((PHOTOS,), data, _HOW)))


def fashion_mnist(data: str | None, folder: Path) -> Files:
    """Fashion-MNIST, the official split.

    Raises:
        DataError: If the files are missing.
    """
    from archwright.tasks.builtin import fashion_mnist as read
    from archwright.tasks.split import TEST

    raw = read()
    test = raw.part == TEST
    x, path = raw.x[:, 0], folder / "fashion-mnist.npz"
    _write_images(path, (x[~test], raw.y[~test]), (x[test], raw.y[test]))
    return Files(str(path), source="fashion-mnist")


def digits(data: str | None, folder: Path) -> Files:
    """scikit-learn's digits, split 80/20."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    images = np.round(found.images * 255 / 16).astype(np.uint8)
    x, x_test, y, y_test = train_test_split(images, found.target, test_size=SHARE, random_state=0)
    path = folder / "digits.npz"
    _write_images(path, (x, y), (x_test, y_test))
    return Files(str(path))


def table(
    name: str,
    target: str,
    kind: str = "classification",
    *,
    separator: str = ",",
    without: Sequence[str] = (),
    repeated: bool = True,
) -> Prepare:
    """Make the reader of a table, which is split 80/20.

    Args:
        name: The file is ``table_NAME.csv.gz`` in the folder of the data.
        target: Column to predict.
        kind: ``classification`` or ``regression``.
        separator: Stands between the columns.
        without: Columns that are left out.
        repeated: Whether repeated rows are kept.
    """

    def prepare(data: str | None, folder: Path) -> Files:
        import pandas as pd
        from sklearn.model_selection import train_test_split

        path = find((f"table_{name}.csv.gz",), data, _HOW)
        frame = pd.read_csv(path, sep=separator, na_values=["?"], skipinitialspace=True)
        frame = frame.drop(columns=list(without))
        frame = frame if repeated else frame.drop_duplicates()
        parts = dict(zip(("train", "test"), train_test_split(frame, test_size=SHARE, random_state=0)))
        places = {part: folder / f"{name}-{part}.csv" for part in parts}
        for part, rows in parts.items():
            _write_table(places[part], rows)
        return Files(str(places["train"]), str(places["test"]), target, kind)

    return prepare


def _write_table(path: Path, rows: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path.with_suffix(".part"), index=False)
    os.replace(path.with_suffix(".part"), path)


def _write_images(path: Path, train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".part").open("wb") as file:
        np.savez(file, x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])
    os.replace(path.with_suffix(".part"), path)
