"""The recorded reasons of a proposal, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TOLD = frozenset(
    (
        "by",
        "edit",
        "of",
        "rank",
        "rung",
        "from_rung",
        "score",
        "parent_score",
        "reason",
        "start",
        "level",
        "whole",
        "probe",
    )
)
_OPERATORS = {
    "random": "drawn at random",
    "baseline": "drawn at random for the baseline",
    "mutation": "mutated from a good network",
    "crossover": "crossed from two good networks",
    "grid": "next in order",
    "copy": "a copy of a good network",
    "density": "drawn near the good networks, away from the bad",
    "reference": "known to be good",
    "promotion": "among the best of its rung, so trained further",
    "final": "trained for the answer, on training and validation data",
}


def reasons(why: Mapping[str, Any]) -> str:
    """The reasons of a proposal in one line; edits are left to the lineage, which knows the parent.

    >>> reasons({"by": "mutation", "edit": {"kernel": ["3", "5"]}, "predicted": 0.912, "rung": 1})
    'mutated from a good network; predicted 0.912'
    >>> reasons({"by": "start", "start": "digits-1:17"})
    'given to start with: digits-1:17'
    >>> reasons({"by": "promotion", "rank": 1, "of": 12, "from_rung": 0, "rung": 1})
    'rank 1 of 12 at rung 0, so trained further'
    """
    by = str(why.get("by", ""))
    parts = [_OPERATORS.get(by, by)]
    if by == "start":
        parts = [f"given to start with: {why.get('start')}"]
    if by == "promotion" and {"rank", "of", "from_rung"} <= why.keys():
        parts = [f"rank {why['rank']} of {why['of']} at rung {why['from_rung']}, so trained further"]
    if why.get("reason"):
        parts.append(str(why["reason"]))
    parts += [
        f"{key.replace('_', ' ')} {_word(value)}"
        for key, value in why.items()
        if key not in _TOLD and not isinstance(value, Mapping)
    ]
    return "; ".join(part for part in parts if part)


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_word(one) for one in value)
    return str(value)
