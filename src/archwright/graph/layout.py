"""Layered layout of a directed acyclic graph (Sugiyama et al. 1981): layers by longest path, order by barycentres, then coordinates. No torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

Point = tuple[float, float]

_SWEEPS = 12
_BEND = 8.0


class Layout(NamedTuple):
    """Where everything goes.

    Attributes:
        centres: Centre of each box.
        paths: For each edge, the points it passes, from the bottom of its source to the top of its target.
        width: Of the drawing.
        height: Of the drawing.
    """

    centres: list[Point]
    paths: list[list[Point]]
    width: float
    height: float


def layout(
    sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], gap: tuple[float, float] = (26.0, 30.0)
) -> Layout:
    """Places boxes in layers from top to bottom.

    Args:
        sizes: Width and height of each box.
        edges: ``(source, target)`` with ``source < target``.
        gap: Least distance of neighbours in a layer, and of layers.
    """
    layer = [0] * len(sizes)
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        layer[target] = max(layer[target], layer[source] + 1)
    widths = [width for width, _ in sizes]
    chains: list[list[int]] = []
    links: list[tuple[int, int]] = []
    for source, target in edges:
        chain = [source]
        for level in range(layer[source] + 1, layer[target]):
            layer.append(level)
            widths.append(_BEND)
            chain.append(len(layer) - 1)
        chain.append(target)
        chains.append(chain)
        links += itertools.pairwise(chain)
    rows: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for node, level in enumerate(layer):
        rows[level].append(node)
    up: list[list[int]] = [[] for _ in layer]
    down: list[list[int]] = [[] for _ in layer]
    for source, target in links:
        up[target].append(source)
        down[source].append(target)
    _order(rows, up, down)
    across = _coordinates(rows, widths, up, down, gap[0])
    heights = [max((sizes[node][1] for node in row if node < len(sizes)), default=0.0) for row in rows]
    tops = [sum(heights[:level]) + gap[1] * level for level in range(len(rows))]
    middle = [tops[level] + heights[level] / 2 for level in range(len(rows))]
    left = min(x - width / 2 for x, width in zip(across, widths))
    across = [x - left for x in across]
    paths = []
    for chain in chains:
        points = [(across[chain[0]], middle[layer[chain[0]]] + sizes[chain[0]][1] / 2)]
        for node in chain[1:-1]:
            points += [(across[node], tops[layer[node]]), (across[node], tops[layer[node]] + heights[layer[node]])]
        points.append((across[chain[-1]], middle[layer[chain[-1]]] - sizes[chain[-1]][1] / 2))
        paths.append(points)
    centres = [(across[box], middle[layer[box]]) for box in range(len(sizes))]
    return Layout(centres, paths, max(x + width / 2 for x, width in zip(across, widths)), tops[-1] + heights[-1])


def _order(rows: list[list[int]], up: list[list[int]], down: list[list[int]]) -> None:
    """Sorts each layer by the mean place of the neighbours, sweeping down and up."""
    place = {node: float(index) for row in rows for index, node in enumerate(row)}
    for sweep in range(_SWEEPS):
        near = up if sweep % 2 == 0 else down
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wish = {
                node: sum(place[other] for other in near[node]) / len(near[node]) if near[node] else place[node]
                for node in row
            }
            row.sort(key=lambda node: (wish[node], place[node]))
            place.update({node: index - (len(row) - 1) / 2 for index, node in enumerate(row)})


def _coordinates(
    rows: list[list[int]], widths: list[float], up: list[list[int]], down: list[list[int]], gap: float
) -> list[float]:
    """Draws each node towards its neighbours without overlap."""
    across = [0.0] * len(widths)
    for sweep in range(2 * _SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            near = [(up[node] if sweep % 2 == 0 else down[node]) or [node] for node in row]
            wish = [sum(across[other] for other in others) / len(others) for others in near]
            offsets = [0.0]
            for before, after in itertools.pairwise(row):
                offsets.append(offsets[-1] + (widths[before] + widths[after]) / 2 + gap)
            for node, x, offset in zip(row, _nondecreasing([x - offset for x, offset in zip(wish, offsets)]), offsets):
                across[node] = x + offset
    return across


def _nondecreasing(values: Sequence[float]) -> list[float]:
    """The closest nondecreasing sequence (isotonic regression by pooling adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while blocks and blocks[-1][0] > mean:
            other, size = blocks.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        blocks.append((mean, count))
    return [mean for mean, count in blocks for _ in range(count)]
