from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from archwright.errors import LedgerError
from archwright.ledger import Ledger, Run, fold
from archwright.ledger import session as module
from archwright.ledger.session import alive
from archwright.problem import Measurement


@pytest.fixture
def run(path: Path) -> Any:
    with Ledger.open(path) as ledger:
        yield ledger.create_run("a", {})


def test_what_is_appended_is_what_is_read(run: Run, proposal: Any) -> None:
    with run.session("archwright search digits") as session:
        events = [
            session.append("noted", None, {"hello": 1}),
            session.append("started", 0, proposal(0)),
            session.append(
                "measured",
                0,
                Measurement({"loss": float("nan"), "accuracy": 0.5}, notes={"shape": (1, 2), "nan": float("nan")}),
            ),
            session.append("finished", 0, {"seconds": 0.25}),
            session.append("ended", None, {"why": "budget"}),
        ]
        assert repr(run.events()) == repr(events)
        assert [event.session for event in events] == [session.id] * 5
        assert abs(events[-1].at - time.time()) < 5
    assert events[2].payload.notes == {"shape": [1, 2], "nan": None}  # type: ignore[union-attr]


def test_nothing_can_be_recorded_twice_or_out_of_order(run: Run, proposal: Any) -> None:
    with run.session() as session:
        for kind, trial in [
            ("started", 1),
            ("started", -1),
            ("finished", 0),
            ("measured", 0),
            ("started", None),
            ("ended", 0),
        ]:
            payload = proposal(0) if kind == "started" else {"why": "x"}
            with pytest.raises(LedgerError, match=r"Got .*(expected trial 0|not running|are about the run)"):
                session.append(kind, trial, payload)  # type: ignore[arg-type]
        session.append("started", 0, proposal(0))
        with pytest.raises(LedgerError, match="expected trial 1"):
            session.append("started", 0, proposal(0))
        session.append("stopped", 0, {"reason": "x"})
        for kind in ("finished", "failed", "stopped", "measured"):
            with pytest.raises(LedgerError, match="is done"):
                session.append(kind, 0, {"seconds": 1.0})  # type: ignore[arg-type]
        with pytest.raises(LedgerError, match="cannot be recorded"):
            session.append("noted", None, {"x": object()})
    assert [event.kind for event in run.events()] == ["started", "stopped"]
    with pytest.raises(LedgerError, match="closed"):
        session.append("noted", None, {})


def test_the_database_itself_refuses_a_second_record(run: Run, play: Any, path: Path) -> None:
    with run.session() as session:
        play(session, 0, 1)
    connection = sqlite3.connect(path)
    for seq, slot in [(99, "started"), (99, "measured 1"), (99, "done"), (2, "other")]:
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(
                "INSERT INTO events SELECT run, ?, trial, kind, ?, payload, at, session, checksum FROM events WHERE seq = 1",
                (seq, slot),
            )
    connection.close()


def test_a_session_that_was_overtaken_is_told_so(run: Run, proposal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with run.session() as first:
        first.append("started", 0, proposal(0))
        monkeypatch.setattr(module, "alive", lambda *_: False)
        with run.session() as second:
            second.append("finished", 0, {"seconds": 1.0})
            with pytest.raises(LedgerError, match="Another process writes to the same run"):
                first.append("failed", 0, {"reason": "x"})
            second.append("started", 1, proposal(1))
    assert [event.kind for event in run.events()] == ["started", "finished", "started"]


def test_resuming_goes_on_where_the_last_session_ended(run: Run, play: Any, proposal: Any) -> None:
    with run.session() as session:
        play(session, 0, 2)
        session.append("started", 2, proposal(2))
        session.append("measured", 2, Measurement({"accuracy": 0.1}))
    with run.session() as session:
        session.append("measured", 2, Measurement({"accuracy": 0.2}))
        session.append("finished", 2, {"seconds": 1.0})
        play(session, 3, 1)
    trials = fold(run.events())
    assert [trial.status for trial in trials] == ["finished"] * 4
    assert [m.values["accuracy"] for m in trials[2].measurements] == [0.1, 0.2]


def test_one_writer_at_a_time(run: Run) -> None:
    with (
        run.session("archwright search digits"),
        pytest.raises(LedgerError, match=r"being written by process \d+ .*archwright search digits"),
    ):
        run.session()
    run.session().close()


WRITER = """
    import sys, time
    from archwright.ledger import *
    from archwright.problem import *
    session = Ledger.open(sys.argv[1]).run("a").session("the other")
    for trial in range(1_000_000):
        session.append("started", trial, Started(Proposal(Architecture((("a", trial),)))))
        session.append("finished", trial, Finished(1.0))
        print(trial, flush=True)
        if trial == int(sys.argv[2]):
            time.sleep(1.2)
            session.beat()
            print("beat", flush=True)
            time.sleep(60)
"""


def writer(path: Path, pause: int = -1) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), path, str(pause)], stdout=subprocess.PIPE, text=True
    )


def test_a_killed_writer_loses_nothing_and_is_taken_over(run: Run, path: Path, proposal: Any) -> None:
    for _ in range(2):
        process = writer(path)
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(20)]
        with pytest.raises(LedgerError, match=rf"process {process.pid} .*the other"):
            run.session()
        process.send_signal(signal.SIGKILL)
        printed = int([*seen, *process.stdout.readlines()][-1].split()[0])
        process.stdout.close()
        process.wait()
        trials = fold(run.events())
        assert len(trials) in (printed + 1, printed + 2)
        assert all(trial.status == "finished" for trial in trials[: printed + 1])
        with sqlite3.connect(path) as connection:  # make room for the next writer, which counts from 0
            connection.execute("DELETE FROM events")
        connection.close()
    with run.session() as session:
        session.append("started", 0, proposal(0))


def test_a_process_that_is_killed_has_spent_its_time_until_the_last_beat(run: Run, path: Path) -> None:
    process = writer(path, pause=3)
    assert process.stdout is not None
    while process.stdout.readline() != "beat\n":
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    spent = run.spent
    assert 1.2 <= spent < 10
    with run.session() as session:
        assert spent <= session.spent < spent + 5
        time.sleep(0.1)
        assert session.spent >= spent + 0.1
    assert spent + 0.1 <= run.spent < spent + 5


def test_beats_are_rare(run: Run) -> None:
    with run.session() as session:
        begun = time.perf_counter()
        for _ in range(1000):
            session.beat()
        assert (time.perf_counter() - begun) / 1000 < 1e-4


def test_alive_knows_processes_here_by_start_and_others_by_heartbeat() -> None:
    import os
    import platform

    import psutil

    host, me, born = platform.node(), os.getpid(), psutil.Process().create_time()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child_born = psutil.Process(child.pid).create_time()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert alive(host, me, born, beat=0.0)
    assert not alive(host, me, born - 100.0, beat=time.time())  # the number was used again
    assert not alive(host, child.pid, child_born, beat=time.time())  # a zombie
    child.wait()
    assert not alive(host, child.pid, child_born, beat=time.time())
    assert alive("elsewhere", me, born, beat=time.time())
    assert not alive("elsewhere", me, born, beat=time.time() - 1000)


def test_an_error_inside_a_session_is_not_hidden_by_the_store(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), run.session() as session:  # noqa: PT012
        session._connection.close()
        raise KeyboardInterrupt
