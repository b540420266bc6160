"""Exact counting of architectures, and uniform draws by it.

A shared expression is decided once however often it stands, so what a plan counts is kept apart by the set of shared
names it reaches: a `Table` maps each set to the number of ways to fill the rest. The decisions inside the shared
expressions are multiplied in afterwards, outermost first, since one shared expression may reach others.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cached_property
from typing import TypeVar

import numpy as np

from archwright.space.decisions import Choices, Once, Pick, Plan, walk

Names = frozenset[str]
Table = dict[Names, int]
K = TypeVar("K")

_NONE: Names = frozenset()


class Counter:
    """Counts the fillings of a plan and draws them uniformly."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tables: dict[int, Table] = {}
        self._tails: dict[int, list[Table]] = {}
        self._bodies: dict[str, Plan] = {}
        self._order: list[str] = []
        self._collect(plan, set())
        self._order.reverse()

    def _collect(self, plan: Plan, seen: set[int]) -> None:
        """Lists the shared names such that one that reaches others comes after them (and so before, once reversed)."""
        for step in plan:
            if id(step) in seen:
                continue
            seen.add(id(step))
            if isinstance(step, Pick):
                for inner in step.options:
                    self._collect(inner, seen)
            else:
                self._collect(step.plan, seen)
                self._bodies[step.name] = step.plan
                self._order.append(step.name)

    @cached_property
    def total(self) -> int:
        """The number of architectures."""
        return sum(self._completed(self._table(self._plan), 0).values())

    def _completed(self, table: Table, start: int, decided: Container[str] = ()) -> Table:
        """Multiplies the decisions inside the shared expressions in; afterwards the sets only say what was decided."""
        for name in self._order[start:]:
            if name in decided:
                continue
            body = self._table(self._bodies[name])
            merged: Table = {}
            for names, ways in table.items():
                for inner, inner_ways in body.items() if name in names else ((_NONE, 1),):
                    _add(merged, names | inner, ways * inner_ways)
            table = merged
        return table

    def _table(self, plan: Plan) -> Table:
        return self._tail(plan)[0]

    def _tail(self, plan: Plan) -> list[Table]:
        """For each position in the plan, the table of the steps from there on."""
        tails = self._tails.get(id(plan))
        if tails is None:
            tails = [{_NONE: 1}]
            for step in reversed(plan):
                tails.append(_product(self._step(step), tails[-1]))
            tails.reverse()
            self._tails[id(plan)] = tails
        return tails

    def _step(self, step: Pick | Once) -> Table:
        if isinstance(step, Once):
            return {frozenset((step.name,)): 1}
        table = self._tables.get(id(step))
        if table is None:
            table = {}
            for option in step.options:
                for names, ways in self._table(option).items():
                    _add(table, names, ways)
            self._tables[id(step)] = table
        return table

    def draw(self, rng: np.random.Generator) -> Choices:
        """An architecture's choices, each architecture with the same probability."""
        decided: dict[str, int] = {}
        root = self._table(self._plan)
        weights = {names: ways * sum(self._completed({names: 1}, 0).values()) for names, ways in root.items()}
        names = _weighted(weights, rng)
        self._fill(self._plan, names, decided, rng)
        for position, name in enumerate(self._order):
            if name in names:
                body = self._table(self._bodies[name])
                weights = {
                    inner: ways * sum(self._completed({names | inner: 1}, position + 1).values())
                    for inner, ways in body.items()
                }
                inner = _weighted(weights, rng)
                self._fill(self._bodies[name], inner, decided, rng)
                names |= inner
        return walk(self._plan, lambda pick: decided[pick.address])

    def at(self, index: int) -> Choices:
        """The choices of the architecture with this number, from 0, in the order of :func:`~archwright.space.decisions.fillings`."""
        out: Choices = []
        self._unrank(self._plan, {_NONE: 1}, index, set(), out)
        return out

    def _unrank(self, plan: Plan, rest: Table, index: int, decided: set[str], out: Choices) -> int:
        """Decides a plan, after which come the decisions that a table counts; returns the number among those."""
        tails = self._tail(plan)
        for position, step in enumerate(plan):
            after = _product(tails[position + 1], rest)
            if isinstance(step, Pick):
                for entry, inner in zip(step.entries, step.options):
                    ways = sum(self._completed(_product(self._table(inner), after), 0, decided).values())
                    if index < ways:
                        out.append(entry)
                        index = self._unrank(inner, after, index, decided, out)
                        break
                    index -= ways
            elif step.name not in decided:
                decided.add(step.name)
                index = self._unrank(step.plan, after, index, decided, out)
        return index

    def _fill(self, plan: Plan, names: Names, decided: dict[str, int], rng: np.random.Generator) -> None:
        """Decides a plan such that exactly these shared names are reached."""
        tails = self._tail(plan)
        for position, step in enumerate(plan):
            here: dict[tuple[Names, Names], int] = {}
            for mine, ways in self._step(step).items():
                for rest, rest_ways in tails[position + 1].items():
                    if mine | rest == names:
                        here[mine, rest] = ways * rest_ways
            mine, names = _weighted(here, rng)
            if isinstance(step, Pick):
                options = {index: self._table(option).get(mine, 0) for index, option in enumerate(step.options)}
                index = decided[step.address] = _weighted(options, rng)
                self._fill(step.options[index], mine, decided, rng)


def _add(table: Table, names: Names, ways: int) -> None:
    table[names] = table.get(names, 0) + ways


def _product(first: Table, second: Table) -> Table:
    table: Table = {}
    for one, ways in first.items():
        for other, other_ways in second.items():
            _add(table, one | other, ways * other_ways)
    return table


def _weighted(weights: dict[K, int], rng: np.random.Generator) -> K:
    """A key with probability exactly proportional to its weight, however large the numbers."""
    left = _below(sum(weights.values()), rng)
    for key, weight in weights.items():
        if left < weight:
            return key
        left -= weight
    raise AssertionError("no weight is positive")


def _below(limit: int, rng: np.random.Generator) -> int:
    """A whole number from 0 to limit - 1, uniformly."""
    bits = (limit - 1).bit_length()
    while True:
        drawn = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)
        if drawn < limit:
            return drawn
