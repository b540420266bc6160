"""What a trial is for: a proposal's ``why["by"]`` is one of these names, or else names who proposed a candidate of the search."""

from __future__ import annotations

from typing import Final, Literal

from archwright.problem.records import Trial

BASELINE: Final = "baseline"
"""Drawn at random, the control."""
FINAL: Final = "final"
"""Trains the answer, on training and validation rows together."""
SUPERNET: Final = "supernet"
"""Trains the weights that networks share; also the key of these weights' artifact and notes, and of the weights that a score was made with."""
ALONE: Final = "alone"
"""Trains a network on its own that was found by shared weights."""
AUDIT: Final = "audit"
"""Scores a network of the baseline with the shared weights."""
Purpose = Literal["search", "baseline", "final", "supernet", "alone", "audit"]
OWN: Final = (FINAL, SUPERNET, AUDIT)
"""What a search asks for on its own account: no candidates."""


def purpose(trial: Trial) -> Purpose:
    """What a trial is for; ``"search"`` where it is a candidate of the strategy."""
    by = trial.proposal.why.get("by")
    known: tuple[Purpose, ...] = (BASELINE, FINAL, SUPERNET, ALONE, AUDIT)
    return next((name for name in known if name == by), "search")
