"""Contract checks: what every space, strategy, evaluator and store must hold. Extensions call them in their own tests.

>>> from archwright.testing import check_space
>>> from archwright.space import OUTPUTS, Space, chain, choice, op
>>> from archwright.problem import Signature
>>> space = Space(chain(op("dense", width=choice(2, 3)), op("linear", width=OUTPUTS)))
>>> check_space(space, Signature(inputs=((4,),), outputs=(2,)), seeds=range(2))
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archwright.testing.evaluator import check_evaluator
    from archwright.testing.ledger import check_ledger
    from archwright.testing.space import check_space
    from archwright.testing.strategy import check_strategy, simulate

_HOME = {
    "check_evaluator": "evaluator",
    "check_ledger": "ledger",
    "check_space": "space",
    "check_strategy": "strategy",
    "simulate": "strategy",
}

__all__ = ["check_evaluator", "check_ledger", "check_space", "check_strategy", "simulate"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'archwright.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"archwright.testing.{_HOME[name]}"), name)
