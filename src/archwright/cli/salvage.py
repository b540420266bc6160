"""Rescue of a damaged store: what can be read of it, in a new store where the runs go on."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from rich.console import Console

from archwright.artifacts import Artifacts
from archwright.engine.store import default_folder
from archwright.errors import LedgerError
from archwright.ledger import salvage


def salvage_store(store: Path | None, console: Console, to: Path) -> None:
    """Copies what is readable of a damaged store into a new one and says what was kept, what was lost and what to type next.

    Every run is kept up to its first event that is neither in the database nor in the spare copy beside it. Weights and checkpoints are copied where
    their content still matches their hash. The old store is only read.

    Args:
        store: Folder of the damaged store; ``None`` for the default one.
        console: Where the account is printed.
        to: Folder of the new store.

    Raises:
        LedgerError: Where nothing can be read, the new folder already holds a store, or it cannot be written.
    """
    old = default_folder(store)
    if to.resolve() == old.resolve() or (to / "ledger.db").exists():
        raise LedgerError(
            f"Got {to} as the folder of the new store, which holds a store already; expected a new folder. The store in {old} is left as it is."
        )
    if not any((old / name).exists() for name in ("ledger.db", "ledger.db.copy")):
        raise LedgerError(f"There is no store in {old}. Name the folder that holds ledger.db: --store FOLDER.")
    found = {folder.parent.name: folder for folder in sorted(old.glob("*/artifacts"))}
    files = {name: _copy(Artifacts(folder), Artifacts(to / name / "artifacts")) for name, folder in found.items()}
    lines = []
    for run in salvage(old / "ledger.db", to / "ledger.db"):
        copied, bad = files.get(run.name, (0, []))
        lost = f"lost: {run.lost}" if run.lost else "nothing lost"
        lines.append(f"{run.name}: {run.events:,} events kept, {lost}; {copied:,} artifacts copied")
        if bad:
            shown = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
            lines.append(f"  {len(bad):,} artifacts are damaged and left out: {shown}")
    option = f"--store {shlex.quote(str(to))}"
    lines += [
        f"The new store is {to}; {old} is left as it is.",
        f"Look at it:  archwright runs {option}",
        f"Go on:       archwright resume NAME {option}",
    ]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _copy(source: Artifacts, target: Artifacts) -> tuple[int, list[str]]:
    """Copies whole artifacts; returns how many, and the hashes of those that are damaged."""
    copied, bad = 0, []
    for file in sorted(source.root.glob("??/*")):
        if file.name.startswith("."):
            continue
        try:
            content = file.read_bytes()
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() == file.name:
            target.put(content)
            copied += 1
        else:
            bad.append(file.name[:12])
    return copied, bad
