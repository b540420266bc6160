"""Explanations of a run, computed from its trials alone: no torch, no clock, no randomness of its own."""

from archwright.explain.controls import NOTHING_MORE, Control, controls, show_controls, weighed
from archwright.explain.importance import Importance, Mattered, Option, importance
from archwright.explain.lineage import Edit, Explanation, Step, headline, show_gain, why
from archwright.explain.one_shot import Audit, agreement, audit
from archwright.explain.progress import Point, Progress, progress
from archwright.explain.trials import (
    SCORED,
    Failures,
    arm,
    baseline_share,
    failures,
    fidelity,
    metric_value,
    rank,
    ranking,
    show_fidelity,
    training,
    trains,
)

__all__ = [
    "NOTHING_MORE",
    "SCORED",
    "Audit",
    "Control",
    "Edit",
    "Explanation",
    "Failures",
    "Importance",
    "Mattered",
    "Option",
    "Point",
    "Progress",
    "Step",
    "agreement",
    "arm",
    "audit",
    "baseline_share",
    "controls",
    "failures",
    "fidelity",
    "headline",
    "importance",
    "metric_value",
    "progress",
    "rank",
    "ranking",
    "show_controls",
    "show_fidelity",
    "show_gain",
    "training",
    "trains",
    "weighed",
    "why",
]
