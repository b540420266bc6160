"""The time a search has, how fast trials turned out to train, and what its end will take."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time

from archwright.problem import Fidelity, Trial

RESERVE_SHARE = 0.5
"""Most of a time budget that is kept back for the final training, which then has fewer epochs than it would. Searching longer gains less than these do."""
STATISTICS = 1e-4
"""Seconds that the intervals of the test metrics take for each test row of a finalist."""
SPEEDUP = 0.7
"""So many threads to this power is how many times as fast they train one network: 1.6 times for two (1.1 to 1.7 were seen)."""


class Clock:
    """Seconds spent by a run over all its sessions, and those left of a budget (infinite where time is not limited)."""

    def __init__(self, spent: float, limit: float | None) -> None:
        self._start = time.monotonic() - spent
        self._limit = limit

    @property
    def spent(self) -> float:
        """Seconds since the run first started, pauses between sessions not counted."""
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds left, at least zero."""
        return float("inf") if self._limit is None else max(0.0, self._limit - self.spent)


@dataclasses.dataclass(frozen=True)
class Pace:
    """How fast a network trains and predicts.

    Attributes:
        epoch: Seconds of training for an epoch over all the training data.
        row: Seconds for the outputs of one row without gradients.
    """

    epoch: float
    row: float = 0.0

    def tested(self, threads: int) -> float:
        """Seconds that a row of the test may take, in full precision, which may be twice as slow, and on so many threads."""
        return 2 * self.row / threads

    @classmethod
    def of(cls, trial: Trial, share: float, epochs: float) -> Pace:
        """The pace that a finished trial showed, from its second epoch on where there is one, for the first warms up.

        Args:
            trial: The trial. Where its evaluator's notes do not tell ``training`` from ``predicting``, all its time counts as training.
            share: Of the training data that it saw.
            epochs: Epochs over all the training data that it was trained for.
        """
        notes = [measurement.notes for measurement in trial.measurements[1:] or trial.measurements]
        if all("training" in note and "predicting" in note for note in notes):
            return cls(
                statistics.median(note["training"] for note in notes) / share,
                statistics.median(note["predicting"] for note in notes),
            )
        return cls(trial.seconds / max(epochs, 1e-9))


@dataclasses.dataclass(frozen=True)
class Ending:
    """The last step of a search and what it takes: some finalists are trained again, on train and validation rows, and tested.

    Attributes:
        finalists: How many (0: no final training).
        fidelity: What they are trained with, at most where time is limited.
        steep: Epochs after which more training gains little, so that a forecast counts no more of them.
        threads: That each of them is trained on.
        growth: Rows they are trained on, per training row.
        measured: Validation rows that their outputs are computed for after each epoch.
        tested: Test rows.
        after: Seconds wanted for what follows, such as an export; a tenth of the budget at most.
    """

    finalists: int = 0
    fidelity: Fidelity = Fidelity()
    steep: int = 1
    threads: int = 1
    growth: float = 1.25
    measured: int = 0
    tested: int = 0
    after: float = 0.0

    def epoch(self, pace: Pace) -> float:
        """Seconds of an epoch of a final training."""
        return (self.growth * pace.epoch + self.measured * pace.row) / float(self.threads**SPEEDUP)

    def margin(self, limit: float, row: float) -> float:
        """Seconds to keep back for the test and for what comes after.

        Args:
            limit: The time budget.
            row: Seconds that the outputs for a test row take.
        """
        return min(self.after, 0.1 * limit) + 0.5 + 0.01 * limit + self.finalists * self.tested * (row + STATISTICS)

    def reserve(self, limit: float, pace: Pace, workers: int, least: float = 0.0) -> float:
        """Seconds to keep back for the end of a search.

        Args:
            limit: The time budget.
            pace: That of the finalists.
            workers: How many are trained at once.
            least: Epochs over all the data below which training again is no use, as the trials had as many; time is kept back for the test only then.
        """
        epoch, margin = -(-self.finalists // workers) * self.epoch(pace), self.margin(limit, pace.tested(workers))
        most = RESERVE_SHARE * limit - margin
        return margin + (0.0 if most < least * epoch else min(most, 1.2 * self.fidelity.cost * epoch))

    def training(self, limit: float, pace: Pace, workers: int) -> dict[str, float]:
        """What a forecast counts of a finalist's training: ``seconds`` on the training rows, and ``epochs`` over all the data, at most.

        Args:
            limit: The time budget.
            pace: A typical one.
            workers: How many are trained at once.
        """
        seconds = max(0.0, RESERVE_SHARE * limit - self.margin(limit, pace.tested(workers))) / -(
            -self.finalists // workers
        )
        return {"seconds": round(seconds * pace.epoch / self.epoch(pace), 3), "epochs": float(self.steep)}

    def affordable(self, seconds: float, pace: Pace, least: float = 0.0) -> Fidelity | None:
        """Return what a finalist can be trained with in so many seconds.

        The training itself fits its learning rate to the time that it really takes.

        Args:
            seconds: For the training.
            pace: Of the network.
            least: Epochs over all the data that it must have more than.

        Returns:
            ``None`` if there is no time for more than `least` epochs.
        """
        epochs = seconds / max(self.epoch(pace), 1e-9)
        return None if epochs <= least else Fidelity(min(self.fidelity.epochs, math.ceil(epochs)))
