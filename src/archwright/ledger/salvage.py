"""Rescues the readable part of a damaged store."""

from __future__ import annotations

import os
from dataclasses import dataclass

import sqlalchemy as sa

from archwright.errors import LedgerError
from archwright.ledger import schema
from archwright.ledger.runs import Ledger, Run
from archwright.ledger.store import Store


@dataclass(frozen=True)
class Salvaged:
    """What was rescued of one run: how many events, and what damaged the rest (``None``: nothing was lost)."""

    name: str
    events: int
    damage: str | None


def salvage(old: str | os.PathLike[str], new: str | os.PathLike[str]) -> list[Salvaged]:
    """Copies every run of a damaged store, up to its first damaged event, into a new store, where it can be resumed.

    The old store is only read.

    Raises:
        LedgerError: Where the new store already has runs, or nothing of the old one can be read.
    """
    with Ledger.open(old, create=False) as source, Ledger.open(new) as target:
        if target.runs():
            raise LedgerError(f"The store {target.store.name} already has runs. Name a new file for what is rescued.")
        with source.store.read() as connection:
            names = list(connection.scalars(sa.select(schema.runs.c.name).order_by(schema.runs.c.id)))
        return [_copy(source.run(name), target.store) for name in names]


def _copy(run: Run, target: Store) -> Salvaged:
    good, damage = run.read()
    last = good[-1].seq if good else 0
    with run.store.read() as source, target.write() as connection:
        copied = (
            (schema.runs, schema.runs.c.id == run.id, schema.runs.c.id),
            (schema.sessions, schema.sessions.c.run == run.id, schema.sessions.c.id),
            (schema.events, sa.and_(schema.events.c.run == run.id, schema.events.c.seq <= last), schema.events.c.seq),
        )
        for table, condition, order in copied:
            rows = [dict(row) for row in source.execute(sa.select(table).where(condition).order_by(order)).mappings()]
            if rows:
                connection.execute(table.insert(), rows)
    return Salvaged(run.name, last, None if damage is None else str(damage))
