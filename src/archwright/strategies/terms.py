"""What a race of candidates for one long training is about."""

from __future__ import annotations

import msgspec

from archwright.problem import Fidelity, Problem

ETA = 3
"""Factor between the epochs of two levels."""
LEVELS = 4
"""Levels at most; the highest is the whole training of the answer."""


class Terms(msgspec.Struct, frozen=True):
    """What a race is about: the problem's setting ``race``.

    Attributes:
        start: Name of the reference to begin with.
        flops: Its FLOPs.
        epochs: Epochs of its training as the answer, if no time is spent on searching.
        most: Epochs of the longest training that can be of use.
        seconds: Seconds that this training takes.
        spare: Seconds beyond these.
        pace: Seconds of an epoch of a trial of it.
        overhead: Seconds that a trial takes beyond its training.
        rows: Validation rows of a trial.
        loss: Whether the error is a loss, whose unit says nothing, and no share of something.
    """

    start: str
    flops: float
    epochs: int
    most: int
    seconds: float
    spare: float
    pace: float
    overhead: float
    rows: int
    loss: bool = False

    @classmethod
    def of(cls, problem: Problem) -> Terms | None:
        """Return the terms of a problem; ``None`` if there is time for whole trainings."""
        found = problem.settings.get("race")
        return None if found is None else msgspec.convert(found, cls)

    def with_seconds(self, more: float) -> Terms:
        """Return the terms if there is more time than planned: more epochs, up to the most, then time to spare."""
        total, epoch = self.seconds + self.spare + more, self.seconds / self.epochs
        epochs = max(1, min(self.most, round(total / epoch)))
        needed = total if epochs < self.most else min(total, epochs * epoch)
        return msgspec.structs.replace(self, seconds=round(needed, 3), spare=round(total - needed, 3), epochs=epochs)

    @property
    def levels(self) -> tuple[Fidelity, ...]:
        """The trainings of candidates, the shortest first.

        >>> [level.epochs for level in Terms("resnet", 1e6, 54, 60, 500.0, 0.0, 8.0, 2.0, 1500).levels]
        [2, 6, 18, 54]
        >>> Terms("resnet", 1e6, 3, 60, 100.0, 0.0, 16.0, 2.0, 1500).levels[:2]
        (Fidelity(epochs=1, share=0.11), Fidelity(epochs=1, share=0.33))
        """
        lengths = [self.epochs / ETA**power for power in reversed(range(LEVELS))]
        return tuple(
            Fidelity(1, round(max(0.02, length), 2)) if length < 1.0 else Fidelity(round(length)) for length in lengths
        )
