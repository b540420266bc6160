"""The contract of a ledger: concurrent writers lose nothing and duplicate nothing; a torn write is found; folding is applying."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

import cloudpickle  # type: ignore[import-untyped]

from archwright.errors import LedgerError
from archwright.ledger import Event, Finished, Ledger, Run, Session, Started, apply, fold, schema
from archwright.problem import Architecture, Measurement, Proposal, Trial

_COMMAND = "import pickle, sys; sys.path[:], work, *arguments = pickle.load(sys.stdin.buffer); work(*arguments)"


def check_ledger(open_ledger: Callable[[], Ledger], *, writers: int = 3, trials: int = 5) -> None:
    """Checks a store against the contract of :class:`~archwright.ledger.Ledger`, with real processes.

    Args:
        open_ledger: Opens the store, an empty one at first; the same store each time, also in another process.
        writers: How many processes write at once.
        trials: How many trials each of them records.

    Raises:
        AssertionError: Where the contract is broken, saying how.
    """
    with open_ledger() as ledger:
        assert ledger.runs() == [], "check_ledger needs a store without runs"
        for number in range(writers):
            ledger.create_run(f"own-{number}", {"writer": number})
        shared = ledger.create_run("shared", {})
        _at_once([(fill, open_ledger, f"own-{number}", trials) for number in range(writers)])
        for number in range(writers):
            _whole(ledger.run(f"own-{number}").events(), trials)
        _at_once([(take_turns, open_ledger, "shared", trials) for _ in range(writers)])
        _whole(shared.events(), writers * trials)
    with open_ledger() as ledger:
        _prefixes(ledger.run("own-0").events())
        _torn(ledger, ledger.run("own-0"))


def record(session: Session, trial: int) -> None:
    """Records one finished trial with one measurement."""
    session.append("started", trial, Started(Proposal(Architecture((("a", trial),)), why={"by": "check"}), str(trial)))
    session.append("measured", trial, Measurement({"accuracy": trial / 1000}))
    session.append("finished", trial, Finished(0.1))


def fill(open_ledger: Callable[[], Ledger], name: str, trials: int) -> None:
    """Records that many trials in one session."""
    with open_ledger() as ledger, ledger.run(name).session("fill") as session:
        for trial in range(trials):
            record(session, trial)


def take_turns(open_ledger: Callable[[], Ledger], name: str, trials: int) -> None:
    """Records that many trials, each in a session of its own, among others that do the same."""
    done, until = 0, time.monotonic() + 60
    with open_ledger() as ledger:
        while done < trials:
            with suppress(LedgerError), ledger.run(name).session("take turns") as session:
                record(session, len(fold(ledger.run(name).events())))
                done += 1
            assert time.monotonic() < until, "a session of the shared run could not be had within 60 s"
            time.sleep(0.001)


def _at_once(works: list[tuple[object, ...]]) -> None:
    inputs = [cloudpickle.dumps((sys.path, *work)) for work in works]
    processes = [
        subprocess.Popen([sys.executable, "-c", _COMMAND], stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in works
    ]
    for process, content in zip(processes, inputs, strict=True):
        assert process.stdin is not None
        process.stdin.write(content)
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, f"a writer failed: {errors.decode()}"


def _whole(events: list[Event], trials: int) -> None:
    assert [event.seq for event in events] == list(range(1, 3 * trials + 1)), "events were lost or duplicated"
    kinds = [(event.trial, event.kind) for event in events]
    assert kinds == [(trial, kind) for trial in range(trials) for kind in ("started", "measured", "finished")], (
        "events are out of order"
    )
    assert all(trial.status == "finished" and trial.value("accuracy") == trial.id / 1000 for trial in fold(events)), (
        "trials differ from what was written"
    )


def _prefixes(events: list[Event]) -> None:
    trials: dict[int, Trial] = {}
    for position, event in enumerate(events):
        trial = apply(trials, event)
        if trial is not None:
            trials[trial.id] = trial
        assert fold(events[: position + 1]) == tuple(trials.values()), (
            f"fold differs from apply after event {event.seq}"
        )


def _torn(ledger: Ledger, run: Run) -> None:
    before, table = run.events(), schema.events
    middle = before[len(before) // 2]
    half = table.update().where(table.c.run == run.id, table.c.seq == middle.seq).values(payload="{")
    with ledger.store.write() as connection:
        connection.execute(half)
    message = ""
    try:
        run.events()
    except LedgerError as error:
        message = str(error)
    assert message, "a torn event was not found"
    assert f"Event {middle.seq}" in message, f"the error does not name event {middle.seq}: {message}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run.events(strict=False) == before[: middle.seq - 1], "the events before a torn one are not usable"
