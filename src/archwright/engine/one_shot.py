"""The course of a search with shared weights: train them, search with them, train the best on their own.

While the shared weights are trained, the other workers train random architectures on their own. These are the control, and what the audit compares
shared with stand-alone scores on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from archwright.artifacts import Artifacts
from archwright.explain import ranking
from archwright.problem import ALONE, AUDIT, BASELINE, SUPERNET, Fidelity, Problem, Proposal, Trial, purpose
from archwright.strategies import Random

if TYPE_CHECKING:
    from archwright.engine.loop import Loop

SHARED = Fidelity(1, 1e-4)
"""Fidelity of a score with shared weights: below any training."""
CONTROLS = 8
"""Random architectures trained on their own: the control, and the audit's sample."""
FINALISTS = 4
"""Architectures trained on their own after the search with shared weights."""


class Plan(msgspec.Struct, frozen=True):
    """How a search with shared weights is divided.

    Attributes:
        epochs: Of the shared weights' training, at most.
        alone: Fidelity of a training on its own.
        controls: Random architectures trained on their own.
        finalists: Architectures trained on their own in the end.
        seconds: Of the shared weights' training, where time is limited.
        kept: Seconds kept back for the finalists' trainings, where time is limited.
    """

    epochs: int
    alone: Fidelity
    controls: int = CONTROLS
    finalists: int = FINALISTS
    seconds: float | None = None
    kept: float = 0.0

    def scaled(self, factor: float, most: int) -> Plan:
        """The plan for so many times the time.

        Args:
            factor: New time over old.
            most: Epochs of a training on its own, at most.
        """
        if self.seconds is None:
            return self
        own = _own(factor * self.alone.cost, most)
        return msgspec.structs.replace(
            self, alone=own, seconds=round(factor * self.seconds, 1), kept=round(factor * self.kept, 1)
        )


def _own(cost: float, most: int) -> Fidelity:
    """The fidelity of about so many epochs over all the data: at least two epochs, of a share of the data if need be."""
    epochs = max(2, min(most, math.floor(cost)))
    return Fidelity(epochs, round(min(1.0, max(0.01, cost / epochs)), 3))


def plan(
    epochs: int, full: Fidelity, search: float | None, pace: float | None, workers: int, derives: bool = False
) -> Plan:
    """The plan of a search.

    Where time is limited, the shared weights have half of it (65% where their picker settles on architectures itself; on one worker four fifths of that),
    and each control as long as lets eight of them be trained beside or after. A finalist has as long as a control.

    Args:
        epochs: Of the shared weights' training, at most.
        full: Fidelity of a trial where time is not limited.
        search: Seconds for searching, where time is limited.
        pace: Seconds of an epoch over all the training data, of a typical network on its own.
        workers: Evaluations at once.
        derives: Whether the picker settles on architectures itself.
    """
    if search is None or pace is None:
        return Plan(epochs, full)
    seconds = search * (0.65 if derives else 0.5) * (1.0 if workers > 1 else 0.8)
    each = seconds * (workers - 1) / CONTROLS if workers > 1 else 0.2 * search / CONTROLS
    alone = _own(max(each / max(pace, 1e-9), 0.02), full.epochs)
    kept = 1.5 * each * -(-FINALISTS // workers)
    return Plan(epochs, alone, seconds=round(seconds, 1), kept=round(min(kept, 0.3 * search), 1))


def plan_of(notes: dict[str, Any]) -> Plan:
    """The plan that a run's notes hold, among other things."""
    return msgspec.convert({key: value for key, value in notes.items() if key in Plan.__struct_fields__}, Plan)


@dataclasses.dataclass
class Course:
    """What is proposed when.

    Attributes:
        plan: How the search is divided.
        picker: The picker, as written.
        artifacts: The run's weights.
    """

    plan: Plan
    picker: str
    artifacts: Artifacts

    def propose(self, loop: Loop, rng: np.random.Generator, ask: Callable[[], Proposal | None]) -> Proposal | None:
        """The next proposal; ``None`` for nothing until something that runs has ended."""
        begun, controls = loop.of(SUPERNET), loop.of(BASELINE)
        weights = next((digest for trial in reversed(begun) if (digest := self._weights(trial)) is not None), None)
        running = [trial for trial in begun if not trial.done]
        if weights is None and not running:
            failed = next((trial for trial in reversed(begun) if trial.status == "failed"), None)
            if failed is not None:
                loop.ended = f"the shared weights could not be trained: {failed.reason}"
                return None
            return loop.interim.going_on(self._training(loop.problem, rng), begun)
        own = (controls[0].proposal.fidelity if controls else None) or self.plan.alone
        if len(controls) < self.plan.controls and self._time_for_controls(loop, running):
            drawn = Random().ask(None, loop.problem, rng)  # type: ignore[arg-type]
            return Proposal(drawn.architecture, own, why={"by": BASELINE}) if drawn else None
        if weights is None:
            return None
        audited = {trial.proposal.why.get("of") for trial in loop.of(AUDIT)}
        for trial in controls:
            if trial.status in ("finished", "duplicate") and trial.id not in audited:
                why = {"by": AUDIT, "of": trial.id, SUPERNET: weights}
                return Proposal(trial.proposal.architecture, SHARED, parent=trial.id, why=why)
        if not self._searched(loop):
            proposal = ask()
            if proposal is not None:
                return msgspec.structs.replace(proposal, fidelity=SHARED, why={**proposal.why, SUPERNET: weights})
            if any(purpose(loop.trials[number]) == "search" for number in loop.executor.running):
                return None
        return self._finalist(loop, weights, own)

    def _weights(self, trial: Trial) -> str | None:
        """The shared weights that a finished training left."""
        digest = trial.final.artifacts.get(SUPERNET) if trial.status == "finished" and trial.final else None
        return digest if digest is not None and digest in self.artifacts else None

    def _training(self, problem: Problem, rng: np.random.Generator) -> Proposal:
        drawn = Random().ask(None, problem, rng)  # type: ignore[arg-type]
        assert drawn is not None
        why: dict[str, Any] = {"by": SUPERNET, "picker": self.picker, "epochs": self.plan.epochs}
        if self.plan.seconds is not None:
            why["seconds"] = self.plan.seconds
        return Proposal(drawn.architecture, Fidelity(self.plan.epochs), why=why)

    def _time_for_controls(self, loop: Loop, running: list[Trial]) -> bool:
        """Where time is limited, controls begin while the shared weights are trained, or on one worker in a time of their own."""
        if self.plan.seconds is None or running:
            return True
        return loop.problem.workers == 1 and loop.clock.left - loop.reserve > 2 * self.plan.kept

    def _searched(self, loop: Loop) -> bool:
        """Whether the search with the shared weights is over."""
        limit = loop.problem.budget.trials
        if (limit is not None and loop.candidates >= limit) or loop.of(ALONE):
            return True
        if not loop.candidates:
            return False
        return self.plan.seconds is not None and loop.clock.left - loop.reserve <= self.plan.kept

    def _finalist(self, loop: Loop, weights: str, own: Fidelity) -> Proposal | None:
        """The next of the best with shared weights that is not trained on its own yet."""
        known = {trial.fingerprint for trial in loop.of(ALONE)}
        if len(known) >= self.plan.finalists:
            return None
        for trial in ranking(loop.of("search"), loop.problem):
            if trial.fingerprint not in known:
                why = {"by": ALONE, "of": trial.id, SUPERNET: weights, "picker": self.picker}
                return Proposal(trial.proposal.architecture, own, parent=trial.id, why=why)
        return None
