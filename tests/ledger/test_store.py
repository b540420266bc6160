"""Stores that are old, new, foreign, damaged, read-only, full or locked."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from archwright.errors import LedgerError
from archwright.ledger import Ended, Finished, Ledger, fold, salvage, schema, store
from archwright.problem import Architecture, Fidelity, Measurement, Proposal, Trial

PAGE = 4096


def sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.executescript(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def filled(path: Path, play: Any) -> Path:
    """A store with 300 finished trials, all of it in the main file."""
    with Ledger.open(path) as ledger, ledger.create_run("a", {"seed": 1}).session() as session:
        play(session, 0, 300)
    assert path.stat().st_size > 20 * PAGE
    return path


def test_a_missing_store_is_made_only_if_wanted(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "runs.db"
    with pytest.raises(LedgerError, match=f"no store at {path}"):
        Ledger.open(path, create=False)
    assert not path.parent.exists()
    Ledger.open(path).close()
    Ledger.open(str(path), create=False).close()
    Ledger.open(f"sqlite:///{path}").close()
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger.open(tmp_path)
    for url in ("nosuch://x", "oracle+nosuch://x/y"):
        with pytest.raises(LedgerError, match="cannot be used"):
            Ledger.open(url)


def test_settings_that_make_a_commit_durable(path: Path) -> None:
    with Ledger.open(path) as ledger, ledger.store.read() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_many_processes_may_make_the_same_store_at_once(path: Path) -> None:
    code = "import sys; from archwright.ledger import Ledger; Ledger.open(sys.argv[1]).create_run(None, {'task': 'x'})"
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(
                lambda _: subprocess.run(
                    [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
                ),
                range(4),
            )
        )
    assert [process.stderr for process in done] == [""] * 4
    with Ledger.open(path) as ledger:
        assert sorted(summary.name for summary in ledger.runs()) == [f"x-{n}" for n in range(1, 5)]


def test_a_store_of_version_1_is_still_read(path: Path) -> None:
    sql(path, (Path(__file__).parent / "store_v1.sql").read_text())
    with Ledger.open(path) as ledger:
        run = ledger.run("evening")
        assert run.header == {"task": "digits", "seed": 3}
        events = run.events()
        proposal = Proposal(Architecture((("stage1.kernel", 2),)), Fidelity(2, 0.5), None, {"by": "random"})
        measurement = Measurement(
            {"accuracy": 0.75, "loss": float("nan")}, 2, 1.5, {"checkpoint": "ab"}, {"numerics": "fp32"}
        )
        assert repr(fold(events)) == repr((Trial(0, proposal, "finished", (measurement,), "f0", seconds=1.75),))
        assert [event.payload for event in events[2:]] == [Finished(1.75), Ended("budget")]
        with run.session() as session:
            session.append("noted", None, {"resumed": True})
        assert len(run.events()) == 5
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT max(version) FROM schema_version").fetchone()[0] == schema.VERSION
    connection.close()


def test_steps_bring_an_older_store_up_to_date_once_and_wholly(path: Path) -> None:
    Ledger.open(path).close()
    opened, version = store.Store(path), schema.VERSION
    calls = []

    def add(connection: sa.Connection) -> None:
        calls.append("add")
        connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN colour TEXT DEFAULT 'blue'")

    def fail(connection: sa.Connection) -> None:
        calls.append("fail")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), opened.write() as connection:
        schema.prepare(connection, version + 2, {version: add, version + 1: fail})
    with opened.read() as connection:
        assert "colour" not in {column["name"] for column in sa.inspect(connection).get_columns("runs")}
        assert connection.scalar(sa.select(sa.func.max(schema.versions.c.version))) == version
    for _ in range(2):
        with opened.write() as connection:
            schema.prepare(
                connection, version + 2, {version: add, version + 1: add if calls.count("add") > 2 else lambda _: None}
            )
    assert calls == ["add", "fail", "add"]
    opened.close()
    with pytest.raises(LedgerError, match=rf"version {version + 2}, .*knows versions up to {version}\. Upgrade"):
        Ledger.open(path)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    sql(path, "CREATE TABLE songs (title TEXT)")
    with pytest.raises(LedgerError, match="another program: it has the tables songs"):
        Ledger.open(path)
    sql(path, "INSERT INTO songs VALUES ('x')")
    path.with_name("text").write_text("this is no database at all, " * 100)
    with pytest.raises(LedgerError, match=r"text cannot be used: the file is damaged \(file is not a database\)"):
        Ledger.open(path.with_name("text"))


def test_a_corrupt_page_is_named_and_what_lies_before_it_is_usable(filled: Path, play: Any, tmp_path: Path) -> None:
    with Ledger.open(filled) as ledger:
        everything = ledger.run("a").events()
    damaged = 0
    pages = filled.stat().st_size // PAGE
    for page in range(pages // 3, pages, pages // 8):
        broken = tmp_path / f"broken{page}.db"
        content = bytearray(filled.read_bytes())
        content[page * PAGE : (page + 1) * PAGE] = os.urandom(PAGE)
        broken.write_bytes(content)
        with Ledger.open(broken) as ledger:
            run = ledger.run("a")
            good, damage = run.read()
            assert good == everything[: len(good)]
            if damage is None:  # the page belongs to an index that reading does not need
                assert len(good) == len(everything)
                continue
            damaged += 1
            with pytest.raises(LedgerError, match=r"Event \d+ of the run 'a' in .* is damaged.*salvage"):
                run.events()
            with pytest.warns(UserWarning, match="Going on with"):
                assert run.events(strict=False) == good
        rescued = tmp_path / f"rescued{page}.db"
        (report,) = salvage(broken, rescued)
        assert (report.name, report.events) == ("a", len(good))
        assert report.damage
        with Ledger.open(rescued) as ledger:
            assert ledger.run("a").events() == good
            trials = fold(good)
            with ledger.run("a").session() as session:
                if trials[-1].status == "running":
                    session.append("failed", trials[-1].id, {"reason": "lost"})
                play(session, len(trials), 1)
    assert damaged >= 2


def test_a_store_whose_first_page_is_corrupt_is_an_error(filled: Path) -> None:
    content = bytearray(filled.read_bytes())
    content[: PAGE // 2] = os.urandom(PAGE // 2)
    filled.write_bytes(content)
    with pytest.raises(LedgerError, match="the file is damaged"):
        Ledger.open(filled)


def test_salvage_of_an_intact_store_copies_all_and_never_overwrites(filled: Path, tmp_path: Path) -> None:
    (report,) = salvage(filled, tmp_path / "new.db")
    assert (report.events, report.damage) == (1200, None)
    with Ledger.open(filled) as old, Ledger.open(tmp_path / "new.db") as new:
        assert old.run("a").events() == new.run("a").events()
        assert old.runs() == new.runs()
    with pytest.raises(LedgerError, match="already has runs"):
        salvage(filled, tmp_path / "new.db")


def test_a_read_only_store_can_be_read_but_not_written(filled: Path) -> None:
    with Ledger.open(f"sqlite:///file:{filled}?mode=ro&uri=true") as ledger:
        run = ledger.run("a")
        assert len(run.events()) == 1200
        for write in (run.session, lambda: ledger.create_run("b", {})):
            with pytest.raises(LedgerError, match=r"it is read-only .*Make the file and its folder writable"):
                write()


@pytest.mark.skipif(
    os.geteuid() == 0 and not Path("/usr/bin/setpriv").exists(),
    reason="the superuser may write everywhere, and there is no setpriv to become somebody else",
)
def test_a_read_only_folder_is_an_error_before_anything_is_done(filled: Path) -> None:
    code = "import sys; from archwright.ledger import Ledger; Ledger.open(sys.argv[1]).create_run('b', {})"
    somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    for folder in filled.parents:
        if folder.stat().st_uid == os.geteuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    for path in (filled, filled.parent / "new.db", filled.parent / "new" / "new.db"):
        mode, owner = filled.parent.stat().st_mode, filled.stat().st_mode
        filled.chmod(0o444)
        filled.parent.chmod(0o555)
        done = subprocess.run(
            [*somebody, sys.executable, "-c", code, path], capture_output=True, text=True, check=False
        )
        filled.parent.chmod(mode)
        filled.chmod(owner)
        if "No module named" in done.stderr or "Permission denied: 'python" in done.stderr:
            pytest.skip("somebody else cannot run this Python")
        last = done.stderr.splitlines()[-1]
        assert "LedgerError" in last
        assert "writable" in last


def test_a_full_disk_loses_nothing_and_can_be_resumed(path: Path, play: Any, proposal: Any) -> None:
    with Ledger.open(path) as ledger:
        run = ledger.create_run("a", {})
        with run.session() as session:
            play(session, 0, 20)
            pages = session._connection.exec_driver_sql("PRAGMA page_count").scalar()
            session._connection.commit()
            session._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            session._connection.commit()
            trial = 20
            with pytest.raises(LedgerError, match=r"the disk is full \(database or disk is full\). Free some space"):  # noqa: PT012
                while True:
                    play(session, trial, 1)
                    trial += 1
            written = run.events()
            assert fold(written)[:trial] == fold(written[: 4 * trial])
            session._connection.exec_driver_sql("PRAGMA max_page_count = 100000")
            session._connection.commit()
            last = fold(written)[-1]
            if last.status == "running":
                session.append("failed", last.id, {"reason": "disk"})
            play(session, last.id + 1, 20)
        assert len(fold(run.events())) == last.id + 21


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", tmp_path], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    code = """
        import sys
        from archwright.ledger import *
        from archwright.problem import *
        session = Ledger.open(sys.argv[1]).create_run("a", {}).session()
        for trial in range(100_000):
            session.append("started", trial, Started(Proposal(Architecture((("a", trial),)))))
            session.append("finished", trial, Finished(1.0))
            print(trial)
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), tmp_path / "runs.db"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "LedgerError" in done.stderr.splitlines()[-1]
        assert "Free some space" in done.stderr.splitlines()[-1] or "free space" in done.stderr.splitlines()[-1]
        printed = int(done.stdout.split()[-1])
        subprocess.run(["mount", "-o", "remount,size=3m", tmp_path], check=True)
        with Ledger.open(tmp_path / "runs.db") as ledger:
            trials = fold(ledger.run("a").events())
            assert [trial.status for trial in trials[: printed + 1]] == ["finished"] * (printed + 1)
            ledger.run("a").session().close()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_locked_store_is_an_error_after_the_wait(path: Path, proposal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.2)
    with Ledger.open(path) as ledger:
        run = ledger.create_run("a", {})
        with run.session() as session:
            blocker = sqlite3.connect(path, isolation_level=None)
            blocker.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match=r"another process has held it for .*\(database is locked\)"):
                session.append("started", 0, proposal(0))
            assert run.events() == []  # reading goes on
            blocker.execute("ROLLBACK")
            blocker.close()
            session.append("started", 0, proposal(0))
        assert len(run.events()) == 1


def test_the_tables_exist_in_postgresql_too() -> None:
    for table in schema.metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
