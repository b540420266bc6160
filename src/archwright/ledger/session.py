"""One process at work on a run: the only one who may write to it."""

from __future__ import annotations

import math
import os
import platform
import time
from types import TracebackType
from typing import Any, Protocol, Self

import psutil
import sqlalchemy as sa

from archwright import __version__
from archwright.errors import LedgerError
from archwright.ledger import schema
from archwright.ledger.events import DONE_KINDS, RUN_KINDS, Event, Kind, checksum, decode, encode
from archwright.ledger.store import Store

PASSING_KINDS = frozenset({"started", "measured"})
"""Events that a power cut may take if no other event followed: the trial is then run again. All others wait for the disk."""

BEAT_SECONDS = 1.0
"""A heartbeat is written at most this often."""

REMOTE_SECONDS = 120.0
"""A session on another host counts as dead where it wrote nothing for this long."""

_mine: set[tuple[int, float]] = set()
"""Sessions (id, start) that are open in this process: one whose end could not be written, because the disk was full, is none of them."""


class Record(Protocol):
    """Where events are appended: a session of a ledger, or a list in memory."""

    def append(self, kind: Kind, trial: int | None, payload: Any) -> Event:
        """Records an event and returns it."""

    def beat(self) -> None:
        """Records that the session is alive."""


class Session:
    """Writes events to a run. Use it as a context manager, from one thread.

    When :meth:`append` returns, the event survives the end of the process, however it comes. An event that ends a trial, or is about the
    run, then also survives a power cut, and with it all events before it: the disk was waited for. (Waiting at the other events too
    would cost twice the time, more where trials have many measurements, to save what has to be run again anyway.)

    Only one session of a run is open at a time. A session whose process is dead is taken over.

    Attributes:
        id: Number of the session in the store.
    """

    def __init__(self, store: Store, run: int, name: str, head: str, command: str) -> None:
        self._store, self._run, self._name = store, run, name
        self._insert, self._closed = schema.events.insert(), False
        self._seq, self._checksum = 0, head
        with store.explained():
            self._connection = store.writer()
        try:
            with store.explained(), self._connection.begin():
                self._register(command)
                self._load()
        except BaseException:
            self._connection.close()
            raise
        _mine.add((self.id, self._started))
        store.copy("sessions", [self._row])
        self._touch = schema.sessions.update().where(schema.sessions.c.id == self.id).values(beat=sa.bindparam("now"))

    def _register(self, command: str) -> None:
        table = schema.sessions
        # A write to the run's row first: it makes a second session that opens now wait for this one, in every database.
        self._connection.execute(schema.runs.update().where(schema.runs.c.id == self._run).values(id=self._run))
        mine = self._connection.execute(sa.select(table).where(table.c.run == self._run)).all()
        for other in mine:
            if other.ended is None and _at_work(other):
                raise LedgerError(
                    f"The run {self._name!r} is being written by process {other.pid} on {other.host} ({other.command}). "
                    "Wait for it or end it, then resume; or start a run of another name."
                )
        self._clock, self._started = time.monotonic(), time.time()
        for other in mine:
            if other.ended is None:
                end = last_sign(self._connection, other)
                self._connection.execute(table.update().where(table.c.id == other.id).values(beat=end, ended=end))
        self._before: float = seconds_spent(self._connection, self._run)
        row = {
            "run": self._run,
            "host": platform.node(),
            "pid": os.getpid(),
            "process_started": psutil.Process().create_time(),
            "command": command,
            "archwright": __version__,
            "started": self._started,
            "beat": self._started,
        }
        self.id: int = self._connection.execute(table.insert().returning(table.c.id), row).scalar_one()
        self._row = {"id": self.id, **row}
        self._beaten = self._started

    def _load(self) -> None:
        table = schema.events
        last = self._connection.execute(
            sa.select(table.c.seq, table.c.checksum)
            .where(table.c.run == self._run)
            .order_by(table.c.seq.desc())
            .limit(1)
        ).first()
        if last is not None:
            self._seq, self._checksum = last.seq, last.checksum
        counts = self._connection.execute(
            sa.select(table.c.trial, table.c.kind, sa.func.count())
            .where(table.c.run == self._run, table.c.trial.is_not(None))
            .group_by(table.c.trial, table.c.kind)
        ).all()
        self._trials = sum(kind == "started" for _, kind, _ in counts)
        done = {trial for trial, kind, _ in counts if kind in DONE_KINDS}
        self._running = {trial: 0 for trial, kind, _ in counts if kind == "started" and trial not in done}
        self._running.update(
            {trial: count for trial, kind, count in counts if kind == "measured" and trial in self._running}
        )

    def _now(self) -> float:
        return self._started + time.monotonic() - self._clock

    @property
    def spent(self) -> float:
        """Seconds that all sessions of the run have worked on it, this one until now."""
        return self._before + (time.monotonic() - self._clock)

    def append(self, kind: Kind, trial: int | None, payload: Any) -> Event:
        """Records an event and returns it as it will be read back.

        Where it raises, nothing was recorded, and the same event can be appended again once the cause is gone.

        Args:
            kind: What happened.
            trial: The trial it is about; ``None`` for ``noted``, ``final`` and ``ended``. Trials are numbered from 0 in the order they start.
            payload: The details of that kind (see :class:`Event`), or a mapping with its fields. Not-a-number is kept in metric values; elsewhere
                it becomes ``None``.

        Raises:
            LedgerError: Where the event does not follow from the recorded ones, or the store cannot be written.
        """
        slot = self._slot(kind, trial)
        text = encode(kind, payload)
        seq, now = self._seq + 1, self._now()
        digest = checksum(self._checksum, seq, trial, kind, text, now, self.id)
        row = {
            "run": self._run,
            "seq": seq,
            "trial": trial,
            "kind": kind,
            "slot": slot,
            "payload": text,
            "at": now,
            "session": self.id,
            "checksum": digest,
        }
        with self._store.explained():
            self._store.sync(self._connection, full=kind not in PASSING_KINDS)
            with self._connection.begin():
                self._connection.execute(self._insert, row)
        self._store.copy("events", [row])
        self._seq, self._checksum = seq, digest
        if trial is not None:
            self._follow(kind, trial)
        return Event(seq, trial, kind, decode(kind, text), now, self.id)

    def _slot(self, kind: str, trial: int | None) -> str | None:
        if self._closed:
            raise LedgerError(f"This session of the run {self._name!r} is closed. Open another with run.session().")
        if trial is None or kind in RUN_KINDS:
            if trial is not None or kind not in RUN_KINDS:
                raise LedgerError(
                    f"Got the event {kind!r} with trial {trial}; {', '.join(sorted(RUN_KINDS))} are about the run (trial None), all others about one trial."
                )
            return None
        if kind == "started":
            if trial != self._trials:
                raise LedgerError(
                    f"Got the start of trial {trial}; expected trial {self._trials}: trials are numbered in the order they start, each once."
                )
            return "started"
        if trial not in self._running:
            raise LedgerError(
                f"Got {kind!r} of trial {trial}, which is not running: it {'is done' if 0 <= trial < self._trials else 'was never started'}."
            )
        return f"measured {self._running[trial]}" if kind == "measured" else "done"

    def _follow(self, kind: str, trial: int) -> None:
        if kind == "started":
            self._running[trial] = 0
            self._trials += 1
        elif kind == "measured":
            self._running[trial] += 1
        else:
            del self._running[trial]

    def beat(self) -> None:
        """Records that the session is alive, at most once a second, so that the time spent is known even after the process was killed."""
        now = self._now()
        if now - self._beaten >= BEAT_SECONDS and not self._closed:
            with self._store.explained(), self._connection.begin():
                self._connection.execute(self._touch, {"now": now})
            self._beaten = now

    def close(self) -> None:
        """Ends the session; another may then open."""
        if self._closed:
            return
        self._closed, now = True, self._now()
        _mine.discard((self.id, self._started))
        try:
            with self._store.explained(), self._connection.begin():
                self._connection.execute(
                    schema.sessions.update().where(schema.sessions.c.id == self.id).values(beat=now, ended=now)
                )
            self._store.copy("sessions", [{**self._row, "beat": now, "ended": now}])
        finally:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except LedgerError:
            if error is None:
                raise  # else the first error says more; an unclosed session of a dead process is taken over


def _at_work(session: sa.Row[Any]) -> bool:
    """Whether a session without a written end is still open."""
    mine = session.host == platform.node() and session.pid == os.getpid()
    if mine and (session.id, session.started) not in _mine:
        return False
    return alive(session.host, session.pid, session.process_started, session.beat)


def alive(host: str, pid: int, process_started: float, beat: float) -> bool:
    """Whether the process of a session still lives: by its number and start time here, by its last heartbeat on another host."""
    if host != platform.node():
        return time.time() - beat < REMOTE_SECONDS
    try:
        process = psutil.Process(pid)
        return (
            math.isclose(process.create_time(), process_started, abs_tol=2.0)
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False


def last_sign(connection: sa.Connection, session: sa.Row[Any]) -> float:
    """When a session last wrote an event or a heartbeat, in seconds since 1970."""
    table = schema.events
    newest = connection.scalar(
        sa.select(sa.func.max(table.c.at)).where(table.c.run == session.run, table.c.session == session.id)
    )
    return max(float(session.beat), newest or 0.0)


def seconds_spent(connection: sa.Connection, run: int) -> float:
    """Seconds that the sessions of a run have lasted, each until its last sign of life."""
    rows = connection.execute(sa.select(schema.sessions).where(schema.sessions.c.run == run)).all()
    return float(sum((last_sign(connection, row) if row.ended is None else row.ended) - row.started for row in rows))
