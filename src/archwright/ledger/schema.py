"""The tables, their version, and how older stores are brought up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import sqlalchemy as sa

from archwright import __version__
from archwright.errors import LedgerError

metadata = sa.MetaData()

versions = sa.Table(
    "schema_version",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("archwright", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("header", sa.Text, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.id"), nullable=False, index=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_started", sa.Double, nullable=False),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("archwright", sa.Text, nullable=False),
    sa.Column("started", sa.Double, nullable=False),
    sa.Column("beat", sa.Double, nullable=False),
    sa.Column("ended", sa.Double),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("run", sa.ForeignKey("runs.id"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("trial", sa.Integer),
    sa.Column("kind", sa.Text, nullable=False),
    # "started", "measured 0", "measured 1", ..., "done": each at most once for a trial. Null for events about the run.
    sa.Column("slot", sa.Text),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("session", sa.ForeignKey("sessions.id"), nullable=False),
    sa.Column("checksum", sa.Text, nullable=False),
    sa.UniqueConstraint("run", "trial", "slot"),
    sa.Index("events_by_kind", "run", "kind"),
)

VERSION = 1
"""The version of the tables above."""

Migration = Callable[[sa.Connection], None]

MIGRATIONS: Mapping[int, Migration] = {}
"""From a version of the tables to the step that turns it into the next one."""


def prepare(
    connection: sa.Connection, version: int = VERSION, migrations: Mapping[int, Migration] = MIGRATIONS
) -> bool:
    """Makes the tables of an empty store, or brings those of an older one up to date, inside the caller's transaction.

    Returns:
        Whether the store is new.

    Raises:
        LedgerError: Where the store was made by a newer version, or is a database of something else.
    """
    tables = set(sa.inspect(connection).get_table_names())
    if versions.name not in tables:
        if tables:
            raise LedgerError(
                f"The database is of another program: it has the tables {', '.join(sorted(tables)[:5])}. Give archwright a file or database of its own."
            )
        metadata.create_all(connection)
        _record(connection, version)
        return True
    found = connection.scalar(sa.select(sa.func.max(versions.c.version)))
    if found is None:
        raise LedgerError(
            "The store does not say its version; it was not written to its end. Delete it, or restore a backup."
        )
    for step in range(found, version):
        migrations[step](connection)
        _record(connection, step + 1)
    return False


def refuse_newer(connection: sa.Connection, version: int = VERSION) -> int | None:
    """Returns the version of the store's tables; ``None`` where it has none.

    Raises:
        LedgerError: Where it is newer than ``version``.
    """
    if not sa.inspect(connection).has_table(versions.name):
        return None
    newest = connection.execute(
        sa.select(versions.c.version, versions.c.archwright).order_by(versions.c.version.desc()).limit(1)
    ).first()
    if newest is not None and newest.version > version:
        raise LedgerError(
            f"The store has version {newest.version}, written by archwright {newest.archwright}; this is archwright {__version__}, which knows versions up to {version}. "
            "Upgrade with: pip install --upgrade archwright"
        )
    return None if newest is None else int(newest.version)


def _record(connection: sa.Connection, version: int) -> None:
    connection.execute(versions.insert(), {"version": version, "archwright": __version__, "at": time.time()})
