"""Levels of complexity of a space, read from the addresses and labels of its choices.

The choices fall into blocks, in the order of the space: those of one node of a dag, of one repetition, or of one part of the
network. The architectures of level b are free in the first b blocks and as simple as can be in all later ones: a later node
passes on what the node before it computed, or computes nothing; depths are lowest; elsewhere the option is ``identity``,
``none`` or the first. So each level contains the one before, and the last one is the space.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from archwright.problem import Architecture, ChoiceSpace
from archwright.problem.protocols import ChoiceLike

IDENTITIES = ("identity", "skip_connect", "skip")
NOTHINGS = ("none", "zero", "no")
_EDGE = re.compile(r"edge(\d+)_(\d+)")
_NODE = re.compile(r"node\d+")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_NUMBERED = re.compile(r".*\d")


@dataclasses.dataclass(frozen=True)
class Block:
    """Choices that are made together.

    Attributes:
        name: Their common part of the address: ``"cell.node2"``.
        choices: Their addresses.
        counts: Choices of a number of repetitions, each with the lowest option for which the block is there.
    """

    name: str
    choices: tuple[str, ...]
    counts: tuple[tuple[str, int], ...] = ()


@dataclasses.dataclass(frozen=True)
class Levels:
    """The blocks of a space in order, and the simplest option of each choice.

    Attributes:
        blocks: The first is what level 1 is free in, and so on.
        simplest: Address and option of each choice.
    """

    blocks: tuple[Block, ...]
    simplest: dict[str, int]


def levels(space: ChoiceSpace) -> Levels:
    """The levels of a space.

    >>> from archwright.space.zoo import get_space
    >>> [block.name for block in levels(get_space("nas-bench-201")).blocks]
    ['cell.node1', 'cell.node2', 'cell.node3']
    """
    choices = space.choices()
    names = {choice.address: block_name(choice.address) for choice in choices}
    needs = _counts(choices, names)
    counted = {address for need in needs.values() for address in need}
    members: dict[str, list[str]] = {}
    for choice in choices:
        if choice.address not in counted:
            members.setdefault(names[choice.address], []).append(choice.address)
    blocks = []
    for name, addresses in members.items():
        least: dict[str, int] = {}
        for address in addresses:
            for count, option in needs.get(address, {}).items():
                least[count] = max(option, least.get(count, 0))
        blocks.append(Block(name, tuple(addresses), tuple(least.items())))
    return Levels(tuple(blocks), {choice.address: simplest(choice) for choice in choices})


def block_name(address: str) -> str:
    """The block of a choice: its address up to the last node, an edge belonging to the node it leads to; without a dag, up
    to the last numbered part; without a number, the first part.

    >>> [block_name(text) for text in ("cell.edge0_2", "cell.node2.from1", "stage1.block0.kernel", "body.depth")]
    ['cell.node2', 'cell.node2', 'stage1.block0', 'body']
    """
    parts = [_EDGE.sub(r"node\2", part) for part in address.split(".")]
    for pattern in (_NODE, _NUMBERED):
        found = [index for index, part in enumerate(parts) if pattern.fullmatch(part)]
        if found:
            return ".".join(parts[: found[-1] + 1])
    return parts[0]


def simplest(choice: ChoiceLike) -> int:
    """The simplest option of a choice.

    An edge from the node before passes on what comes in, other edges carry nothing; elsewhere the option is the lowest
    number, ``identity``, ``none`` or the first.
    """
    edges = [edge for part in choice.address.split(".") if (edge := _EDGE.fullmatch(part))]
    skips = bool(edges) and int(edges[-1][1]) + 1 != int(edges[-1][2])
    for wanted in (*NOTHINGS, *IDENTITIES) if skips else (*IDENTITIES, *NOTHINGS):
        if wanted in choice.labels:
            return choice.labels.index(wanted)
    numbers = _numbers(choice.labels)
    return 0 if numbers is None else int(np.argmin(numbers))


def root(space: ChoiceSpace, found: Levels) -> Architecture:
    """The simplest architecture."""
    return space.fill(lambda address, options: found.simplest[address])


def expand(
    space: ChoiceSpace, found: Levels, level: int, parent: Architecture, most: int, rng: np.random.Generator
) -> list[Architecture]:
    """The fillings of a block in a parent, without the parent itself; a random sample where there are too many.

    What the block needs to be there (a higher number of repetitions) is made so; what it activates elsewhere is simplest.

    Args:
        space: The space.
        found: Its levels.
        level: Index of the block to fill.
        parent: The architecture that keeps all else.
        most: Fillings at most.
        rng: Source of randomness.
    """
    block = found.blocks[level]
    kept = {**found.simplest, **dict(parent.choices)}
    for count, option in block.counts:
        kept[count] = max(option, kept[count])
    every: list[Architecture] = []
    for filling in _fillings(space, frozenset(block.choices), kept):
        every.append(filling)
        if len(every) > most:
            every = [_drawn(space, frozenset(block.choices), kept, rng) for _ in range(most)]
            break
    return [child for child in dict.fromkeys(every) if child != parent]


def _fillings(space: ChoiceSpace, free: frozenset[str], kept: dict[str, int]) -> Iterator[Architecture]:
    """Every way to make the free choices, the others being kept."""
    prefix: list[int] = []
    while True:
        trace: list[tuple[int, int]] = []

        def pick(address: str, options: int, trace: list[tuple[int, int]] = trace, prefix: list[int] = prefix) -> int:
            if address not in free:
                return kept[address]
            option = prefix[len(trace)] if len(trace) < len(prefix) else 0
            trace.append((option, options))
            return option

        yield space.fill(pick)
        while trace and trace[-1][0] + 1 == trace[-1][1]:
            trace.pop()
        if not trace:
            return
        prefix = [option for option, _ in trace]
        prefix[-1] += 1


def _drawn(space: ChoiceSpace, free: frozenset[str], kept: dict[str, int], rng: np.random.Generator) -> Architecture:
    def pick(address: str, options: int) -> int:
        return int(rng.integers(options)) if address in free else kept[address]

    return space.fill(pick)


def _counts(choices: Sequence[ChoiceLike], names: dict[str, str]) -> dict[str, dict[str, int]]:
    """For each choice that is there only from some number of repetitions on: which choice says the number, and its lowest
    option. Read from the conditions of choices, where the space knows them; those of one block are left alone."""
    numbers = {choice.address: len(choice.labels) for choice in choices if _consecutive(choice.labels)}
    needs: dict[str, dict[str, int]] = {}
    for choice in choices:
        conditions: Sequence[Any] = getattr(choice, "conditions", ())
        found: list[dict[str, int]] = []
        for condition in conditions:
            counts = {
                address: options[0]
                for address, options in condition
                if address in numbers
                and names[address] != names[choice.address]
                and tuple(options) == tuple(range(options[0], numbers[address]))
            }
            found.append(counts)
        common = set.intersection(*map(set, found)) if found else set()
        if common:
            needs[choice.address] = {address: min(counts[address] for counts in found) for address in sorted(common)}
    return needs


def _consecutive(labels: tuple[str, ...]) -> bool:
    numbers = _numbers(labels)
    return numbers is not None and len(numbers) > 1 and bool(np.all(np.diff(numbers) == 1.0))


def _numbers(labels: tuple[str, ...]) -> list[float] | None:
    """The labels as numbers; ``None`` where one is none."""
    return [float(label) for label in labels] if all(_NUMBER.fullmatch(label) for label in labels) else None
