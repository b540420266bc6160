"""How far a search has come, by what it may spend and what its trials took."""

from __future__ import annotations

from archwright.problem import Problem, Trial
from archwright.strategies.plan import Amount, limits


def cost_of(trial: Trial, problem: Problem) -> Amount:
    """What a trial took; that of a network known already was free."""
    if trial.status == "duplicate":
        return Amount()
    return Amount(trial.seconds, 1.0, (trial.proposal.fidelity or problem.fidelity).cost)


def progress(spent: Amount, problem: Problem) -> float:
    """The share of the budget that is spent, in [0, 1], by the limit that is nearest; 0 where there is no limit."""
    share = spent.within(limits(problem))
    return min(1.0, 1.0 / share) if share > 0 else 1.0


def expected_trials(spent: Amount, problem: Problem) -> float:
    """How many trials the budget allows, judged by those so far; infinite where nothing is limited."""
    if spent.trials == 0:
        return limits(problem).trials
    return spent.trials * spent.within(limits(problem))
