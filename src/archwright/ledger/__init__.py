"""The append-only record of every event of every search; the only checkpoint. No torch."""

from archwright.ledger.events import Duplicate, Ended, Event, Failed, Finished, Kind, Started, Stopped, apply, fold
from archwright.ledger.runs import Ledger, Run, RunSummary
from archwright.ledger.salvage import Salvaged, salvage
from archwright.ledger.session import Record, Session

__all__ = [
    "Duplicate",
    "Ended",
    "Event",
    "Failed",
    "Finished",
    "Kind",
    "Ledger",
    "Record",
    "Run",
    "RunSummary",
    "Salvaged",
    "Session",
    "Started",
    "Stopped",
    "apply",
    "fold",
    "salvage",
]
