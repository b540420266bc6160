"""Records, settings and contracts: what every layer agrees on. No torch."""

from archwright.problem.problem import Problem, trial_seed
from archwright.problem.protocols import ChoiceSpace, Cost, Evaluator, GraphLike, Space, Strategy
from archwright.problem.purposes import ALONE, AUDIT, BASELINE, FINAL, OWN, SUPERNET, Purpose, purpose
from archwright.problem.records import (
    INTERIM,
    Architecture,
    Fidelity,
    Measurement,
    Proposal,
    Shape,
    Signature,
    Status,
    Trial,
)
from archwright.problem.settings import MINIMISED, Budget, Constraint, Objective

__all__ = [
    "ALONE",
    "AUDIT",
    "BASELINE",
    "FINAL",
    "INTERIM",
    "MINIMISED",
    "OWN",
    "SUPERNET",
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
    "Purpose",
    "Shape",
    "Signature",
    "Space",
    "Status",
    "Strategy",
    "Trial",
    "purpose",
    "trial_seed",
]
