from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from archwright.problem import (
    Architecture,
    Budget,
    Fidelity,
    Measurement,
    Objective,
    Problem,
    Proposal,
    Signature,
    Trial,
)
from archwright.space import OUTPUTS, Space, chain, choice, integer, op, repeat

LAYER = op("dense", width=choice(8, 16, 32), activation=choice("relu", "tanh"), name="layer")
SPACE = Space(chain(repeat(LAYER, integer(1, 4, name="depth")), op("linear", width=OUTPUTS, name="head")), "tiny")


@pytest.fixture
def problem() -> Problem:
    """A small space with the accuracy as its objective and five epochs as the full fidelity."""
    signature = Signature(((4,),), (3,))
    return Problem(SPACE, signature, (Objective("accuracy"),), budget=Budget(trials=50), fidelity=Fidelity(5))


@pytest.fixture
def trial() -> Callable[..., Trial]:
    """Makes a trial from its number, architecture and accuracy."""

    def make(number: int, architecture: Architecture, accuracy: float | None = 0.5, **changes: Any) -> Trial:
        proposal = Proposal(
            architecture,
            changes.pop("fidelity", None),
            changes.pop("parent", None),
            changes.pop("why", {"by": "random"}),
        )
        values = {} if accuracy is None else {"accuracy": accuracy, "params": 100.0}
        measurements = (Measurement(values, epoch=5),) if values else ()
        return Trial(number, proposal, changes.pop("status", "finished"), measurements, seconds=1.0, **changes)

    return make


@pytest.fixture
def architectures() -> list[Architecture]:
    """Different architectures of the space."""
    rng = np.random.default_rng(0)
    return list(dict.fromkeys(SPACE.sample(rng) for _ in range(400)))[:80]
