"""A spare copy of a store: every row once more, as a line of JSON in a file beside it, from which a damaged store is rebuilt.

A damaged page of a database takes some twenty events with it, among them ends of trials that took hours. The copy costs a few
microseconds an event: it is written after the database's commit, and the disk is not waited for.
"""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

Rows = dict[str, dict[tuple[int, int], dict[str, Any]]]
"""Table name to rows by (id, 0), or of events by (run, seq)."""


class Spare:
    """The file with the copy. A line that is torn is passed over when reading; a disk that is full is a warning, once."""

    def __init__(self, store: Path) -> None:
        self.path = store.with_name(store.name + ".copy")
        self._file: int | None = None
        self._failed = False

    def write(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Appends rows that the database has committed."""
        lines = b"".join(msgspec.json.encode([table, dict(row)]) + b"\n" for row in rows)
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            if os.write(self._file, lines) < len(lines):
                os.write(self._file, b"\n")
        except OSError as error:
            if not self._failed:
                warnings.warn(
                    f"The spare copy {self.path} cannot be written ({error.strerror}). The store itself is intact.",
                    stacklevel=4,
                )
            self._failed = True

    def read(self) -> Rows:
        """All whole rows of the copy; of several of one key the last."""
        found: Rows = defaultdict(dict)
        content = self.path.read_bytes() if self.path.exists() else b""
        for line in content.split(b"\n"):
            try:
                table, row = msgspec.json.decode(line, type=tuple[str, dict[str, Any]])
            except msgspec.DecodeError:
                continue
            found[table][key(table, row)] = row
        return found

    def retire(self) -> None:
        """Puts the copy of an earlier store of the same name aside."""
        if self.path.exists():
            self.path.replace(self.path.with_name(self.path.name + ".old"))

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def key(table: str, row: Mapping[str, Any]) -> tuple[int, int]:
    """What a row is known by."""
    return (row["run"], row["seq"]) if table == "events" else (row["id"], 0)
