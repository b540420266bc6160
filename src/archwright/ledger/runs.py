"""Stores of runs, and reading a run."""

from __future__ import annotations

import hashlib
import os
import re
import time
import warnings
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgspec
import sqlalchemy as sa

from archwright.errors import LedgerError, closest
from archwright.ledger import schema
from archwright.ledger.events import DONE_KINDS, Ended, Event, checksum, decode
from archwright.ledger.session import Session, seconds_spent
from archwright.ledger.store import Store, explain


class RunSummary(msgspec.Struct, frozen=True):
    """One line about a run.

    Attributes:
        name: Its name.
        created: When, in seconds since 1970.
        header: The settings of the search.
        events: Number of events.
        trials: Number of trials by status: ``running`` (or interrupted), ``finished``, ``failed``, ``stopped``, ``duplicate``.
        ended: Why it ended; ``None`` while it is running or where it was interrupted.
        seconds: Time spent over all its sessions.
    """

    name: str
    created: float
    header: dict[str, Any]
    events: int
    trials: dict[str, int]
    ended: str | None
    seconds: float


@dataclass(frozen=True)
class Run:
    """One search's record: a header that never changes and a growing list of events.

    Attributes:
        id: Number in the store.
        name: Name for people, unique in the store.
        created: When, in seconds since 1970.
        header: Everything needed to set the search up again, JSON values only.
    """

    store: Store
    id: int
    name: str
    created: float
    header: dict[str, Any]

    @property
    def spent(self) -> float:
        """Seconds spent over all sessions, each until its last sign of life."""
        with self.store.read() as connection:
            return seconds_spent(connection, self.id)

    def session(self, command: str = "") -> Session:
        """Opens the run for writing.

        Args:
            command: What the user typed, for the record.

        Raises:
            LedgerError: Where another live process writes to the run.
        """
        return Session(self.store, self.id, self.name, head(self.header), command)

    def events(self, after: int = 0, *, strict: bool = True) -> list[Event]:
        """The events with a number above ``after``, oldest first, each checked against its checksum.

        Args:
            after: Number of the last event that is not wanted.
            strict: Whether damage is an error; else a warning, and the events before the damage are returned.

        Raises:
            LedgerError: Where an event is damaged or missing, naming it.
        """
        found, damage = self.read(after)
        if damage is not None:
            if strict:
                raise damage
            warnings.warn(f"{damage} Going on with the {len(found)} events before it.", stacklevel=2)
        return found

    def read(self, after: int = 0) -> tuple[list[Event], LedgerError | None]:
        """The intact events above ``after`` up to the first damage, and that damage if there is any."""
        previous, expected = head(self.header), max(after, 1)
        found: list[Event] = []
        table = schema.events
        query = sa.select(table).where(table.c.run == self.id, table.c.seq >= after).order_by(table.c.seq)
        try:
            with self.store.engine.connect() as connection, connection.begin():
                for _, seq, trial, kind, _, text, at, session, digest in connection.execute(query):
                    if seq == after:
                        previous, expected = digest, seq + 1
                        continue
                    if seq != expected or checksum(previous, seq, trial, kind, text, at, session) != digest:
                        return found, self._damage(
                            expected, "its checksum does not match its content" if seq == expected else "it is missing"
                        )
                    found.append(Event(seq, trial, kind, decode(kind, text), at, session))
                    previous, expected = digest, seq + 1
        except sa.exc.DatabaseError as error:
            return found, self._damage(expected, str(explain(error, self.store.name)))
        return found, None

    def _damage(self, seq: int, cause: str) -> LedgerError:
        return LedgerError(
            f"Event {seq} of the run {self.name!r} in {self.store.name} is damaged: {cause}. The events before it are intact: read them with "
            "run.events(strict=False), or rebuild the store with `archwright salvage --to NEW` and resume there."
        )


class Ledger:
    """A store of runs: an SQLite file, or any database that SQLAlchemy reaches."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @classmethod
    def open(cls, path_or_url: str | os.PathLike[str], *, create: bool = True) -> Ledger:
        """Opens a store, making it where it is missing and bringing it up to date where it is older.

        Args:
            path_or_url: Path of an SQLite file, or an SQLAlchemy URL such as ``postgresql+psycopg://user@host/database``.
            create: Whether a missing file is made.

        Raises:
            LedgerError: Where the store is missing, damaged, read-only, of a newer version or of another program.
        """
        store = Store(path_or_url)
        try:
            store.open(create=create)
        except BaseException:
            store.close()
            raise
        return cls(store)

    def create_run(self, name: str | None, header: dict[str, Any]) -> Run:
        """Adds a run.

        Args:
            name: Its name; ``None`` makes one from ``header["task"]`` and a number: ``"digits-3"``.
            header: Everything needed to set the search up again, JSON values only.

        Raises:
            LedgerError: Where the name is taken or not usable, or the header is not JSON.
        """
        if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise LedgerError(
                f"Got the run name {name!r}; expected letters, digits, '.', '_' and '-', beginning with a letter or digit."
            )
        try:
            text = msgspec.json.encode(header).decode()
        except (TypeError, ValueError) as error:
            raise LedgerError(
                f"Got a header that is not JSON: {error}. Expected a dict of str, int, float, bool, None, list and dict."
            ) from error
        with self.store.write() as connection:
            taken = set(connection.scalars(sa.select(schema.runs.c.name)))
            if name in taken:
                raise LedgerError(
                    f"There is already a run {name!r} in {self.store.name}. Go on with it (archwright resume {name}), or choose another name."
                )
            name = name or _unused(str(header.get("task", "run")), taken)
            created = time.time()
            row = {"name": name, "created": created, "header": text}
            number = connection.execute(schema.runs.insert().returning(schema.runs.c.id), row).scalar_one()
        self.store.copy("runs", [{"id": number, **row}])
        return Run(self.store, number, name, created, msgspec.json.decode(text))

    def run(self, name: str) -> Run:
        """The run of a name.

        Raises:
            LedgerError: Where there is none, with close names.
        """
        with self.store.read() as connection:
            row = connection.execute(sa.select(schema.runs).where(schema.runs.c.name == name)).first()
            names = [] if row else list(connection.scalars(sa.select(schema.runs.c.name)))
        if row is None:
            known = closest(name, names) if names else "It has no runs yet."
            raise LedgerError(f"There is no run {name!r} in {self.store.name}. {known}")
        return Run(self.store, row.id, row.name, row.created, msgspec.json.decode(row.header))

    def runs(self) -> list[RunSummary]:
        """All runs, the oldest first."""
        events, sessions = schema.events, schema.sessions
        newest = sa.select(events.c.run, sa.func.max(events.c.seq).label("seq")).group_by(events.c.run).subquery()
        with self.store.read() as connection:
            rows = connection.execute(sa.select(schema.runs).order_by(schema.runs.c.id)).all()
            counts = connection.execute(
                sa.select(events.c.run, events.c.kind, sa.func.count()).group_by(events.c.run, events.c.kind)
            ).all()
            total = sa.func.sum(sessions.c.beat - sessions.c.started)
            spent = {
                run: float(seconds)
                for run, seconds in connection.execute(sa.select(sessions.c.run, total).group_by(sessions.c.run))
            }
            last = connection.execute(
                sa.select(events.c.run, events.c.payload)
                .join(newest, sa.and_(events.c.run == newest.c.run, events.c.seq == newest.c.seq))
                .where(events.c.kind == "ended")
            )
            ended = {run: _why(text) for run, text in last}
        kinds: dict[int, dict[str, int]] = {row.id: {} for row in rows}
        for run, kind, count in counts:
            kinds[run][kind] = count
        return [
            RunSummary(
                row.name,
                row.created,
                msgspec.json.decode(row.header),
                sum(kinds[row.id].values()),
                _statuses(kinds[row.id]),
                ended.get(row.id),
                spent.get(row.id, 0.0),
            )
            for row in rows
        ]

    def close(self) -> None:
        """Closes the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def head(header: dict[str, Any]) -> str:
    """The checksum that a run's chain of events begins with."""
    return hashlib.blake2b(msgspec.json.encode(header), digest_size=16).hexdigest()


def _unused(task: str, taken: set[str]) -> str:
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", task).strip("._-") or "run"
    numbers = [int(match[1]) for name in taken if (match := re.fullmatch(re.escape(base) + r"-(\d+)", name))]
    return f"{base}-{max(numbers, default=0) + 1}"


def _statuses(kinds: dict[str, int]) -> dict[str, int]:
    done = {kind: kinds[kind] for kind in sorted(DONE_KINDS & kinds.keys())}
    running = kinds.get("started", 0) - sum(done.values())
    return {"running": running, **done} if running else done


def _why(text: str) -> str:
    payload = decode("ended", text)
    assert isinstance(payload, Ended)
    return payload.why
