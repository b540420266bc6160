"""What trials cost: the epochs and seconds of a search, and what another trial would take."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping

from archwright.explain import SCORED, fidelity
from archwright.problem import BASELINE, FINAL, SUPERNET, Fidelity, Problem, Proposal, Trial, purpose


class Accounts:
    """What a run's trials have cost.

    Args:
        problem: What is searched.
        trials: Those of the run, by number; the loop keeps them up to date.
        trains: Whether trials are trainings, so that what they take tells of the final trainings.

    Attributes:
        costs: Epochs over all the training data, by who asked for them.
        seconds: Those of the trials that ended, by who asked for them.
        trained: Trials that were evaluated, those that reuse a result not counted.
    """

    def __init__(self, problem: Problem, trials: Mapping[int, Trial], trains: bool = True) -> None:
        self.problem, self.trials, self._trains = problem, trials, trains
        self.costs: dict[str, float] = defaultdict(float)
        self.seconds: dict[str, float] = defaultdict(float)
        self.trained = 0
        self._controls = self._running = 0
        self._paces: list[float] = []

    def new_cost(self, proposal: Proposal) -> float:
        """Epochs over all the training data that a proposal adds to the parent that it resumes from. (A final training resumes from itself.)"""
        cost = (proposal.fidelity or self.problem.fidelity).cost
        if proposal.resume is None or proposal.parent is None or proposal.why.get("by") == FINAL:
            return cost
        return max(0.0, cost - fidelity(self.trials[proposal.parent], self.problem).cost)

    def control_is_due(self, share: float, trained: Fidelity) -> bool:
        """Whether the control has less than its share.

        If time is limited it is a share of the seconds: random networks may be slow. In a race, of which a trial is a
        good part, one more must fit in.

        Args:
            share: Of all trainings.
            trained: What a trial of the control is trained with.
        """
        if self.problem.budget.seconds is None:
            return self.costs[BASELINE] < share * (self.costs["search"] + self.costs[BASELINE])
        spent, control = self.seconds["search"], self.seconds[BASELINE]
        ahead = self._running + ("race" in self.problem.settings)
        if ahead and not self._paces:
            return False
        if ahead:
            usual = statistics.median(self._paces[-30:]) * trained.cost
            control += ahead * (control / self._controls if self._controls else usual)
        return control < share * (spent + control)

    def unused(self, trial: Trial) -> float:
        """Epochs over all the training data that a trial was to train for and did not; 0 where it does not tell its epochs."""
        planned, spent = self.new_cost(trial.proposal), fidelity(trial, self.problem)
        if trial.final is None:
            return planned
        return min(planned, max(0.0, spent.cost - trial.final.epoch * spent.share)) if trial.final.epoch else 0.0

    def note_start(self, trial: Trial, new: bool) -> None:
        """Takes the epochs of a trial that begins.

        Args:
            trial: The trial.
            new: Whether it is evaluated, and reuses no result.
        """
        self._running += purpose(trial) == BASELINE
        if new:
            self.costs[purpose(trial)] += self.new_cost(trial.proposal)
            self.trained += 1

    def note_end(self, trial: Trial) -> None:
        """Takes the seconds of a trial that has ended."""
        self._running -= purpose(trial) == BASELINE
        if trial.status == "duplicate":
            return
        self._controls += purpose(trial) == BASELINE
        self.seconds[purpose(trial)] += trial.seconds
        trained = purpose(trial) != SUPERNET and fidelity(trial, self.problem).share > SCORED
        timed = trial.status == "finished" and "spent" not in trial.proposal.why and trial.seconds > 0
        if trained and timed and trial.measurements:
            self._paces.append(trial.seconds / max(self.new_cost(trial.proposal), 1e-9))

    def affordable(self, proposal: Proposal, seconds: float) -> bool:
        """Whether a trial is expected to end within so many seconds."""
        if self.problem.budget.seconds is None or len(self._paces) < 3:
            return True
        return statistics.median(self._paces[-30:]) * self.new_cost(proposal) <= seconds

    def patience(self, trial: Trial, left: float) -> float | None:
        """Seconds after which a trial counts as hanging, where so many are left of the budget."""
        unlike = purpose(trial) == SUPERNET or (purpose(trial) == FINAL and not self._trains)
        if not self._paces or unlike:
            return None if self.problem.budget.seconds is None else left + 30.0
        usual = max(self._paces[-100:]) * self.new_cost(trial.proposal)
        return min(left + 30.0, 60.0 + 20.0 * usual)
