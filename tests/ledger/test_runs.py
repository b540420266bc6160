from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from archwright.errors import LedgerError
from archwright.ledger import Ledger, RunSummary, fold


def test_runs_are_named_found_and_listed(path: Path, play: Any) -> None:
    with Ledger.open(path) as ledger:
        assert ledger.runs() == []
        header = {"task": "digits", "seed": 3, "space": ["cnn", None]}
        names = [ledger.create_run(name, header).name for name in (None, "evening", None)]
        assert names == ["digits-1", "evening", "digits-2"]
        assert ledger.create_run(None, {"task": "./my photos/"}).name == "my-photos-1"
        assert ledger.create_run(None, {}).name == "run-1"
        with pytest.raises(LedgerError, match=r"already a run 'evening'.*resume evening"):
            ledger.create_run("evening", {})
        with pytest.raises(LedgerError, match="Did you mean 'evening'"):
            ledger.run("evenign")
        for name in ("", "-x", "a b", "../x"):
            with pytest.raises(LedgerError, match="expected letters"):
                ledger.create_run(name, {})
        with pytest.raises(LedgerError, match="not JSON"):
            ledger.create_run("x", {"x": object()})
        assert [summary.name for summary in ledger.runs()] == [
            "digits-1",
            "evening",
            "digits-2",
            "my-photos-1",
            "run-1",
        ]
    with Ledger.open(path, create=False) as ledger:
        run = ledger.run("evening")
        assert run.header == header
        assert abs(run.created - time.time()) < 60


def test_a_summary_counts_trials_by_status(path: Path, play: Any, proposal: Any) -> None:
    with Ledger.open(path) as ledger:
        run = ledger.create_run("a", {"x": 1})
        ledger.create_run("b", {})
        with run.session() as session:
            play(session, 0, 3)
            for trial, (kind, payload) in enumerate(
                [("failed", {"reason": "x"}), ("stopped", {"reason": "y"}), ("duplicate", {"of": 0}), (None, None)], 3
            ):
                session.append("started", trial, proposal(trial))
                if kind:
                    session.append(kind, trial, payload)
            session.append("ended", None, {"why": "budget"})
        summary, empty = ledger.runs()
        trials = {"running": 1, "finished": 3, "failed": 1, "stopped": 1, "duplicate": 1}
        assert summary == RunSummary("a", run.created, {"x": 1}, 20, trials, "budget", run.spent)
        assert (empty.events, empty.trials, empty.ended, empty.seconds) == (0, {}, None, 0.0)
        with run.session() as session:
            session.append("noted", None, {"resumed": True})
        assert ledger.runs()[0].ended is None


def test_events_after_a_number(path: Path, play: Any) -> None:
    with Ledger.open(path) as ledger:
        run = ledger.create_run("a", {})
        assert run.events() == []
        with run.session() as session:
            play(session, 0, 3)
        everything = run.events()
        assert [event.seq for event in everything] == list(range(1, 13))
        for after in range(14):
            assert run.events(after) == everything[after:]


def test_ten_thousand_trials_are_read_and_folded_quickly(path: Path, proposal: Any) -> None:
    count = 500  # a twentieth of them; the time is per trial
    with Ledger.open(path) as ledger:
        run = ledger.create_run("a", {})
        with run.session() as session:
            for trial in range(count):
                session.append("started", trial, proposal(trial))
                session.append("finished", trial, {"seconds": 0.5})
        taken = []
        for _ in range(3):  # the garbage of other tests may be collected in one of them
            begun = time.process_time()
            assert len(fold(run.events())) == count
            taken.append(time.process_time() - begun)
        assert min(taken) / count < 100e-6  # 22 microseconds on a quiet machine


EDITS = {
    "payload": "UPDATE events SET payload = replace(payload, '0.2', '0.9') WHERE seq = 7",
    "time": "UPDATE events SET at = at + 1 WHERE seq = 7",
    "trial": "UPDATE events SET trial = 0, slot = 'x' WHERE seq = 7",
    "checksum": "UPDATE events SET checksum = 'x' WHERE seq = 7",
    "gone": "DELETE FROM events WHERE seq = 7",
    "torn": "UPDATE events SET payload = substr(payload, 1, 10) WHERE seq = 7",
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_changed_event_is_found_and_those_before_it_are_usable(edit: str, path: Path, play: Any) -> None:
    with Ledger.open(path) as ledger:
        run = ledger.create_run("a", {})
        with run.session() as session:
            play(session, 0, 3)
        before = run.events()
        with sqlite3.connect(path) as connection:
            assert connection.execute(EDITS[edit]).rowcount == 1
        connection.close()
        with pytest.raises(LedgerError, match=r"Event 7 of the run 'a' in .*runs.db is damaged.*salvage") as caught:
            run.events()
        assert str(path) in str(caught.value)
        with pytest.warns(UserWarning, match="Going on with the 6 events before it"):
            assert run.events(strict=False) == before[:6]
        assert run.events(after=8) == before[8:] if edit != "checksum" else True


def test_a_changed_header_is_found(path: Path, play: Any) -> None:
    with Ledger.open(path) as ledger:
        run = ledger.create_run("a", {"seed": 1})
        with run.session() as session:
            play(session, 0, 1)
        with sqlite3.connect(path) as connection:
            connection.execute("""UPDATE runs SET header = '{"seed":2}'""")
        connection.close()
        with pytest.raises(LedgerError, match="Event 1 of the run 'a'"):
            ledger.run("a").events()


def test_the_ledger_does_not_load_torch() -> None:
    code = "import archwright.ledger, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
