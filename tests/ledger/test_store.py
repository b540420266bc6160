"""Stores that are old, new, foreign, damaged, read-only, full or locked."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from archwright.errors import LedgerError
from archwright.ledger import Ended, Finished, Ledger, fold, salvage, schema, store
from archwright.problem import Architecture, Fidelity, Measurement, Proposal, Trial
from archwright.testing.ledger import check_ledger

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


def broken_pages(filled: Path, tmp_path: Path) -> Any:
    """Copies of the store with one page overwritten in each."""
    pages = filled.stat().st_size // PAGE
    for page in range(1, pages, pages // 10):
        broken = tmp_path / f"broken{page}.db"
        content = bytearray(filled.read_bytes())
        content[page * PAGE : (page + 1) * PAGE] = os.urandom(PAGE)
        broken.write_bytes(content)
        yield broken


def test_a_corrupt_page_is_named_and_what_lies_before_it_is_usable(filled: Path, play: Any, tmp_path: Path) -> None:
    with Ledger.open(filled) as ledger:
        everything = ledger.run("a").events()
    damaged, causes = 0, []
    for broken in broken_pages(filled, tmp_path):
        try:
            ledger = Ledger.open(broken)
            run = ledger.run("a")
        except LedgerError as error:  # the page belongs to the tables of versions or runs
            causes.append(str(error))
            continue
        good, damage = run.read()
        assert good == everything[: len(good)]
        if damage is None:  # the page belongs to an index that reading does not need
            assert len(good) == len(everything)
        else:
            damaged += 1
            with pytest.raises(LedgerError, match=r"Event \d+ of the run 'a' in .* is damaged.*salvage"):
                run.events()
            with pytest.warns(UserWarning, match="Going on with"):
                assert run.events(strict=False) == good
            rescued = broken.with_suffix(".rescued")
            (report,) = salvage(broken, rescued)
            assert (report.name, report.events) == ("a", len(good))
            assert report.lost is None or report.lost.startswith(f"event {len(good) + 1} ")
            with Ledger.open(rescued) as other:
                assert other.run("a").events() == good
        ledger.close()
    assert damaged >= 2
    assert all("the file is damaged" in cause for cause in causes)


def test_with_the_spare_copy_a_corrupt_page_costs_nothing(filled: Path, play: Any, tmp_path: Path) -> None:
    with Ledger.open(filled) as ledger:
        before, summary = ledger.run("a").events(), ledger.runs()
    for broken in [*broken_pages(filled, tmp_path), tmp_path / "empty.db"]:
        broken.touch()
        shutil.copy(f"{filled}.copy", f"{broken}.copy")
        rescued = broken.with_suffix(".rescued")
        (report,) = salvage(broken, rescued)
        assert (report.name, report.events, report.lost) == ("a", 1200, None)
        with Ledger.open(rescued) as ledger:
            run = ledger.run("a")
            assert run.events() == before
            assert ledger.runs() == summary
            with run.session() as session:
                play(session, 300, 1)
        (again,) = salvage(rescued, broken.with_suffix(".again"))
        assert (again.events, again.lost) == (1204, None)


def test_a_torn_line_of_the_spare_copy_is_passed_over(filled: Path, tmp_path: Path) -> None:
    copy = Path(f"{filled}.copy")
    lines = copy.read_bytes().split(b"\n")
    copy.write_bytes(b"\n".join([*lines[:500], lines[500][:30], *lines[501:]]))
    assert [(report.events, report.lost) for report in salvage(filled, tmp_path / "new.db")] == [(1200, None)]
    sql(filled, "DELETE FROM events WHERE seq BETWEEN 400 AND 600")
    (report,) = salvage(filled, tmp_path / "newer.db")
    assert 490 < report.events < 500
    assert report.lost == f"event {report.events + 1} and what follows, up to event 1200 at least"


def test_a_spare_copy_that_cannot_be_written_is_a_warning(path: Path, play: Any) -> None:
    with Ledger.open(path) as ledger:
        Path(f"{path}.copy").mkdir()
        with pytest.warns(UserWarning, match="spare copy .* cannot be written"):
            run = ledger.create_run("a", {})
        with warnings.catch_warnings(), run.session() as session:
            warnings.simplefilter("error")  # once is enough
            play(session, 0, 3)
        assert len(run.events()) == 12


def test_the_spare_copy_of_a_deleted_store_is_put_aside(filled: Path) -> None:
    filled.unlink()
    with Ledger.open(filled) as ledger:
        ledger.create_run("b", {})
    assert len(Path(f"{filled}.copy").read_text().splitlines()) == 1
    assert len(Path(f"{filled}.copy.old").read_text().splitlines()) > 1200


def test_a_store_whose_first_page_is_corrupt_is_an_error(filled: Path) -> None:
    content = bytearray(filled.read_bytes())
    content[: PAGE // 2] = os.urandom(PAGE // 2)
    filled.write_bytes(content)
    with pytest.raises(LedgerError, match="the file is damaged"):
        Ledger.open(filled)


def test_salvage_of_an_intact_store_copies_all_and_never_overwrites(filled: Path, tmp_path: Path) -> None:
    (report,) = salvage(filled, tmp_path / "new.db")
    assert (report.events, report.lost) == (1200, None)
    with Ledger.open(filled) as old, Ledger.open(tmp_path / "new.db") as new:
        assert old.run("a").events() == new.run("a").events()
        assert old.runs() == new.runs()
    with pytest.raises(LedgerError, match="already has runs"):
        salvage(filled, tmp_path / "new.db")
    for source in (tmp_path / "none.db", Path(f"{filled}.copy")):
        with pytest.raises(LedgerError):
            salvage(source, tmp_path / "newest.db")
    assert not (tmp_path / "none.db").exists()


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
def test_a_read_only_folder_is_an_error_before_anything_is_done() -> None:
    code = "import sys; from archwright.ledger import Ledger; Ledger.open(sys.argv[1]).create_run('b', {})"
    somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Ledger.open(folder / "old.db").close()
        (folder / "old.db").chmod(0o444)
        folder.chmod(0o555)
        for path in (folder / "old.db", folder / "new.db", folder / "new" / "new.db"):
            command = [*somebody, sys.executable, "-c", code, path]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if somebody and ("No module named" in done.stderr or "Permission denied" in done.stderr.splitlines()[0]):
                pytest.skip("somebody else cannot run this Python")
            last = done.stderr.splitlines()[-1]
            assert "LedgerError" in last
            assert "writable" in last
        folder.chmod(0o755)


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


TOGETHER = """
import sys, time
from archwright.ledger import Ledger

folder, name, start = sys.argv[1:]
for number in range(40):
    time.sleep(max(0.0, float(start) + 0.1 * number - time.time()))
    with Ledger.open(f"{folder}/{number}.db") as ledger:
        ledger.create_run(name, {})
"""


@pytest.mark.slow
@pytest.mark.sample
def test_several_processes_make_a_store_together(tmp_path: Path) -> None:
    start = f"{time.time() + 3.0}"
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, str(tmp_path), name, start], stderr=subprocess.PIPE, text=True
        )
        for name in "abcd"
    ]
    assert [maker.communicate(timeout=100)[1] for maker in makers] == [""] * 4
    for number in range(40):
        with Ledger.open(tmp_path / f"{number}.db", create=False) as ledger:
            assert {run.name for run in ledger.runs()} == set("abcd")


def test_the_tables_exist_in_postgresql_too() -> None:
    for table in schema.metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


@pytest.mark.skipif(
    "ARCHWRIGHT_TEST_DATABASE" not in os.environ,
    reason="set ARCHWRIGHT_TEST_DATABASE to the URL of an empty PostgreSQL database",
)
def test_the_contract_holds_in_another_database() -> None:
    check_ledger(partial(Ledger.open, os.environ["ARCHWRIGHT_TEST_DATABASE"]))
