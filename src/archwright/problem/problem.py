"""The problem a strategy is asked to solve."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property, lru_cache
from typing import Any

from archwright.errors import ArchwrightError, GraphError
from archwright.problem.protocols import Cost, GraphLike, Space
from archwright.problem.records import Architecture, Fidelity, Signature, Trial
from archwright.problem.settings import Budget, Constraint, Objective

LATENCY = "latency_ms"
"""The metric that a latency table gives."""
STATIC = frozenset({*Cost.__struct_fields__, LATENCY})
"""Metrics that are known before training."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A space, a task's signature, objectives, constraints, a budget and a seed.

    Attributes:
        space: Where architectures come from.
        signature: Input shapes and output sizes of every network.
        objectives: What matters, the most important first.
        constraints: Bounds every answer must satisfy. Those on costs (params, flops, activation_bytes, latency_ms by a table) are known before training.
        budget: What may be spent.
        seed: One seed gives one search.
        fidelity: The full fidelity of the search; strategies may propose less.
        workers: How many evaluations run at once.
        settings: What else a strategy may want to know, JSON values only.
    """

    space: Space
    signature: Signature
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    budget: Budget = Budget(trials=100)
    seed: int = 0
    fidelity: Fidelity = Fidelity()
    workers: int = 1
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    def graph(self, architecture: Architecture) -> GraphLike:
        """The network of an architecture, cached."""
        graph: GraphLike = self._graphs(architecture)
        return graph

    @cached_property
    def _graphs(self) -> Any:
        return lru_cache(maxsize=256)(lambda architecture: self.space.graph(architecture, self.signature))

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def feasible(self, architecture: Architecture) -> bool:
        """Whether the architecture satisfies every constraint that is known before training; one whose latency a table does not tell does not."""
        static = [constraint for constraint in self.constraints if constraint.metric in STATIC]
        if not static:
            return True
        self.graph(architecture)  # a network that cannot be is an error, a latency that is not known is not
        try:
            costs = self.costs(architecture)
        except GraphError:
            return False
        return all(constraint.holds(costs[constraint.metric]) for constraint in static if constraint.metric in costs)

    def costs(self, architecture: Architecture) -> dict[str, float]:
        """What is known of a network before training: parameters, FLOPs, activation bytes; with a latency table (the setting ``latency``) its latency.

        Raises:
            ArchwrightError: Where the table misses an operation.
        """
        graph = self.graph(architecture)
        table = self.settings.get("latency")
        found: Any = graph
        return graph.cost.as_dict() | ({LATENCY: found.latency(table)} if table else {})

    def score(self, trial: Trial) -> float | None:
        """The first objective's final value, more being better; ``None`` where there is none or a constraint is broken."""
        objective = self.objectives[0]
        value = trial.value(objective.metric)
        if value is None or value != value:
            return None
        for constraint in self.constraints:
            measured = trial.value(constraint.metric)
            if measured is not None and not constraint.holds(measured):
                return None
        return objective.score(value)

    def scores(self, trial: Trial) -> tuple[float, ...] | None:
        """Every objective's final value, more being better; ``None`` where one is missing or not finite. Constraints play no part."""
        values = [trial.value(objective.metric) for objective in self.objectives]
        if any(value is None or not math.isfinite(value) for value in values):
            return None
        return tuple(objective.score(value or 0.0) for objective, value in zip(self.objectives, values, strict=True))

    def violation(self, trial: Trial) -> float:
        """By how much the constraints are broken, each relative to its bound, summed; 0 where all hold or nothing is known."""
        total = 0.0
        for constraint in self.constraints:
            value = trial.value(constraint.metric)
            if value is not None and not constraint.holds(value):
                total += abs(value - constraint.bound) / max(abs(constraint.bound), 1e-12)
        return total


def trial_seed(problem: Problem, trial: int) -> int:
    """The seed of a trial's evaluation, a function of the problem's seed and the trial's number."""
    from numpy.random import SeedSequence

    if trial < 0:
        raise ArchwrightError(f"Got the trial number {trial}; expected 0 or more.")
    return int(SeedSequence([problem.seed, trial]).generate_state(1)[0])
