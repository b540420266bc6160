"""The opening of a search: given architectures, tried before a strategy is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import numpy as np

from archwright.problem import Architecture, Problem, Proposal, Strategy

START: Final = "start"
"""What the ``why["by"]`` of a trial says that a user gave to start with."""
_PLACES: Final = ("rung", "bracket", "level", "whole")
"""Reasons that tell where a trial belongs and how it is trained."""


class Start(msgspec.Struct, frozen=True):
    """An architecture to try first.

    Attributes:
        architecture: Its choices.
        why: The reasons of its proposal; ``by`` says who gave it.
    """

    architecture: Architecture
    why: dict[str, Any]


def opening(strategy: Strategy, problem: Problem, starts: Iterable[Start]) -> tuple[Proposal, ...]:
    """Proposes given architectures the way a strategy proposes its first one.

    They get the fidelity and the rung of that proposal, so that the strategy can train them further as its own.
    """
    starts = tuple(starts)
    if not starts:
        return ()
    first = strategy.ask(strategy.init(problem), problem, np.random.default_rng([problem.seed, 0]))
    fidelity = problem.fidelity if first is None else first.fidelity or problem.fidelity
    places: dict[str, Any] = {} if first is None else {key: first.why[key] for key in _PLACES if key in first.why}
    if len(starts) > 1 and "whole" in places:  # they are compared with each other, whatever the first proposal is for
        places["whole"] = True
    elif first is not None and first.why.get("probe"):
        places["probe"] = True
    return tuple(Proposal(start.architecture, fidelity, why={**start.why, **places}) for start in starts)
