"""Readers of the benchmarks' own files: NATS-Bench (topology), NAS-Bench-201 and HW-NAS-Bench.

The files are pickles, which can run code when they are read. These readers refuse everything but plain values, arrays and tensors.
"""

from __future__ import annotations

import bz2
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from archwright.errors import DataError

SETS: Final = {"cifar10": "c10", "cifar100": "c100", "imagenet16-120": "in16"}
"""Data sets of NAS-Bench-201 and how columns abbreviate them."""
FILES: Final = (
    "NATS-tss-v1_0-3ffb9-simple",
    "NATS-tss-v1_0-3ffb9.pickle.pbz2",
    "NAS-Bench-201-v1_1-096897.pth",
    "NAS-Bench-201-v1_0-e61699.pth",
)
_RESULTS: Final = {
    "c10_valid_12ep": ("12", "cifar10-valid", "x-valid"),
    "c10_valid_200ep": ("200", "cifar10-valid", "x-valid"),
    "c10_test_200ep": ("200", "cifar10", "ori-test"),
    "c100_valid_200ep": ("200", "cifar100", "x-valid"),
    "c100_test_200ep": ("200", "cifar100", "x-test"),
    "in16_valid_200ep": ("200", "ImageNet16-120", "x-valid"),
    "in16_test_200ep": ("200", "ImageNet16-120", "x-test"),
}
"""Column: epochs of the training, data set, and the part of it that is measured, in the files' words."""
_HARMLESS: Final = {
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _Plain(pickle.Unpickler):
    """Reads values, arrays and containers, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        """The class of a harmless name.

        Raises:
            pickle.UnpicklingError: For any other name.
        """
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only plain values and arrays are read")
        return super().find_class(module, name)


def read(place: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Cells and results of NAS-Bench-201 from an official file, or a folder with a file for each cell.

    Accuracies are means over the trainings of a cell; ``*_single_seed_200ep`` are the validation accuracies of the first one.
    ``train_seconds_12ep`` are the seconds of 12 epochs and of one validation after them, as the published protocol pays.

    Returns:
        The cells in the benchmark's notation, and columns ``(cells,)``: shares of 1, and seconds. NaN where there is no result.

    Raises:
        DataError: Where the file cannot be read or is of another form.
    """
    try:
        cells, trainings = _cells(place)
        rows = [_row(one) for one in trainings]
    except (OSError, EOFError, pickle.UnpicklingError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"Could not read {place} as a file of NATS-Bench or NAS-Bench-201: {type(error).__name__}: {error}. Fetch it again."
        ) from error
    return cells, {name: np.array([row[name] for row in rows]) for name in rows[0]}


def devices(file: Path) -> dict[str, np.ndarray]:
    """Latencies (ms) and energies (mJ) of the cells of NAS-Bench-201, from the pickle of HW-NAS-Bench; NaN where a device does not support one.

    Raises:
        DataError: Where the file cannot be read or is of another form.
    """
    try:
        with file.open("rb") as stream:
            stored = _Plain(stream).load()["nasbench201"]
        found = {}
        for name, short in zip(("cifar10", "cifar100", "ImageNet16-120"), SETS.values(), strict=True):
            for measure, values in stored[name].items():
                if measure != "config":
                    column = np.asarray(values, dtype=float)
                    found[f"{short}_{measure}"] = np.where(column > 0, column, np.nan)
    except (OSError, EOFError, pickle.UnpicklingError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"Could not read {file} as the file of HW-NAS-Bench: {error}. Fetch it again.") from error
    return found


def _cells(place: Path) -> tuple[list[str], Iterable[dict[str, Any]]]:
    """The cells, and for each what is stored of its trainings by their epochs."""
    if place.is_dir():
        cells = _unpacked(place / "meta.pickle.pbz2")["meta_archs"]
        return list(cells), (_unpacked(_numbered(place, index)) for index in range(len(cells)))
    stored = _tensors(place) if place.suffix == ".pth" else _unpacked(place)
    cells, known = list(stored["meta_archs"]), stored["arch2infos"]
    return cells, (known[index] for index in range(len(cells)))


def _numbered(folder: Path, index: int) -> Path:
    padded = folder / f"{index:06d}.pickle.pbz2"
    return padded if padded.exists() else folder / f"{index}.pickle.pbz2"


def _unpacked(file: Path) -> Any:
    with bz2.open(file, "rb") as stream:
        return _Plain(stream).load()


def _tensors(file: Path) -> Any:
    import torch

    return torch.load(file, map_location="cpu", weights_only=True)


def _row(stored: dict[str, Any]) -> dict[str, float]:
    """The columns of one cell. NAS-Bench-201 calls the trainings of 12 and 200 epochs ``less`` and ``full``."""
    by_epochs = {"12": stored["12" if "12" in stored else "less"], "200": stored["200" if "200" in stored else "full"]}
    row = {}
    for name, (epochs, data_set, part) in _RESULTS.items():
        found = [_accuracy(trial, part) for trial in _trials(by_epochs[epochs], data_set)]
        row[name] = float(np.mean(found)) / 100 if found else np.nan
        if "valid_200ep" in name:
            row[name.replace("valid", "single_seed")] = found[0] / 100 if found else np.nan
    seconds = [_seconds(trial, "x-valid") for trial in _trials(by_epochs["12"], "cifar10-valid")]
    row["train_seconds_12ep"] = float(np.mean(seconds)) if seconds else np.nan
    return row


def _trials(stored: dict[str, Any], data_set: str) -> Iterator[dict[str, Any]]:
    for seed in stored["dataset_seed"].get(data_set, ()):
        yield stored["all_results"][data_set, seed]


def _accuracy(trial: dict[str, Any], part: str) -> float:
    """Percent after the last epoch."""
    return float(trial["eval_acc1es"][f"{part}@{trial['epochs'] - 1}"])


def _seconds(trial: dict[str, Any], part: str) -> float:
    """Of the training, and of one validation."""
    epochs = range(trial["epochs"])
    return float(
        sum(trial["train_times"][epoch] for epoch in epochs)
        + np.mean([trial["eval_times"][f"{part}@{epoch}"] for epoch in epochs])
    )
