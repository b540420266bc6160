"""archwright: neural architecture search from a data set and a budget to a verified network.

>>> import archwright as aw
>>> result = aw.search("digits", budget="2m", seed=0)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from archwright.engine import Candidate, Result, open_run, resume, search
    from archwright.problem import (
        Architecture,
        Budget,
        Constraint,
        Fidelity,
        Measurement,
        Objective,
        Problem,
        Proposal,
        Signature,
        Trial,
    )
    from archwright.sklearn import ArchwrightClassifier, ArchwrightRegressor
    from archwright.space import Space, get_space, list_spaces
    from archwright.strategies import get_strategy, list_strategies
    from archwright.tasks import Task, list_tasks, load_task

_PLACES = {
    "archwright.problem": (
        "Architecture", "Budget", "Constraint", "Fidelity", "Measurement", "Objective", "Problem", "Proposal", "Signature", "Trial",
    ),
    "archwright.engine": ("Candidate", "Result", "open_run", "resume", "search"),
    "archwright.sklearn": ("ArchwrightClassifier", "ArchwrightRegressor"),
    "archwright.space": ("Space", "get_space", "list_spaces"),
    "archwright.strategies": ("get_strategy", "list_strategies"),
    "archwright.tasks": ("Task", "list_tasks", "load_task"),
}  # fmt: skip
_HOME = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "Architecture",
    "ArchwrightClassifier",
    "ArchwrightRegressor",
    "Budget",
    "Candidate",
    "Constraint",
    "Fidelity",
    "Measurement",
    "Objective",
    "Problem",
    "Proposal",
    "Result",
    "Signature",
    "Space",
    "Task",
    "Trial",
    "get_space",
    "get_strategy",
    "list_spaces",
    "list_strategies",
    "list_tasks",
    "load_task",
    "open_run",
    "resume",
    "search",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archwright' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
