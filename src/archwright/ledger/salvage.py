"""Rescues a damaged store."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from archwright.errors import LedgerError
from archwright.ledger import schema
from archwright.ledger.events import checksum
from archwright.ledger.runs import Ledger, head
from archwright.ledger.spare import Rows, Spare, key
from archwright.ledger.store import Store, explain


@dataclass(frozen=True)
class Salvaged:
    """What was rescued of one run: how many events, and what is missing after them (``None``: nothing was lost)."""

    name: str
    events: int
    lost: str | None


def salvage(old: str | os.PathLike[str], new: str | os.PathLike[str]) -> list[Salvaged]:
    """Copies every run of a damaged store into a new one, where it can be resumed.

    What cannot be read, or does not match its checksum, is taken from the spare copy beside an SQLite store. A run ends before the
    first event that neither has. The old store is only read.

    Raises:
        LedgerError: Where the new store already has runs, or nothing of the old one can be read.
    """
    damaged = Store(old)
    if damaged.path and not damaged.path.exists():
        raise LedgerError(
            f"There is no store at {damaged.path}. Put what is left of it there; an empty file will do beside a spare copy."
        )
    try:
        spare: Rows = Spare(damaged.path).read() if damaged.path else {}
        stored, damage = _readable(damaged)
        unsure = damage is not None
    finally:
        damaged.close()
    runs = {**stored.get("runs", {}), **spare.get("runs", {})}  # a run's row never changes: the copy is the safer one
    if not runs:
        raise damage or LedgerError(f"The store {damaged.name} has no runs to rescue.")
    with Ledger.open(new) as target:
        if target.runs():
            raise LedgerError(f"The store {target.store.name} already has runs. Name a new file for what is rescued.")
        return [_copy(runs[number], stored, spare, target.store, unsure) for number in sorted(runs)]


def _readable(store: Store) -> tuple[Rows, LedgerError | None]:
    """The rows of the tables, each from both ends up to the first one that cannot be read, and why."""
    found: Rows = defaultdict(dict)
    damage = None
    for table in (schema.runs, schema.sessions, schema.events):
        for order in (sa.asc, sa.desc):
            try:
                with store.engine.connect() as connection, connection.begin():
                    for row in connection.execute(sa.select(table).order_by(*map(order, table.primary_key))).mappings():
                        values = {str(column): value for column, value in row.items()}
                        found[table.name][key(table.name, values)] = values
                break
            except sa.exc.SQLAlchemyError as error:
                damage = explain(error, store.name)
    return found, damage


def _copy(run: Mapping[str, Any], stored: Rows, spare: Rows, target: Store, unsure: bool) -> Salvaged:
    number, previous = run["id"], head(msgspec.json.decode(run["header"]))
    sources = [
        {seq: row for (owner, seq), row in rows.get("events", {}).items() if owner == number}
        for rows in (stored, spare)
    ]
    events: list[dict[str, Any]] = []
    while (row := _next(sources, len(events) + 1, previous)) is not None:
        events.append(row)
        previous = row["checksum"]
    newest = max((seq for rows in sources for seq in rows), default=0)
    sessions = {**spare.get("sessions", {}), **stored.get("sessions", {})}
    needed = {place: row for (place, _), row in sessions.items() if row["run"] == number}
    for event in events:
        needed.setdefault(event["session"], _unknown(event))
    with target.write() as connection:
        connection.execute(schema.runs.insert(), run)
        if needed:
            connection.execute(schema.sessions.insert(), list(needed.values()))
        if events:
            connection.execute(schema.events.insert(), events)
    target.copy("runs", [run])
    target.copy("sessions", needed.values())
    target.copy("events", events)
    lost = None
    if newest > len(events):
        lost = f"event {len(events) + 1} and what follows, up to event {newest} at least"
    elif unsure and max(sources[1], default=0) < newest:
        lost = f"what followed event {newest}, if anything did: the rest of the store cannot be read"
    return Salvaged(run["name"], len(events), lost)


def _next(sources: list[dict[int, dict[str, Any]]], seq: int, previous: str) -> dict[str, Any] | None:
    """The event of a number from the first source that has it intact."""
    for rows in sources:
        row = rows.get(seq)
        if row is not None:
            content = (row["trial"], row["kind"], row["payload"], row["at"], row["session"])
            if checksum(previous, seq, *content) == row["checksum"]:
                return row
    return None


def _unknown(event: Mapping[str, Any]) -> dict[str, Any]:
    """Stands for the session of an event whose own row is lost."""
    empty = {"host": "", "pid": 0, "process_started": 0.0, "command": "", "archwright": ""}
    return {
        "id": event["session"],
        "run": event["run"],
        **empty,
        "started": event["at"],
        "beat": event["at"],
        "ended": event["at"],
    }
