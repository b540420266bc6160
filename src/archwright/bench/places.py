"""Where tables lie, and where what was computed from them is kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from archwright.errors import DataError

FOLDER = "ARCHWRIGHT_TABLES"
"""Environment variable that names the folder of the tables."""


def find(names: Sequence[str], data: str | os.PathLike[str] | None, how: str) -> Path:
    """The file or folder of a table.

    Args:
        names: The names it may have, the best first.
        data: The file itself, or a folder that has it; default: the folder that ``ARCHWRIGHT_TABLES`` names.
        how: How to get the table, in a sentence.

    Raises:
        DataError: Where there is none; says how to get it.
    """
    given = data if data is not None else os.environ.get(FOLDER)
    place = Path(given).expanduser() if given is not None else None
    if place is not None:
        if place.exists() and (place.is_file() or place.name in names):
            return place
        for name in names:
            if (place / name).exists():
                return place / name
    looked = f"{place} has none of them" if place is not None else f"{FOLDER} is not set"
    raise DataError(
        f"Expected one of the files {', '.join(names)}, but {looked}. {how} Name its folder with --data FOLDER or {FOLDER}=FOLDER."
    )


def cache_folder() -> Path:
    """Where what was computed from tables is kept: ``$XDG_CACHE_HOME/archwright`` or ``~/.cache/archwright``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "archwright"
