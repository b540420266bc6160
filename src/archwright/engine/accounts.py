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
        trained: Trials that were evaluated, those that reuse a result not counted.
    """

    def __init__(self, problem: Problem, trials: Mapping[int, Trial], trains: bool = True) -> None:
        self.problem, self.trials, self._trains = problem, trials, trains
        self.costs: dict[str, float] = defaultdict(float)
        self.trained = 0
        self._paces: list[float] = []

    def new_cost(self, proposal: Proposal) -> float:
        """Epochs over all the training data that a proposal adds to the parent that it resumes from. (A final training resumes from itself.)"""
        cost = (proposal.fidelity or self.problem.fidelity).cost
        if proposal.resume is None or proposal.parent is None or proposal.why.get("by") == FINAL:
            return cost
        return max(0.0, cost - fidelity(self.trials[proposal.parent], self.problem).cost)

    def control_is_due(self, share: float, trained: Fidelity) -> bool:
        """Whether the control has less than its share; in a race, of which a trial is a good part, even with one more.

        Args:
            share: Of all trainings.
            trained: What a trial of the control is trained with.
        """
        control = self.costs[BASELINE]
        spent = self.costs["search"] + control
        more = trained.cost if "race" in self.problem.settings else 0.0
        return spent > 0 and control + more < share * (spent + more) + (1e-9 if more else 0.0)

    def unused(self, trial: Trial) -> float:
        """Epochs over all the training data that a trial was to train for and did not; 0 where it does not tell its epochs."""
        planned, spent = self.new_cost(trial.proposal), fidelity(trial, self.problem)
        if trial.final is None:
            return planned
        return min(planned, max(0.0, spent.cost - trial.final.epoch * spent.share)) if trial.final.epoch else 0.0

    def note_pace(self, trial: Trial) -> None:
        """Takes the seconds of an epoch from a trial that has ended."""
        trained = purpose(trial) != SUPERNET and fidelity(trial, self.problem).share > SCORED
        if trained and "spent" not in trial.proposal.why and trial.seconds > 0 and trial.measurements:
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
