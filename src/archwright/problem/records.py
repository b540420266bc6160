"""The records that flow through a search: frozen, hashable where that helps, JSON by msgspec, no torch."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Final, Literal

import msgspec

Shape = tuple[int, ...]
"""A tensor's shape without the batch dimension: ``(3, 32, 32)`` for an image, ``(30,)`` for a table row."""

Status = Literal["running", "finished", "failed", "stopped", "duplicate"]
INTERIM: Final = "interim"
"""Name of the artifact of a measurement that the evaluation can go on from after an interruption. It is then given as ``resume``, and ``why["spent"]`` tells
the measurement's seconds."""


class Signature(msgspec.Struct, frozen=True):
    """What goes into and comes out of every network of a problem.

    Attributes:
        inputs: Shape of each input, without the batch dimension.
        outputs: Number of output units of each output (classes, or regression targets).
        positions: What follows the units in the shape of an output: ``(T,)`` where each of T steps is predicted, nothing where the whole input is.
        columns: Sizes of the groups that the first input of a table consists of, in order: 1 for a number,
            the number of categories for a one-hot group. Empty if the layout is not known.
    """

    inputs: tuple[Shape, ...]
    outputs: tuple[int, ...]
    positions: Shape = ()
    columns: tuple[int, ...] = ()


class Architecture(msgspec.Struct, frozen=True, dict=True):
    """An architecture: the choices made in a space, in the order the space asks for them.

    Only active choices are listed. Each is ``(address, option)``: where in the expression, and the index of the option taken.
    """

    choices: tuple[tuple[str, int], ...]

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits: the hash of the canonical JSON, equal across processes and machines."""
        return hashlib.sha256(msgspec.json.encode(self.choices)).hexdigest()[:12]

    def as_dict(self) -> dict[str, int]:
        """The choices as a mapping from address to option index."""
        return dict(self.choices)


class Fidelity(msgspec.Struct, frozen=True, order=True):
    """How much an evaluation spends on a candidate.

    Attributes:
        epochs: Passes over the share of the training data.
        share: Fraction of the training data used, in (0, 1].
    """

    epochs: int = 1
    share: float = 1.0

    @property
    def cost(self) -> float:
        """Equivalent number of epochs over all the training data."""
        return self.epochs * self.share


class Proposal(msgspec.Struct, frozen=True):
    """What a strategy wants evaluated, and why.

    Attributes:
        architecture: The candidate.
        fidelity: How much to spend on it; ``None`` means the evaluator's full fidelity.
        parent: Trial this candidate was derived from (mutated, crossed over, promoted).
        why: Recorded reasons, JSON values only. ``by`` names the strategy or operator; other usual keys: ``edit`` (what changed
            against the parent), ``predicted``, ``uncertainty``, ``acquisition``, ``rung``.
        resume: Content hash of the artifact to continue from: the checkpoint of a lower fidelity of the same architecture, or what an interrupted evaluation left.
    """

    architecture: Architecture
    fidelity: Fidelity | None = None
    parent: int | None = None
    why: dict[str, Any] = {}
    resume: str | None = None


class Measurement(msgspec.Struct, frozen=True):
    """One report of an evaluation. The last one yielded is final.

    Attributes:
        values: Metric name to value, for example ``{"accuracy": 0.97, "loss": 0.11, "params": 12000}``.
        epoch: Epochs trained so far, counting those of a resumed checkpoint.
        seconds: Seconds spent so far on this evaluation.
        artifacts: Name to content hash, for example ``{"checkpoint": "ab12..."}``.
        notes: Anything a reader may want to know: numerics mode, learning rate, warnings. JSON values only.
    """

    values: dict[str, float]
    epoch: int = 0
    seconds: float = 0.0
    artifacts: dict[str, str] = {}
    notes: dict[str, Any] = {}


class Trial(msgspec.Struct, frozen=True):
    """One evaluation of one proposal, as folded from the ledger.

    Attributes:
        id: Number of the trial in its run, counting from 0 in the order of proposal.
        proposal: What was asked for.
        status: ``running``; ``finished``; ``failed`` (see ``reason``); ``stopped`` early; ``duplicate`` of a known function (not trained
            again: the measurements are those of trial ``duplicate_of``).
        measurements: All reports so far, oldest first.
        fingerprint: Hash of the function family the candidate computes; equal ones are evaluated once.
        reason: Why it failed or was stopped.
        duplicate_of: The trial whose result was reused.
        seconds: Wall seconds it took.
    """

    id: int
    proposal: Proposal
    status: Status = "running"
    measurements: tuple[Measurement, ...] = ()
    fingerprint: str = ""
    reason: str | None = None
    duplicate_of: int | None = None
    seconds: float = 0.0

    @property
    def final(self) -> Measurement | None:
        """The last measurement, or ``None`` before the first."""
        return self.measurements[-1] if self.measurements else None

    @property
    def done(self) -> bool:
        """Whether nothing more will be heard of this trial."""
        return self.status != "running"

    def value(self, metric: str) -> float | None:
        """The final value of a metric of a finished (or reused) trial; ``None`` where there is none."""
        if self.status not in ("finished", "duplicate", "stopped") or not self.measurements:
            return None
        return self.measurements[-1].values.get(metric)
