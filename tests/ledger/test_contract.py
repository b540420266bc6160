from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from archwright.ledger import Ledger, Run
from archwright.testing.ledger import check_ledger


def test_the_ledger_keeps_its_contract(path: Path) -> None:
    check_ledger(partial(Ledger.open, path))


def test_the_check_finds_a_ledger_that_does_not_look_at_checksums(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Run.read

    def careless(self: Run, after: int = 0) -> Any:
        found, _ = whole(self, after)
        return found, None

    monkeypatch.setattr(Run, "read", careless)
    with pytest.raises(AssertionError, match="torn event was not found"):
        check_ledger(partial(Ledger.open, path), writers=1, trials=2)


def test_the_check_finds_a_ledger_that_loses_events(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Run.read
    monkeypatch.setattr(Run, "read", lambda self, after=0: (whole(self, after)[0][:-1], None))
    with pytest.raises(AssertionError, match="lost or duplicated"):
        check_ledger(partial(Ledger.open, path), writers=1, trials=2)
