"""Records, settings and contracts: what every layer agrees on. No torch."""

from archwright.problem.problem import Problem, trial_seed
from archwright.problem.protocols import ChoiceSpace, Cost, Evaluator, GraphLike, Space, Strategy
from archwright.problem.records import Architecture, Fidelity, Measurement, Proposal, Shape, Signature, Status, Trial
from archwright.problem.settings import MINIMISED, Budget, Constraint, Objective

__all__ = [
    "MINIMISED",
    "Architecture",
    "Budget",
    "ChoiceSpace",
    "Constraint",
    "Cost",
    "Evaluator",
    "Fidelity",
    "GraphLike",
    "Measurement",
    "Objective",
    "Problem",
    "Proposal",
    "Shape",
    "Signature",
    "Space",
    "Status",
    "Strategy",
    "Trial",
    "trial_seed",
]
