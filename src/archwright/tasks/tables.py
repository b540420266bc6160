"""Data in tables: CSV and Parquet files, and DataFrames."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.errors import DataError, MissingExtraError, closest
from archwright.tasks.preprocess import MISSING, separator
from archwright.tasks.raw import Raw, one_target, unassigned

if TYPE_CHECKING:
    import pandas as pd


def table_file(path: Path, target: str | None) -> Raw:
    """A CSV (also ``.tsv``, ``.csv.gz``) or Parquet file; the first line of a CSV file holds the names of the columns.

    Raises:
        DataError: Where it is unreadable or the target is not among its columns.
    """
    import pandas as pd

    is_parquet = path.suffix.lower() in (".parquet", ".pq")
    try:
        frame = pd.read_parquet(path) if is_parquet else _read_csv(path)
    except ImportError as error:
        raise MissingExtraError("Reading Parquet files", "data") from error
    except UnicodeError as error:
        raise DataError(f"Could not read {path}: {error}. Save it in UTF-8.") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"Could not read {path}: {error}") from error
    if not is_parquet and not frame.index.equals(pd.RangeIndex(len(frame))):
        raise DataError(
            f"Got rows with more cells than the first line of {path} has names; expected a name for each column."
        )
    return frame_with_target(frame, target, path.name.split(".")[0], str(path))


def _read_csv(path: Path) -> pd.DataFrame:
    """Numbers are read to the last bit, which pandas does by default since 3.1."""
    import pandas as pd

    exact: dict[str, Any] = (
        {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
    )
    frame: pd.DataFrame = pd.read_csv(
        path,
        sep=separator(_first_line(path)),
        keep_default_na=False,
        na_values=sorted(MISSING),
        skipinitialspace=True,
        low_memory=False,
        encoding="utf-8-sig",
        **exact,
    )
    return frame


def _first_line(path: Path) -> str:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        return str(file.readline())


def frame_with_target(frame: pd.DataFrame, target: str | None, name: str = "table", where: str = "the table") -> Raw:
    """A DataFrame of which one column is the target.

    Raises:
        DataError: Where the target is not given or not among the columns.
    """
    names = [str(column) for column in frame.columns]
    if target is None or target not in names:
        shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
        if target is not None:
            hint = closest(target, names) if len(names) <= 20 else closest(target, names).split(" Known")[0]
            raise DataError(f"Got the target {target!r}, which is no column of {where}. {hint}")
        last = f" Is it the last one? Then: target={names[-1]!r} (--target {names[-1]})." if names else ""
        raise DataError(
            f"Got no target for {where}; expected the name of the column to predict, one of: {shown}.{last}"
        )
    position = names.index(target)
    features = frame.drop(columns=[frame.columns[position]])
    raw = frame_and_target(features, frame.iloc[:, position], name)
    raw.trusted, raw.target = False, target
    return raw


def frame_and_target(frame: pd.DataFrame, y: Any, name: str) -> Raw:
    """A DataFrame of features and its targets.

    Raises:
        DataError: Where names of columns repeat, or rows and targets differ in number.
    """
    names = [str(column) for column in frame.columns]
    repeated = sorted({column for column in names if names.count(column) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise DataError(
            f"Got several columns of the same name: {', '.join(repeated[:5])}; expected a name of its own for each."
        )
    if not names:
        raise DataError(f"Got no columns besides the target in {name!r}; expected at least one.")
    y = one_target(y.detach().cpu() if hasattr(y, "detach") else y)
    if len(frame) != len(y):
        raise DataError(f"Got {len(frame):,} rows and {len(y):,} targets; expected as many of one as of the other.")
    if y.dtype.kind in "mM":
        raise DataError(
            "Got dates as targets; expected classes or numbers. Turn them into a number, for example of days."
        )
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    return Raw(
        name, "tabular", frame, np.asarray(y), unassigned(len(y)), {"version": 1, "modality": "tabular"}, trusted=True
    )
