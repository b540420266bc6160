"""The decisions of a space, without what they build: one traversal that all else uses.

A `Plan` is a sequence of steps. A `Pick` asks for one decision and goes on with the plan of the option taken, so that
what is inside other options is never asked; a `Once` stands for a shared expression and is asked at the first place
only.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate


@dataclass(frozen=True, eq=False, slots=True)
class Pick:
    """One decision.

    Attributes:
        address: Where it is in the expression.
        labels: The options, for people.
        options: The further decisions in each option.
        weights: How likely a draw takes each option, up to a factor; ``None`` if all are equally likely.
        entries: ``(address, index)`` for each option: what an architecture lists.
    """

    address: str
    labels: tuple[str, ...]
    options: tuple[Plan, ...]
    weights: tuple[float, ...] | None = None
    entries: tuple[tuple[str, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple((self.address, index) for index in range(len(self.labels))))

    def draw(self, number: float, without: int | None = None) -> int:
        """Return the option that a number drawn uniformly from [0, 1) stands for, by the weights.

        Args:
            number: In [0, 1).
            without: An option that is not to be taken.
        """
        if self.weights is None and without is None:
            return int(number * len(self.labels))
        left = [index for index in range(len(self.labels)) if index != without]
        if self.weights is None:
            return left[int(number * len(left))]
        bounds = list(accumulate(self.weights[index] for index in left))
        return left[min(bisect(bounds, number * bounds[-1]), len(left) - 1)]


@dataclass(frozen=True, eq=False, slots=True)
class Once:
    """The decisions of a shared expression."""

    name: str
    plan: Plan


Plan = tuple[Pick | Once, ...]
Choices = list[tuple[str, int]]
Condition = tuple[tuple[str, tuple[int, ...]], ...]
"""A conjunction: each address is decided for one of the options."""


@dataclass(frozen=True)
class ChoiceInfo:
    """What is known about one choice of a space.

    Attributes:
        address: Where it is in the expression.
        labels: The options, for people.
        conditions: When it is active: where any of these conjunctions of ``(address, options)`` holds. One that is
            empty always holds.
        weights: How likely a draw takes each option, up to a factor; ``None`` if all are equally likely.
    """

    address: str
    labels: tuple[str, ...]
    conditions: tuple[Condition, ...]
    weights: tuple[float, ...] | None = None

    @property
    def always(self) -> bool:
        """Whether every architecture makes this choice."""
        return () in self.conditions


def walk(plan: Plan, decide: Callable[[Pick], int]) -> Choices:
    """Asks for every active decision, in order."""
    out: Choices = []
    _walk(plan, decide, out, set())
    return out


def _walk(plan: Plan, decide: Callable[[Pick], int], out: Choices, seen: set[str]) -> None:
    for step in plan:
        if isinstance(step, Pick):
            index = decide(step)
            out.append(step.entries[index])
            inner = step.options[index]
            if inner:
                _walk(inner, decide, out, seen)
        elif step.name not in seen:
            seen.add(step.name)
            _walk(step.plan, decide, out, seen)


def joined(plans: Iterable[Plan]) -> Plan:
    """One plan after the other; what is shared is kept once."""
    steps: list[Pick | Once] = []
    seen: set[str] = set()
    for plan in plans:
        for step in plan:
            if isinstance(step, Once):
                if step.name in seen:
                    continue
                seen.add(step.name)
            steps.append(step)
    return tuple(steps)


def picks(plan: Plan) -> Iterator[Pick]:
    """All decisions there can be, each once, in order."""
    seen: set[int] = set()

    def visit(plan: Plan) -> Iterator[Pick]:
        for step in plan:
            if id(step) in seen:
                continue
            seen.add(id(step))
            if isinstance(step, Pick):
                yield step
                for inner in step.options:
                    yield from visit(inner)
            else:
                yield from visit(step.plan)

    return visit(plan)


def conditions(plan: Plan) -> dict[str, tuple[Condition, ...]]:
    """When each decision is active."""

    @cache
    def visit(plan: Plan) -> dict[str, tuple[Condition, ...]]:
        found: dict[str, dict[Condition, None]] = {}
        for step in plan:
            if isinstance(step, Once):
                for address, alternatives in visit(step.plan).items():
                    found.setdefault(address, {}).update(dict.fromkeys(alternatives))
                continue
            found.setdefault(step.address, {})[()] = None
            inside: dict[str, dict[Condition, list[int]]] = {}
            for index, inner in enumerate(step.options):
                for address, alternatives in visit(inner).items():
                    for alternative in alternatives:
                        inside.setdefault(address, {}).setdefault(alternative, []).append(index)
            for address, by_condition in inside.items():
                for alternative, indices in by_condition.items():
                    whole = len(indices) == len(step.options)
                    found.setdefault(address, {})[
                        alternative if whole else ((step.address, tuple(indices)), *alternative)
                    ] = None
        return {
            address: ((),) if () in alternatives else tuple(alternatives) for address, alternatives in found.items()
        }

    return visit(plan)


def fillings(plan: Plan) -> Iterator[Choices]:
    """Every way to make the decisions, each once, the first option of each first."""
    prefix: list[int] = []
    while True:
        trace: list[tuple[int, int]] = []

        def decide(pick: Pick, trace: list[tuple[int, int]] = trace, prefix: list[int] = prefix) -> int:
            index = prefix[len(trace)] if len(trace) < len(prefix) else 0
            trace.append((index, len(pick.labels)))
            return index

        yield walk(plan, decide)
        while trace and trace[-1][0] + 1 == trace[-1][1]:
            trace.pop()
        if not trace:
            return
        prefix = [index for index, _ in trace]
        prefix[-1] += 1
