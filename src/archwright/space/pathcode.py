"""The path encoding of White, Neiswanger and Savani (BANANAS, 2021): which sequences of operations lead from input to
output.

Each dag of the space, shared ones once and dags inside dags as one step, gives its paths: the labels of what a path
meets on edges and in nodes. A path through `none` computes nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product

from archwright.errors import SpaceError
from archwright.space.bound import (
    Bound,
    BoundChain,
    BoundChoice,
    BoundDag,
    BoundOp,
    BoundParallel,
    BoundPart,
    BoundRepeat,
)
from archwright.space.decisions import fillings, picks

Path = tuple[str, ...]


def paths(root: Bound, choices: Mapping[str, int]) -> frozenset[Path]:
    """All paths of an architecture; each begins with the address of its dag, and the input it starts from where there
    are several.

    Raises:
        SpaceError: Where the space has no dag.
    """
    return frozenset((name, *path) for name, dag in _dags(root, choices).items() for path in _paths(dag, choices))


def vocabulary(root: Bound, length: int) -> tuple[Path, ...]:
    """For each dag its `length` shortest conceivable paths, in a fixed order.

    Raises:
        SpaceError: Where the space has no dag.
    """
    return tuple(
        (name, *path) for name, dag in _dags(root).items() for path in islice(_conceivable(dag, length), length)
    )


def _dags(root: Bound, choices: Mapping[str, int] | None = None) -> dict[str, BoundDag]:
    found: dict[str, BoundDag] = {}
    _find(root, choices, found)
    if not found and (choices is None or not _dags(root)):
        raise SpaceError(
            "Paths are defined on dags, and this space has none. Use encode(), the one-hot vector, instead."
        )
    return found


def _find(node: Bound, choices: Mapping[str, int] | None, found: dict[str, BoundDag]) -> None:
    """Collects the outermost dags; given choices, only those in use."""
    inside: tuple[Bound, ...] = ()
    match node:
        case BoundDag():
            found[node.address] = node
        case BoundChoice():
            inside = node.options if choices is None else (node.options[node.index(choices)],)
        case BoundRepeat():
            inside = node.items if choices is None else node.items[: node.times.of(choices)]
        case BoundChain():
            inside = node.parts
        case BoundParallel():
            inside = node.branches
        case BoundPart():
            inside = (node.body,)
    for part in inside:
        _find(part, choices, found)


def _paths(dag: BoundDag, choices: Mapping[str, int]) -> set[Path]:
    states: list[set[Path]] = [{(f"input{source}",)} if dag.inputs > 1 else {()} for source in range(dag.inputs)]
    loose = set(range(dag.inputs, dag.inputs + len(dag.nodes)))
    for node in dag.nodes:
        reached: set[Path] = set()
        for source, slot in node.edges(choices, dag.inputs):
            loose.discard(source)
            reached |= _through(node.ops[slot], states[source], choices)
        states.append(_through(node.node, reached, choices))
    ends = {"last": [len(states) - 1], "nodes": range(dag.inputs, len(states)), "loose": sorted(loose)}[dag.output]
    return set().union(*(states[end] for end in ends))


def _through(op: Bound | None, before: set[Path], choices: Mapping[str, int]) -> set[Path]:
    if op is None:
        return before
    name = _label(op, choices)
    return set() if name is None else {(*path, name) for path in before}


def _label(node: Bound, choices: Mapping[str, int]) -> str | None:
    """What a step is called: the operation or option, and what is decided inside it; ``None`` for `none`."""
    base = fallback = None
    while True:
        if isinstance(node, BoundChoice):
            index = node.index(choices)
            base, node = base or node.labels[index], node.options[index]
        elif isinstance(node, BoundPart):
            fallback, node = fallback or node.name, node.body
        else:
            break
    if isinstance(node, BoundOp):
        if node.source.op == "none":
            return None
        base = base or node.source.name or node.source.title
    base = base or fallback or "step"
    decided = ", ".join(pick.labels[choices[pick.address]] for pick in picks(node.plan) if pick.address in choices)
    return f"{base}({decided})" if decided else base


def _conceivable(dag: BoundDag, length: int) -> Iterator[Path]:
    steps: dict[str, None] = {}
    for op in (op for node in dag.nodes for op in (*node.ops, node.node) if op is not None):
        labels = (_label(op, dict(filling)) for filling in islice(fillings(op.plan), length))
        steps.update(dict.fromkeys(label for label in labels if label is not None))
    starts: list[Path] = [(f"input{source}",) for source in range(dag.inputs)] if dag.inputs > 1 else [()]
    longest = sum(1 + (node.node is not None) for node in dag.nodes)
    for count in range(longest + 1):
        yield from ((*start, *rest) for start in starts for rest in product(steps, repeat=count))
