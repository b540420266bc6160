"""Any table of choices and results, from CSV, Parquet or npz, or from memory."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from archwright.bench.networks import networks
from archwright.bench.table import Choices, Row, Table, TableSpace
from archwright.errors import ArchitectureError, DataError
from archwright.problem import Architecture, Cost, Signature
from archwright.space import Space, chain, choice, op

PLAIN = Signature(((1,),), (1,))
COSTS = ("params", "flops", "activation_bytes")


def choice_space(name: str, choices: Mapping[str, Sequence[Any]]) -> Space:
    """A space of independent choices, for tables whose networks cannot be built.

    Args:
        name: For people.
        choices: Address to the options' labels.

    >>> choice_space("tiny", {"kernel": [3, 5], "width": [8, 16, 32]}).size
    6
    """
    steps = [
        choice(*(op("identity", name=label) for label in _labels(options)), name=address)
        for address, options in choices.items()
    ]
    return Space(chain(*steps), name)


def _labels(options: Sequence[Any]) -> list[str]:
    """The options as names of operations; numbered where two would be called the same."""
    labels = [_slug(option) or "empty" for option in options]
    return labels if len(set(labels)) == len(labels) else [f"{label}-{number}" for number, label in enumerate(labels)]


def _slug(label: Any) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", str(label))


def read_table(
    path: str | os.PathLike[str],
    *,
    choices: Sequence[str] | Mapping[str, Sequence[Any]] = (),
    space: Space | None = None,
    percent: Sequence[str] = (),
    fingerprint: str | None = None,
    signature: Signature | None = None,
) -> Table:
    """A table from a file with one row for each architecture.

    Args:
        path: ``.csv``, ``.parquet``, or ``.npz`` with one array for each column (of one of two dimensions, ``ops`` (rows, 6), the columns are ``ops0`` to ``ops5``).
        choices: The columns that are choices, in order: their names, or each with its options in order; else the options are the values that occur, sorted.
        space: The space of the architectures, where archwright can build them: columns are then its addresses, values the options' labels, nothing
            where a choice is not active.
        percent: Columns of percentages, which become shares of 1.
        fingerprint: Column that is equal where networks are; default: the networks' own where ``space`` is given, else all are different.
        signature: Input shapes and output sizes, to build networks with; default: fingerprints and costs are taken from the table alone.

    Raises:
        DataError: Where the file cannot be read, a column is missing, a value is unknown, or an architecture is there twice.
    """
    columns = _columns(Path(path))
    name = Path(path).stem
    if (space is None) == (not choices):
        raise DataError(
            f"Got the table {name!r} with {'both' if choices else 'neither'}; expected either choices or a space."
        )
    if space is None:
        options = {one: values for one, values in _options(columns, choices, name).items() if len(values) > 1}
        space = choice_space(_slug(name), options)
        listed = _independent(options, columns, name)
    else:
        listed = _active(space, columns)
    known = {pick.address for pick in space.choices()}
    results = {
        one: values.astype(float) for one, values in columns.items() if one not in known and values.dtype.kind in "biuf"
    }
    for one in percent:
        if one not in results:
            raise DataError(
                f"The table {name!r} has no column {one!r} of numbers; it has {', '.join(sorted(results))}."
            )
        results[one] = results[one] / 100
    rows = networks(space, listed, signature) if signature is not None else _rows(listed, columns, fingerprint)
    return Table(TableSpace(space.expression, space.name, listed, rows), results, Path(path).name, signature or PLAIN)


def _columns(path: Path) -> dict[str, np.ndarray]:
    import pandas as pd

    try:
        if path.suffix == ".npz":
            with np.load(path) as stored:
                arrays = {name: stored[name] for name in stored.files}
        elif path.suffix in (".csv", ".parquet"):
            frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
            arrays = {str(name): frame[name].to_numpy() for name in frame.columns}
        else:
            raise DataError(f"Got the table {path}; expected a file that ends in .csv, .parquet or .npz.")
    except (OSError, ValueError, ImportError, zipfile.BadZipFile) as error:
        raise DataError(f"Could not read the table {path}: {error}.") from error
    flat: dict[str, np.ndarray] = {}
    for name, values in arrays.items():
        if values.ndim == 2:
            flat |= {f"{name}{place}": column for place, column in enumerate(values.T)}
        elif values.ndim == 1:
            flat[name] = values
    if len({len(column) for column in flat.values()}) != 1:
        raise DataError(
            f"The columns of the table {path} have different lengths: {', '.join(f'{name} {len(column)}' for name, column in flat.items())}."
        )
    return flat


def _options(columns: dict[str, np.ndarray], choices: Any, name: str) -> dict[str, list[Any]]:
    found = {}
    for column in choices:
        if column not in columns:
            raise DataError(f"The table {name!r} has no column {column!r}; it has {', '.join(sorted(columns))}.")
        found[column] = list(choices[column]) if isinstance(choices, Mapping) else sorted(set(columns[column].tolist()))
    return found


def _independent(options: dict[str, list[Any]], columns: dict[str, np.ndarray], name: str) -> list[Choices]:
    """Rows of a space of independent choices."""
    taken = []
    for address, labels in options.items():
        known = {str(label): option for option, label in enumerate(labels)}
        values = [str(value) for value in columns[address].tolist()]
        if unknown := set(values) - set(known):
            raise DataError(
                f"The table {name!r} has {min(unknown)!r} in {address!r}; expected one of {', '.join(known)}."
            )
        taken.append([(address, known[value]) for value in values])
    return list(zip(*taken, strict=True))


def _active(space: Space, columns: dict[str, np.ndarray]) -> list[Choices]:
    """Rows of any space: what its choices are called is what the columns are."""
    picks = [pick for pick in space.choices() if pick.address in columns]
    values = [columns[pick.address].tolist() for pick in picks]
    listed = []
    for number, row in enumerate(zip(*values)):
        given = {pick.address: _label(value) for pick, value in zip(picks, row) if not _absent(value)}
        try:
            listed.append(space.architecture(given).choices)
        except ArchitectureError as error:
            raise DataError(f"Row {number} of the table is no architecture of its space: {error}") from error
    return listed


def _label(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _absent(value: Any) -> bool:
    return value is None or value != value or value == ""


def _rows(listed: list[Choices], columns: dict[str, np.ndarray], fingerprint: str | None) -> list[Row]:
    """Fingerprints and costs as far as the table tells."""
    if fingerprint is not None and fingerprint not in columns:
        raise DataError(f"The table has no column {fingerprint!r}; it has {', '.join(sorted(columns))}.")
    prints = (
        [str(value) for value in columns[fingerprint].tolist()]
        if fingerprint is not None
        else [Architecture(choices).id for choices in listed]
    )
    costs = [columns[name].astype(int).tolist() if name in columns else [0] * len(listed) for name in COSTS]
    return [Row(one, Cost(*cost)) for one, *cost in zip(prints, *costs, strict=True)]
