"""Where runs live on disk: one ledger for many runs, one folder for each."""

from __future__ import annotations

import os
from pathlib import Path

from archwright.artifacts import Artifacts
from archwright.ledger import Ledger

DEFAULT_STORE = "archwright-runs"


def default_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the runs: the one given, else ``$ARCHWRIGHT_RUNS``, else ``archwright-runs`` here."""
    return Path(folder or os.environ.get("ARCHWRIGHT_RUNS") or DEFAULT_STORE)


class Store:
    """A folder with ``ledger.db``, a folder for each run (artifacts, report, exported network) and the prepared data sets.

    Args:
        folder: The folder; default is ``$ARCHWRIGHT_RUNS`` or ``archwright-runs`` here.
        create: Make it where it does not exist; else a missing one is an error.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, create: bool = True) -> None:
        self.folder = default_folder(folder)
        self.ledger = Ledger.open(self.folder / "ledger.db", create=create)

    def run_folder(self, name: str) -> Path:
        """The folder of a run's files."""
        return self.folder / name

    def artifacts(self, name: str) -> Artifacts:
        """Weights and checkpoints of a run."""
        return Artifacts(self.run_folder(name) / "artifacts")

    def data_folder(self, data_hash: str, seed: int) -> Path:
        """Where a prepared data set is kept, shared by runs that use the same data and split."""
        return self.folder / "data" / f"{data_hash[:16]}-{seed}"
