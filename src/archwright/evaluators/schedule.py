"""Where a training stands on its learning-rate schedule: by its steps, or by the clock."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from typing import Protocol


class Schedule(Protocol):
    """Leads a training from one place on the schedule to another."""

    def place(self, epoch: int, done: float) -> float:
        """Return the place on the schedule, in [0, 1].

        Args:
            epoch: Epochs trained so far.
            done: Fraction of the present epoch that is trained, in [0, 1].
        """

    def late(self) -> bool:
        """Whether the present epoch is to be cut short."""

    def after(self, epoch: int) -> Fraction:
        """Return the place at the end of an epoch.

        Args:
            epoch: Epochs trained so far, this one included.
        """

    def ends(self, epoch: int) -> bool:
        """Whether nothing is left to train.

        Args:
            epoch: Epochs trained so far.
        """


class BySteps:
    """So many epochs, each of equal length on the schedule. The same on every machine.

    Args:
        begin: Place at the start.
        target: Place at the end.
        epoch: Epochs trained before.
        epochs: Epochs at the end.
    """

    def __init__(self, begin: Fraction, target: Fraction, epoch: int, epochs: int) -> None:
        self._progress, self._target, self._epochs = begin, target, epochs

    def place(self, epoch: int, done: float) -> float:
        """The place by the steps."""
        return float(self._progress) + float(self._next(epoch) - self._progress) * done

    def _next(self, epoch: int) -> Fraction:
        return self._progress + (self._target - self._progress) / max(1, self._epochs - epoch)

    def late(self) -> bool:
        """Never."""
        return False

    def after(self, epoch: int) -> Fraction:
        """The place by the epochs."""
        self._progress = self._next(epoch - 1)
        return self._progress

    def ends(self, epoch: int) -> bool:
        """Whether all epochs are trained."""
        return epoch >= self._epochs


class ByClock:
    """Ends at a moment, however fast the training turns out to be; sooner once it had enough epochs.

    Args:
        begin: Place at the start.
        end: ``time.monotonic()`` at which to be done.
        epoch: Epochs trained before.
        most: Epochs at the end, at most.
    """

    def __init__(self, begin: Fraction, end: float, epoch: int, most: float = math.inf) -> None:
        self._begin, self._start, self._end = float(begin), time.monotonic(), end
        self._epoch, self._most = epoch, max(most, epoch + 1)

    def place(self, epoch: int, done: float) -> float:
        """The place by the clock, or by the epochs if these are further on."""
        timed = (time.monotonic() - self._start) / max(self._end - self._start, 1e-9)
        trained = (epoch - self._epoch + done) / (self._most - self._epoch)
        return self._begin + (1.0 - self._begin) * min(1.0, max(0.0, timed, trained))

    def late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._end

    def after(self, epoch: int) -> Fraction:
        """The place at this moment."""
        return Fraction(1) if self.ends(epoch) else Fraction(self.place(epoch, 0.0))

    def ends(self, epoch: int) -> bool:
        """Whether the time is over, or there were enough epochs."""
        return self.late() or epoch >= self._most
