from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archwright.ledger import Session, Started
from archwright.problem import Architecture, Measurement, Proposal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def play() -> Any:
    def play(session: Session, first: int, count: int) -> None:
        """Records that many finished trials of two measurements."""
        for trial in range(first, first + count):
            session.append("started", trial, proposal(trial))
            for epoch in (1, 2):
                session.append("measured", trial, Measurement({"accuracy": epoch / 10}, epoch=epoch))
            session.append("finished", trial, {"seconds": 0.5})

    return play


def proposal(trial: int) -> Started:
    architecture = Architecture(tuple((f"stage{i}.kernel", trial % (i + 2)) for i in range(6)))
    return Started(Proposal(architecture, parent=trial - 1 if trial else None, why={"by": "mutate"}), f"fp{trial}")


@pytest.fixture(name="proposal")
def _proposal() -> Any:
    return proposal
