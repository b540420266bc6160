from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import LedgerError
from archwright.ledger import Duplicate, Ended, Event, Failed, Finished, Started, Stopped, apply, fold
from archwright.ledger.events import checksum, decode, encode
from archwright.problem import Architecture, Fidelity, Measurement, Proposal, Trial

PROPOSAL = Proposal(
    Architecture((("a", 1),)), Fidelity(3, 0.5), parent=0, why={"by": "mutate", "edit": ["a", 0, 1]}, resume="ab" * 32
)
json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def event(seq: int, trial: int | None, kind: Any, payload: Any) -> Event:
    return Event(seq, trial, kind, payload, at=float(seq), session=1)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Events that a search with several workers may write."""
    events: list[Event] = []
    running: list[int] = []
    started = 0
    for _ in range(draw(st.integers(0, 30))):
        move = draw(st.sampled_from(["start", "measure", "end", "note"]))
        seq = len(events) + 1
        if move == "start":
            events.append(event(seq, started, "started", Started(PROPOSAL, f"fp{started}")))
            running.append(started)
            started += 1
        elif move == "measure" and running:
            value = draw(st.floats())
            events.append(
                event(seq, draw(st.sampled_from(running)), "measured", Measurement({"accuracy": value}, epoch=seq))
            )
        elif move == "end" and running:
            trial = draw(st.sampled_from(running))
            running.remove(trial)
            ends = [
                ("finished", Finished(1.0)),
                ("failed", Failed("because", 2.0)),
                ("stopped", Stopped("hopeless", 3.0)),
            ]
            kind, payload = draw(st.sampled_from([*ends, ("duplicate", Duplicate(0))] if trial else ends))
            events.append(event(seq, trial, kind, payload))
        else:
            events.append(event(seq, None, "noted", {"text": "hello"}))
    return events


@settings(deadline=None, max_examples=60)
@given(histories())
def test_folding_any_prefix_is_applying_one_event_after_the_other(events: list[Event]) -> None:
    trials: dict[int, Trial] = {}
    for position, entry in enumerate(events):
        before = dict(trials)
        trial = apply(trials, entry)
        assert trials == before  # apply is pure
        if trial is not None:
            trials[trial.id] = trial
        assert repr(fold(events[: position + 1])) == repr(tuple(trials.values()))  # repr: NaN is not equal to itself


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), st.floats()),
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), json, max_size=3),
)
def test_measurements_come_back_as_they_were(values: dict[str, float], notes: dict[str, Any]) -> None:
    measurement = Measurement(values, epoch=3, seconds=0.1, artifacts={"checkpoint": "ab"}, notes=notes)
    assert repr(decode("measured", encode("measured", measurement))) == repr(measurement)


def test_other_payloads_come_back_as_they_were() -> None:
    payloads: dict[str, Any] = {
        "started": Started(PROPOSAL, "fp"),
        "finished": Finished(1.5),
        "failed": Failed("ValueError: \x00 ü", 0.1),
        "stopped": Stopped("hopeless", 0.1),
        "duplicate": Duplicate(3),
        "noted": {"text": "hello", "list": [1, None, 2.5]},
        "final": {"trial": 3},
        "ended": Ended("budget"),
    }
    for kind, payload in payloads.items():
        assert decode(kind, encode(kind, payload)) == payload
    assert decode("failed", encode("failed", {"reason": "x"})) == Failed("x")


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("begun", {}),
        ("finished", {"second": 1.0}),
        ("failed", {}),
        ("duplicate", {"of": "three"}),
        ("started", Started(Proposal(PROPOSAL.architecture, why={"x": object()}))),
        ("measured", {"epoch": 1}),
        ("measured", {"values": {"accuracy": "high"}}),
        ("noted", [1]),
        ("noted", {"x": "\ud800"}),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, payload: Any) -> None:
    with pytest.raises(LedgerError, match=kind):
        encode(kind, payload)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([("finished", 0, Finished())], "never started"),
        ([("started", 0, Started(PROPOSAL)), ("started", 0, Started(PROPOSAL))], "second time"),
        (
            [("started", 0, Started(PROPOSAL)), ("finished", 0, Finished()), ("measured", 0, Measurement({}))],
            "already finished",
        ),
        ([("started", 0, Started(PROPOSAL)), ("duplicate", 0, Duplicate(5))], "trial 5, which does not exist"),
        ([("started", 0, Started(PROPOSAL)), ("ended", 0, Ended("x"))], "expected one about the run"),
    ],
)
def test_contradictions_are_refused(events: list[tuple[str, int, Any]], message: str) -> None:
    with pytest.raises(LedgerError, match=message):
        fold(event(seq + 1, trial, kind, payload) for seq, (kind, trial, payload) in enumerate(events))


def test_a_duplicate_takes_over_the_measurements() -> None:
    measurement = Measurement({"accuracy": 0.5})
    trials = fold(
        [
            event(1, 0, "started", Started(PROPOSAL, "fp")),
            event(2, 0, "measured", measurement),
            event(3, 0, "finished", Finished(2.0)),
            event(4, 1, "started", Started(PROPOSAL, "fp")),
            event(5, 1, "duplicate", Duplicate(0)),
        ]
    )
    assert trials[1] == Trial(1, PROPOSAL, "duplicate", (measurement,), "fp", duplicate_of=0)
    assert trials[0] == Trial(0, PROPOSAL, "finished", (measurement,), "fp", seconds=2.0)


def test_a_checksum_depends_on_all_it_covers() -> None:
    base = ("0" * 32, 1, 2, "finished", '{"seconds":1.0}', 3.5, 4)
    changes: list[Any] = ["1" * 32, 2, None, "failed", '{"seconds":1.1}', math.nextafter(3.5, 4), 5]
    sums = {checksum(*base)} | {checksum(*base[:i], change, *base[i + 1 :]) for i, change in enumerate(changes)}  # type: ignore[arg-type]
    assert len(sums) == len(changes) + 1
