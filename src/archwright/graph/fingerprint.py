"""The isomorphism-invariant fingerprint of a graph.

A graph in normal form is cut at the nodes that every path goes through, and each segment between two cuts gets a certificate: its nodes in a
canonical order, each with its operation, attributes, shapes and the places of its inputs (sorted where the operation is commutative). So

- equal fingerprints mean isomorphic graphs, hence the same function family: the certificate holds the whole segment;
- isomorphic graphs have equal fingerprints, because the canonical order comes from colours that do not depend on the order of the
  nodes: hashes of all a node is computed from (forward), then of all it is used for (backward), refined by those of its neighbours
  until nothing splits (Weisfeiler and Leman 1968). Nodes that are still alike are told apart one by one; this presumes that alike
  nodes are interchangeable, which fails only for graphs as regular as those made to defeat such colourings: they may be trained twice.

One node used twice differs from two equal nodes with weights of their own. Scopes do not matter. The order of the inputs of ``concat``
does: swapping them permutes channels, which is the same family only if everything downstream permutes too. Nested sums are kept apart
from flat ones.

How this compares with the published classes of NAS-Bench-201 is told in :mod:`archwright.space.zoo.nas_bench_201`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from functools import lru_cache

from archwright.graph.graph import Graph
from archwright.graph.shapes import Call

Step = tuple[Call, tuple[int, ...]]
"""A node of a segment: its call and the places of its inputs; place 0 is the node before the segment."""

_Surroundings = tuple[tuple[int, ...], tuple[tuple[int, int], ...]]


def fingerprint(graph: Graph) -> str:
    """Thirty-two hexadecimal digits, equal for isomorphic graphs, stable across processes.

    Args:
        graph: In normal form.
    """
    nodes = graph.nodes
    count = len(nodes)
    reach = [0] * count
    for index, node in enumerate(nodes):
        for source in node[1]:
            reach[source] = index
    for output in graph.outputs:
        if output != count - 1:
            reach[output] = count
    digests = []
    begin, farthest = 0, 0
    for index in range(count):
        if farthest <= index and index > begin:
            last = graph.outputs if index == count - 1 else (index,)
            digests.append(_segment(_steps(graph, begin, index), _places(last, begin)))
            begin = index
        farthest = max(farthest, reach[index])
    if begin < count - 1 or count == 1:
        digests.append(_segment(_steps(graph, begin, count - 1), _places(graph.outputs, begin)))
    return _hash(b"".join(digests), 16).hex()


def _steps(graph: Graph, begin: int, end: int) -> tuple[Step, ...]:
    """The nodes after the cut at ``begin`` up to ``end``; from the start of the graph, its inputs too."""
    if begin == 0:
        return tuple([(node[0], tuple([source + 1 for source in node[1]])) for node in graph.nodes[: end + 1]])
    return tuple(
        [(node[0], tuple([source - begin for source in node[1]])) for node in graph.nodes[begin + 1 : end + 1]]
    )


def _places(nodes: Sequence[int], begin: int) -> tuple[int, ...]:
    """Where nodes of the graph stand in the segment after the cut at ``begin``."""
    return tuple([node - begin + (begin == 0) for node in nodes])


def _hash(data: bytes, size: int = 8) -> bytes:
    return hashlib.blake2b(data, digest_size=size).digest()


@lru_cache(maxsize=1 << 16)
def _segment(steps: tuple[Step, ...], outputs: tuple[int, ...]) -> bytes:
    """Certificate of a segment; kept, because cells repeat."""
    inputs = [(), *(sources for _, sources in steps)]
    digests = [b"", *(found.digest for found, _ in steps)]
    ordered = [True, *(not found.spec.commutative for found, _ in steps)]
    colours = list(range(len(inputs))) if len(inputs) <= 2 else _Colouring(inputs, digests, ordered, outputs).discrete()
    certificate: list[bytes] = [b""] * len(inputs)
    for index, colour in enumerate(colours):
        places = [colours[source] for source in inputs[index]]
        certificate[colour] = digests[index] + repr(places if ordered[index] else sorted(places)).encode()
    certificate.append(repr([colours[output] for output in outputs]).encode())
    return _hash(b"|".join(certificate), 16)


class _Colouring:
    """Colours of the nodes of a segment. A class of ``n`` alike nodes has one colour and owns the ``n`` numbers from it on."""

    def __init__(
        self,
        inputs: Sequence[tuple[int, ...]],
        digests: Sequence[bytes],
        ordered: Sequence[bool],
        outputs: Sequence[int],
    ) -> None:
        self.inputs = inputs
        self.ordered = ordered
        self.uses: list[list[tuple[int, int]]] = [[] for _ in inputs]
        for index, sources in enumerate(inputs):
            for position, source in enumerate(sources):
                self.uses[source].append((position if ordered[index] else -1, index))
        hashes = self._hashes(digests, outputs)
        members: dict[bytes, list[int]] = {}
        for index, value in enumerate(hashes):
            members.setdefault(value, []).append(index)
        self.colours = [0] * len(inputs)
        self.classes: dict[int, list[int]] = {}
        start = 0
        for value in sorted(members):
            self._paint(start, members[value])
            start += len(members[value])

    def discrete(self) -> list[int]:
        """Refines and breaks ties until every node has a colour of its own."""
        self._refine(set(self.classes))
        while self.classes:
            colour = min(self.classes)
            first, *rest = self.classes.pop(colour)
            self._paint(colour, [first])
            self._paint(colour + 1, rest)
            self._refine(self._touched([first, *rest]))
        return self.colours

    def _hashes(self, digests: Sequence[bytes], outputs: Sequence[int]) -> list[bytes]:
        forward: list[bytes] = []
        for index, digest in enumerate(digests):
            parts = [forward[source] for source in self.inputs[index]]
            forward.append(_hash(digest + b"".join(parts if self.ordered[index] else sorted(parts))))
        backward = list(forward)
        marks: dict[int, bytes] = {}
        for position, output in enumerate(outputs):
            marks[output] = marks.get(output, b"") + b"out%d" % position
        for index in range(len(digests) - 1, -1, -1):
            parts = sorted([b"%d:" % position + backward[user] for position, user in self.uses[index]])
            backward[index] = _hash(forward[index] + marks.get(index, b"") + b"".join(parts))
        return backward

    def _paint(self, colour: int, members: list[int]) -> None:
        for index in members:
            self.colours[index] = colour
        if len(members) > 1:
            self.classes[colour] = members

    def _touched(self, changed: Sequence[int]) -> set[int]:
        """Colours of the classes of alike nodes next to nodes that changed."""
        near = itertools.chain(
            changed,
            *(self.inputs[index] for index in changed),
            *([user for _, user in self.uses[index]] for index in changed),
        )
        return {self.colours[index] for index in near} & self.classes.keys()

    def _refine(self, queue: set[int]) -> None:
        while queue:
            colour = min(queue)
            queue.discard(colour)
            groups: dict[_Surroundings, list[int]] = {}
            for index in self.classes.get(colour, ()):
                groups.setdefault(self._surroundings(index), []).append(index)
            if len(groups) > 1:
                members = self.classes.pop(colour)
                start = colour
                for key in sorted(groups):
                    self._paint(start, groups[key])
                    start += len(groups[key])
                queue |= self._touched(members)

    def _surroundings(self, index: int) -> _Surroundings:
        sources = [self.colours[source] for source in self.inputs[index]]
        users = sorted([(position, self.colours[user]) for position, user in self.uses[index]])
        return tuple(sources if self.ordered[index] else sorted(sources)), tuple(users)
