"""Objectives, constraints and budgets, and how people write them."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from archwright.errors import BudgetError

MINIMISED = frozenset(
    {
        "loss",
        "log_loss",
        "perplexity",
        "mae",
        "mse",
        "rmse",
        "params",
        "flops",
        "activation_bytes",
        "latency_ms",
        "energy_mj",
        "seconds",
        "size_bytes",
    }
)
"""Metrics of which less is better; of all others more is better, unless an objective says otherwise."""

_SUFFIX = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
_UNIT_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86400.0,
}
_COUNTS = {"trial": "trials", "trials": "trials", "epoch": "epochs", "epochs": "epochs"}


class Objective(msgspec.Struct, frozen=True):
    """A metric and the direction that is better."""

    metric: str
    goal: Literal["max", "min"] = "max"

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Reads ``accuracy``, ``min:latency_ms`` or ``max:f1``.

        >>> Objective.parse("params")
        Objective(metric='params', goal='min')
        """
        goal, _, metric = text.rpartition(":")
        metric = metric.strip()
        if not re.fullmatch(r"[a-z][a-z0-9_]*", metric) or goal not in ("", "max", "min"):
            raise BudgetError(f"Got the objective {text!r}; expected a metric such as 'accuracy' or 'min:params'.")
        if goal == "min" or (goal == "" and metric in MINIMISED):
            return cls(metric, "min")
        return cls(metric, "max")

    def score(self, value: float) -> float:
        """The value with a sign such that more is better."""
        return value if self.goal == "max" else -value


class Constraint(msgspec.Struct, frozen=True):
    """A bound on a metric, such as ``params<=200k``."""

    metric: str
    relation: Literal["<=", ">="]
    bound: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Reads ``params<=200k``, ``flops <= 5M`` or ``accuracy>=0.9``.

        >>> Constraint.parse("params<=200k")
        Constraint(metric='params', relation='<=', bound=200000.0)
        """
        match = re.fullmatch(
            r"\s*([a-z][a-z0-9_]*)\s*(<=|>=)\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*([kmgb]?)\s*", text, re.IGNORECASE
        )
        if match is None:
            raise BudgetError(
                f"Got the constraint {text!r}; expected METRIC<=NUMBER or METRIC>=NUMBER, for example 'params<=200k'."
            )
        metric, relation, number, suffix = match.groups()
        return cls(metric.lower(), "<=" if relation == "<=" else ">=", float(number) * _SUFFIX[suffix.lower()])

    def holds(self, value: float) -> bool:
        """Whether the value satisfies the bound."""
        return value <= self.bound if self.relation == "<=" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.metric}{self.relation}{self.bound:g}"


class Budget(msgspec.Struct, frozen=True):
    """What a search may spend; ``None`` means unlimited. The first limit reached ends it.

    Attributes:
        seconds: Wall time, final training and test included.
        trials: Evaluations that train something (reused results are free).
        epochs: Epochs over the full training data, summed over all trials.
    """

    seconds: float | None = None
    trials: int | None = None
    epochs: float | None = None

    @classmethod
    def parse(cls, text: str | int | float | Budget) -> Budget:
        """Reads ``2m``, ``1h30m``, ``50 trials``, ``200 epochs``, and combinations such as ``2m, 50 trials``; a bare number is seconds.

        >>> Budget.parse("1h30m")
        Budget(seconds=5400.0, trials=None, epochs=None)
        >>> Budget.parse("2m, 50 trials")
        Budget(seconds=120.0, trials=50, epochs=None)
        """
        if isinstance(text, Budget):
            return text.checked()
        if isinstance(text, int | float) and not isinstance(text, bool):
            return cls(seconds=float(text)).checked()
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(text).lower())
        rest = re.sub(r"(\d+(?:\.\d+)?)\s*([a-z]*)", "", str(text).lower()).replace("and", "").strip(" ,+&")
        known = all(unit in _UNIT_SECONDS or unit in _COUNTS or (unit == "" and len(parts) == 1) for _, unit in parts)
        if not parts or rest or not known:
            raise BudgetError(
                f"Got the budget {text!r}; expected a duration ('2m', '1h30m'), a count ('50 trials', '200 epochs') or both: '2m, 50 trials'."
            )
        seconds: float | None = None
        counts: dict[str, float] = {}
        for number, unit in parts:
            if unit in _COUNTS:
                counts[_COUNTS[unit]] = float(number)
            else:
                seconds = (seconds or 0.0) + float(number) * _UNIT_SECONDS.get(unit, 1.0)
        trials = int(counts["trials"]) if "trials" in counts else None
        return cls(seconds, trials, counts.get("epochs")).checked()

    def checked(self) -> Budget:
        """Returns itself.

        Raises:
            BudgetError: Where nothing is limited, or a limit is not positive.
        """
        limits = [limit for limit in (self.seconds, self.trials, self.epochs) if limit is not None]
        if not limits or any(not limit > 0 for limit in limits):
            raise BudgetError(
                f"Got {self!r}; expected at least one limit, each above zero, for example '2m' or '50 trials'."
            )
        return self

    def __str__(self) -> str:
        parts = []
        if self.seconds is not None:
            hours, rest = divmod(round(self.seconds), 3600)
            minutes, seconds = divmod(rest, 60)
            parts.append(
                "".join(f"{n}{u}" for n, u in ((hours, "h"), (minutes, "m"), (seconds, "s")) if n)
                or f"{self.seconds:g}s"
            )
        if self.trials is not None:
            parts.append(f"{self.trials} trials")
        if self.epochs is not None:
            parts.append(f"{self.epochs:g} epochs")
        return ", ".join(parts)
