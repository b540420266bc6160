"""Groups the nodes of a large graph by scope, for drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from archwright.graph.graph import Graph


@dataclass(frozen=True)
class Group:
    """Nodes drawn as one box.

    Attributes:
        title: Their common scope.
        nodes: Their indices (of the first, where the box stands for several equal ones).
        pattern: What is inside, but for widths; equal for repeated cells.
        count: How many equal ones in a row the box stands for.
    """

    title: str
    nodes: tuple[int, ...]
    pattern: object
    count: int = 1


class Groups(NamedTuple):
    """Boxes in topological order and the edges between them."""

    groups: list[Group]
    edges: list[tuple[int, int]]

    def patterns(self) -> list[Group]:
        """One group of each kind that has an inside worth drawing."""
        first: dict[object, Group] = {}
        for group in self.groups:
            if len(group.nodes) > 1:
                first.setdefault(group.pattern, group)
        return list(first.values())


def groups(graph: Graph) -> Groups:
    """Collapses scopes at the level that leaves least to draw: the boxes and one inside of each kind."""
    deepest = max(node.scope.count(".") + 1 for node in graph.nodes)
    levels = [_repeated(graph, _at_depth(graph, depth)) for depth in range(deepest, 0, -1)]
    return min(levels, key=lambda found: len(found.groups) + sum(len(group.nodes) for group in found.patterns()))


def _at_depth(graph: Graph, depth: int) -> list[tuple[str, list[int]]]:
    """Runs of nodes with the same first parts of their scopes. Runs keep the order of the nodes, so no cycle can arise."""
    runs: list[tuple[str, list[int]]] = []
    for index, node in enumerate(graph.nodes):
        scope = ".".join(node.scope.split(".")[:depth])
        if runs and scope and runs[-1][0] == scope:
            runs[-1][1].append(index)
        else:
            runs.append((scope, [index]))
    return runs


def _repeated(graph: Graph, runs: list[tuple[str, list[int]]]) -> Groups:
    """Joins equal groups that follow each other and read nothing but the one before."""
    merged: list[Group] = []
    owner: dict[int, int] = {}
    users: dict[int, set[int]] = {}
    of_run = {node: number for number, (_, members) in enumerate(runs) for node in members}
    for node in range(len(graph)):
        for source in graph.nodes[node].inputs:
            users.setdefault(of_run[source], set()).add(of_run[node])
    signatures: list[object] = []
    for number, (title, members) in enumerate(runs):
        exact, pattern = _pattern(graph, members, exact=True), _pattern(graph, members, exact=False)
        reads = {of_run[source] for node in members for source in graph.nodes[node].inputs} - {number}
        alone = reads == {number - 1} and users.get(number - 1, set()) - {number - 1} == {number}
        outputs = set(graph.outputs) & set(runs[number - 1][1]) if number else set()
        if len(members) > 1 and merged and signatures[-1] == exact and alone and not outputs:
            before = merged[-1]
            merged[-1] = Group(_common(before.title, title), before.nodes, pattern, before.count + 1)
        else:
            merged.append(Group(title or graph.nodes[members[0]].call.spec.name, tuple(members), pattern))
            signatures.append(exact)
        owner.update({node: len(merged) - 1 for node in members})
    edges = {(owner[source], owner[node]) for node in range(len(graph)) for source in graph.nodes[node].inputs}
    return Groups(merged, sorted((source, target) for source, target in edges if source != target))


def _pattern(graph: Graph, members: list[int], exact: bool) -> object:
    first = members[0]
    outside: dict[int, int] = {}
    pattern = []
    for node in members:
        found = graph.nodes[node]
        sources = tuple(
            source - first if source >= first else -1 - outside.setdefault(source, len(outside))
            for source in found.inputs
        )
        kept = (
            found.attrs
            if exact
            else tuple(pair for pair in found.attrs if pair[0] not in ("width", "height", "in_shape"))
        )
        pattern.append((found.op, kept, found.shape if exact else (), sources))
    return tuple(pattern)


def _common(first: str, second: str) -> str:
    """What two scopes have in common, from the left.

    >>> _common("stage1.cell0", "stage1.cell1")
    'stage1.cell'
    """
    length = next(
        (index for index, (one, other) in enumerate(zip(first, second)) if one != other), min(len(first), len(second))
    )
    return first[:length].rstrip("._0123456789") or first
