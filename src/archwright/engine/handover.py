"""Exporting a network of a run: the card's facts gathered, the files written and verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from archwright.engine.settings import versions

if TYPE_CHECKING:
    from archwright.engine.result import Candidate, Result
    from archwright.export import Exported


def export_candidate(result: Result, candidate: Candidate, folder: Path, *, overwrite: bool) -> Exported:
    """Exports a candidate with all that its run knows about it."""
    from archwright.export import export

    final = candidate.final
    card: dict[str, Any] = {
        "run": result.name,
        "trial": candidate.trial.id,
        "command": result.settings.command,
        "seed": result.settings.seed,
        "versions": versions(),
        "space": result.problem.space.name,
        "choices": candidate.choices,
        "strategy": result.settings.strategy,
        "valid": {name: value for name, value in candidate.metrics.items() if name != "seconds"},
        "final": msgspec.to_builtins(final) if final is not None else None,
        "why": candidate.why(),
    }
    return export(
        folder, graph=candidate.graph, state=candidate.weights(), task=result.task(), card=card, overwrite=overwrite
    )
