"""The database below the ledger: connections, transactions, and what its errors mean to people."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from archwright.errors import LedgerError
from archwright.ledger import schema
from archwright.ledger.spare import Spare

BUSY_SECONDS = 30.0
"""How long a write waits for another process to finish its own."""

_CAUSES = (
    (
        ("malformed", "not a database", "file is encrypted"),
        "the file is damaged",
        "Rebuild it with `archwright salvage --to NEW`, or restore a backup.",
    ),
    (
        ("readonly", "read-only", "permission denied"),
        "it is read-only",
        "Make the file and its folder writable, or name a store elsewhere.",
    ),
    (
        ("database or disk is full", "no space left", "disk quota"),
        "the disk is full",
        "Free some space, then resume: what was recorded so far is safe.",
    ),
    (
        ("disk i/o error",),
        "the disk failed or is full",
        "Check the disk and its free space, then resume: what was recorded so far is safe.",
    ),
    (
        ("database is locked", "table is locked", "lock timeout"),
        f"another process has held it for {BUSY_SECONDS:.0f} s",
        "Wait for that process or end it, then resume.",
    ),
    (
        ("unable to open database file",),
        "it cannot be opened",
        "Check that the path is a file, and that it and its folder exist and are readable and writable.",
    ),
)


class Store:
    """A database of runs.

    SQLite stores use write-ahead logging. A transaction that was committed survives the kill of the process; with ``synchronous=FULL``,
    the default, also a power cut. Under ``NORMAL`` a power cut takes the transactions after the last full one, never the store's integrity.
    The file must lie on a local disk (write-ahead logging needs shared memory between the processes that use it).
    """

    def __init__(self, path_or_url: str | os.PathLike[str]) -> None:
        text = os.fspath(path_or_url)
        try:
            url = sa.make_url(text) if "://" in text else sa.URL.create("sqlite", database=str(Path(text).absolute()))
            self.engine = sa.create_engine(
                url, **({"connect_args": {"timeout": BUSY_SECONDS}} if url.get_backend_name() == "sqlite" else {})
            )
        except (sa.exc.ArgumentError, ImportError) as error:
            raise LedgerError(
                f"Got the store {text!r}, which cannot be used: {error}. Expected a path, or a URL such as postgresql+psycopg://user@host/database."
            ) from error
        self.sqlite = url.get_backend_name() == "sqlite"
        self.path = Path(url.database) if self.sqlite and url.database and "://" not in text else None
        self.spare = Spare(self.path) if self.path else None
        self.name = str(self.path) if self.path else url.render_as_string(hide_password=True)
        if self.sqlite:
            sa.event.listen(self.engine, "connect", _configure)
            sa.event.listen(self.engine, "begin", _begin)

    def open(self, *, create: bool) -> None:
        """Makes or migrates the tables as needed.

        Raises:
            LedgerError: Where the store is missing and ``create`` is false, or cannot be used.
        """
        if self.path:
            try:
                if not self.path.exists():
                    if not create:
                        raise LedgerError(
                            f"There is no store at {self.path}. Check the path; a search makes its store when it starts."
                        )
                    self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise LedgerError(
                    f"The store {self.path} cannot be made: {error.strerror}. Name a store in a folder that is writable."
                ) from error
        with self.read() as connection:
            found = schema.refuse_newer(connection)
        if found != schema.VERSION:
            with self.write() as connection:
                if schema.prepare(connection) and self.spare:
                    self.spare.retire()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection in a read transaction: everything read in it is of one moment."""
        with self.explained(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection in a write transaction: all of it happens, or nothing."""
        with self.explained(), self.writer() as connection, connection.begin():
            yield connection

    def writer(self) -> sa.Connection:
        """A connection whose transactions take the write lock of SQLite at their start."""
        return self.engine.connect().execution_options(archwright_write=True)

    def sync(self, connection: sa.Connection, *, full: bool) -> None:
        """Says whether the next commit of a connection that is in no transaction waits for the disk. Other databases than SQLite always do."""
        if self.sqlite:
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
            cursor.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns the database's errors into ``LedgerError`` with the cause and what to do."""
        try:
            yield
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            raise explain(error, self.name) from error

    def copy(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds committed rows to the spare copy, where the store has one."""
        if self.spare:
            self.spare.write(table, rows)

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()
        if self.spare:
            self.spare.close()


def explain(error: Exception, name: str) -> LedgerError:
    """The ``LedgerError`` that says what a database error means and what to do about it."""
    original = getattr(error, "orig", None) or error
    if isinstance(error, sa.exc.IntegrityError):
        return LedgerError(
            f"The store {name} already has this record ({original}). Another process writes to the same run: end it, then resume."
        )
    text = str(original).lower()
    if "unable to open database file" in text and Path(name).exists() and not os.access(Path(name).parent, os.W_OK):
        text = "read-only"  # beside an SQLite file its write-ahead log has to be made, even to read
    for signs, cause, advice in _CAUSES:
        if any(sign in text for sign in signs):
            return LedgerError(f"The store {name} cannot be used: {cause} ({original}). {advice}")
    return LedgerError(f"The store {name} cannot be used: {original}")


def _configure(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver
    _log_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _log_ahead(connection: Any) -> None:
    """Turns on the write-ahead log; SQLite itself does not wait for a process that is doing the same to a new file."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("archwright_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
