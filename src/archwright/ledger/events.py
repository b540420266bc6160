"""Events, and how they fold into trials."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec
from msgspec.structs import replace

from archwright.errors import LedgerError
from archwright.problem import Measurement, Proposal, Trial

Kind = Literal["started", "measured", "finished", "failed", "stopped", "duplicate", "noted", "final", "ended"]
"""What an event says; ``noted``, ``final`` and ``ended`` are about the run, the others about one trial."""

KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))
RUN_KINDS: Final = frozenset({"noted", "final", "ended"})
DONE_KINDS: Final = frozenset({"finished", "failed", "stopped", "duplicate"})


class Started(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proposal was accepted as a trial; ``fingerprint`` is the hash of the function family it computes."""

    proposal: Proposal
    fingerprint: str = ""


class Finished(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trial ran to its end, in ``seconds`` of wall time; its last measurement is final."""

    seconds: float = 0.0


class Failed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trial ended without a result, for this ``reason``."""

    reason: str
    seconds: float = 0.0


class Stopped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trial was ended early, for this ``reason``; its measurements so far count."""

    reason: str
    seconds: float = 0.0


class Duplicate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A trial was not run: trial ``of`` computes the same function, and its measurements are taken over."""

    of: int


class Ended(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The search ended, and ``why``: the budget, the user, nothing left to propose, ..."""

    why: str


Payload = Started | Measurement | Finished | Failed | Stopped | Duplicate | Ended | dict[str, Any]

_TYPES: Final[dict[str, Any]] = {
    "started": Started,
    "measured": Measurement,
    "finished": Finished,
    "failed": Failed,
    "stopped": Stopped,
    "duplicate": Duplicate,
    "noted": dict[str, Any],
    "final": dict[str, Any],
    "ended": Ended,
}
# JSON has no NaN: such metric values are written as strings, and strict=False reads them back as numbers.
_DECODERS: Final = {kind: msgspec.json.Decoder(of, strict=kind != "measured") for kind, of in _TYPES.items()}
_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True):
    """One line of a run's record.

    Attributes:
        seq: Number of the event in its run, counting from 1 without gaps.
        trial: The trial it is about; ``None`` where it is about the run.
        kind: What happened.
        payload: The details: :class:`Started`, :class:`~archwright.problem.Measurement`, :class:`Finished`, :class:`Failed`,
            :class:`Stopped`, :class:`Duplicate`, :class:`Ended`, or a dict of JSON values (``noted``, ``final``).
        at: When, in seconds since 1970.
        session: Id of the session (one process at work on the run) that wrote it.
    """

    seq: int
    trial: int | None
    kind: Kind
    payload: Payload
    at: float
    session: int


def encode(kind: str, payload: Any) -> str:
    """The JSON text of a payload, checked against its kind.

    Raises:
        LedgerError: Where the kind is unknown, or the payload does not fit it or is not JSON.
    """
    if kind not in KINDS:
        raise LedgerError(f"Got the event kind {kind!r}; expected one of {', '.join(sorted(KINDS))}.")
    try:
        if kind == "measured":
            payload = _finite(msgspec.convert(payload, Measurement))
        text = _encode(payload)
        _DECODERS[kind].decode(text)
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        expected = getattr(_TYPES[kind], "__name__", "dict")
        raise LedgerError(
            f"Got a payload that cannot be recorded as {kind!r}: {error}. Expected {expected} of JSON values (str, int, float, bool, None, list, dict)."
        ) from error
    return text.decode()


def _finite(measurement: Measurement) -> Any:
    if all(map(math.isfinite, measurement.values.values())):
        return measurement
    values = {name: value if math.isfinite(value) else str(value) for name, value in measurement.values.items()}
    return {**msgspec.structs.asdict(measurement), "values": values}


def decode(kind: str, text: str) -> Payload:
    """The typed payload of an event's JSON text."""
    payload: Payload = _DECODERS[kind].decode(text)
    return payload


def checksum(previous: str, seq: int, trial: int | None, kind: str, text: str, at: float, session: int) -> str:
    """The hash that chains an event to the one before it: an edited, torn or missing event breaks the chain."""
    content = f"{previous}\n{seq} {trial} {kind} {at!r} {session}\n{text}"
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def apply(trials: Mapping[int, Trial], event: Event) -> Trial | None:
    """The trial that an event changes, as it is afterwards; ``None`` for an event about the run.

    Storing the result as ``trials[trial.id] = trial`` after each event gives at any time what :func:`fold` gives.

    Raises:
        LedgerError: Where the event contradicts the earlier ones, for example the end of a trial that never started.
    """
    number, payload = event.trial, event.payload
    if number is None:
        return None
    if isinstance(payload, Started):
        if number in trials:
            raise LedgerError(f"Event {event.seq} starts trial {number} a second time.")
        return Trial(number, payload.proposal, fingerprint=payload.fingerprint)
    trial = trials.get(number)
    if trial is None or trial.status != "running":
        state = "never started" if trial is None else f"is already {trial.status}"
        raise LedgerError(f"Event {event.seq} says that trial {number} was {event.kind}, but it {state}.")
    if isinstance(payload, Measurement):
        return replace(trial, measurements=(*trial.measurements, payload))
    if isinstance(payload, Finished):
        return replace(trial, status="finished", seconds=payload.seconds)
    if isinstance(payload, Failed):
        return replace(trial, status="failed", reason=payload.reason, seconds=payload.seconds)
    if isinstance(payload, Stopped):
        return replace(trial, status="stopped", reason=payload.reason, seconds=payload.seconds)
    if isinstance(payload, Duplicate):
        known = trials.get(payload.of)
        if known is None:
            raise LedgerError(
                f"Event {event.seq} says that trial {number} is a duplicate of trial {payload.of}, which does not exist."
            )
        return replace(trial, status="duplicate", duplicate_of=payload.of, measurements=known.measurements)
    raise LedgerError(f"Event {event.seq} of kind {event.kind!r} is about trial {number}; expected one about the run.")


def fold(events: Iterable[Event]) -> tuple[Trial, ...]:
    """The trials that the events tell of, in the order of their numbers.

    Args:
        events: Events of one run in order, from the first.

    Raises:
        LedgerError: Where the events contradict each other.
    """
    trials: dict[int, Trial] = {}
    for event in events:
        trial = apply(trials, event)
        if trial is not None:
            trials[trial.id] = trial
    return tuple(trials[number] for number in sorted(trials))
