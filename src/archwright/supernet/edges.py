"""From a distribution over each choice to architectures: what to read is settled by the operations on the edges (DARTS)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.problem import Architecture
from archwright.space import Space
from archwright.space.bound import (
    Bound,
    BoundChoice,
    BoundDag,
    BoundOp,
    BoundParallel,
    BoundPart,
    BoundRepeat,
)
from archwright.space.walk import walk

TRIES = 500
"""Draws from the distribution where the most probable architecture breaks a constraint, or several are asked for."""
HEAT = 16.0
"""Temperature of the last of these draws; the first are at 1. Where all is settled, draws at 1 differ in nothing."""

Chances = Mapping[str, NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class Edge:
    """The choice of what a node of a dag reads.

    Attributes:
        sets: For each option the edges, each by the address of the choice of its operation, or ``None`` without one.
        none: For each choice of an operation in the same dag, also for nodes that read all there is, the options that compute nothing.
        slots: For each option the places of its edges among all that the node may read.
        strengths: Name under which a mixture takes weights for the edges themselves.
    """

    sets: tuple[tuple[str | None, ...], ...]
    none: Mapping[str, frozenset[int]]
    slots: tuple[tuple[int, ...], ...]
    strengths: str


def edges_of(space: Space) -> dict[str, Edge]:
    """By address, the choices of a fixed number of edges with an operation each; others are choices like any."""
    found: dict[str, Edge] = {}
    for dag in _dags(space):
        choices = [choice for node in dag.nodes for op in node.ops if (choice := _choice(op)) is not None]
        none = {
            choice.address: frozenset(i for i, option in enumerate(choice.options) if _computes_nothing(option))
            for choice in choices
            if choice.address is not None
        }
        for node in dag.nodes:
            for read in node.reads:
                sizes = {len(edges) for edges in read.sets}
                slots = {slot for edges in read.sets for _, slot in edges}
                if read.address is None or len(sizes) != 1 or len(slots) < 2:
                    continue
                ops = {slot: _choice(node.ops[slot]) for slot in slots}
                named = tuple(
                    tuple(c.address if (c := ops[slot]) else None for _, slot in edges) for edges in read.sets
                )
                found[read.address] = Edge(
                    named,
                    none,
                    tuple(tuple(slot for _, slot in edges) for edges in read.sets),
                    f"{dag.address}.{node.segment}:edges",
                )
    return found


def strengths_of(space: Space) -> dict[str, int]:
    """The names under which a mixture takes weights for the edges into each node of a dag, and the number of these edges."""
    found = {}
    for dag in _dags(space):
        for node in dag.nodes:
            count = len({edge for read in node.reads for edges in read.sets for edge in edges})
            if count > 1:
                found[f"{dag.address}.{node.segment}:edges"] = count
    return found


def kinds_of(space: Space) -> dict[str, str]:
    """What each choice is about, by address: ``operation``, ``repeat``, ``merge``, ``reads``, or the name of an attribute."""
    found: dict[str, str] = {}

    def note(address: str | None, kind: str) -> None:
        if address is not None:
            found[address] = kind

    for node in walk(space._bound):
        match node:
            case BoundChoice():
                note(node.address, "operation")
            case BoundRepeat():
                note(node.times.address, "repeat")
            case BoundParallel():
                note(node.merge.address, "merge")
            case BoundOp():
                for key, value in node.decided:
                    note(value.address, key)
            case BoundDag():
                for inner in node.nodes:
                    note(inner.merge.address, "merge")
                    for read in inner.reads:
                        note(read.address, "reads")
    return found


def likeliest(
    space: Space,
    edges: Mapping[str, Edge],
    chances: Chances,
    feasible: Callable[[Architecture], bool],
    rng: np.random.Generator,
    count: int = 1,
) -> list[Architecture]:
    """The most probable architectures that are feasible, the best first; fewer where no more are found.

    Args:
        space: Of the architectures.
        edges: Choices of what is read, which follow the operations where they have no chances of their own.
        chances: For each choice the probability of each option.
        feasible: Whether an architecture satisfies the constraints.
        rng: Draws others, where the most probable one is not feasible or several are asked for.
        count: How many.
    """
    logs = {address: np.log(np.maximum(p, 1e-12)) for address, p in chances.items()}
    kept = {choice for edge in edges.values() for choice in edge.none}

    def best(noise: Callable[[int], Any]) -> Architecture:
        noisy = {address: log + noise(len(log)) for address, log in logs.items()}

        def pick(address: str, options: int) -> int:
            edge = edges.get(address)
            if address in noisy:
                scores = noisy[address].copy()
                if address in kept:
                    scores[list(_none(edges, address))] = -np.inf
                return int(np.argmax(scores))
            if edge is None:
                return int(rng.integers(options))
            own = np.exp(edge_logs(edge))
            scores = [
                sum(_strength(noisy, edge, choice) * own[slot] for choice, slot in zip(names, slots))
                for names, slots in zip(edge.sets, edge.slots)
            ]
            return int(np.argmax(scores))

        def edge_logs(edge: Edge) -> NDArray[np.floating[Any]]:
            count = 1 + max(slot for slots in edge.slots for slot in slots)
            found: NDArray[np.floating[Any]] = noisy.get(edge.strengths, np.zeros(count))
            return found

        return space.fill(pick)

    found: dict[Architecture, float] = {}
    first = best(lambda options: 0.0)
    if feasible(first):
        if count == 1:
            return [first]
        found[first] = np.inf
    for turn in range(TRIES):
        heat = 1.0 + (HEAT - 1.0) * turn / TRIES
        drawn = best(lambda options, heat=heat: heat * rng.gumbel(size=options))  # type: ignore[misc]
        if drawn not in found and feasible(drawn):
            found[drawn] = sum(float(logs[a][o]) for a, o in drawn.choices if a in logs)
    return sorted(found, key=lambda architecture: -found[architecture])[:count]


def _none(edges: Mapping[str, Edge], address: str) -> frozenset[int]:
    return next((edge.none[address] for edge in edges.values() if address in edge.none), frozenset())


def _strength(logs: Mapping[str, NDArray[np.floating[Any]]], edge: Edge, choice: str | None) -> float:
    """How strong the best operation on an edge is, `none` aside."""
    if choice is None or choice not in logs:
        return 0.0
    options = [value for index, value in enumerate(logs[choice]) if index not in edge.none[choice]]
    return float(np.exp(max(options))) if options else 0.0


def _choice(op: Bound | None) -> BoundChoice | None:
    while isinstance(op, BoundPart):
        op = op.body
    return op if isinstance(op, BoundChoice) else None


def _computes_nothing(option: Bound) -> bool:
    while isinstance(option, BoundPart):
        option = option.body
    return isinstance(option, BoundOp) and option.source.op == "none"


def _dags(space: Space) -> list[BoundDag]:
    return [node for node in walk(space._bound) if isinstance(node, BoundDag)]
