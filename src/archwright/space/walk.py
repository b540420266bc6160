"""All parts of a bound expression."""

from __future__ import annotations

from collections.abc import Iterator

from archwright.space.bound import Bound, BoundChain, BoundChoice, BoundDag, BoundParallel, BoundPart, BoundRepeat


def walk(node: Bound) -> Iterator[Bound]:
    """All nodes of a bound expression; those of a shared part once for each place."""
    yield node
    children: list[Bound | None] = []
    match node:
        case BoundPart():
            children = [node.body]
        case BoundChain():
            children = list(node.parts)
        case BoundChoice():
            children = list(node.options)
        case BoundRepeat():
            children = list(node.items)
        case BoundParallel():
            children = list(node.branches)
        case BoundDag():
            for inner in node.nodes:
                children += [*inner.ops, inner.node]
    for child in children:
        if child is not None:
            yield from walk(child)
