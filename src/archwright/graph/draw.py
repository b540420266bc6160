"""Drawing: a graph as a self-contained SVG, top to bottom, readable on light and dark pages. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from archwright.graph.graph import Graph, Node
from archwright.graph.groups import Group, groups
from archwright.graph.layout import Layout, Point, layout

_COLOURS = {
    "conv": ("#cfe1ff", "#3b73d1"),
    "pool": ("#d3f2dc", "#2f9e58"),
    "linear": ("#ffe0c7", "#d9772b"),
    "norm": ("#ece3ff", "#8059d6"),
    "activation": ("#ffd9e3", "#d1436f"),
    "merge": ("#fff0bf", "#b98c00"),
    "recurrent": ("#dcebd0", "#5f8f2f"),
    "shape": ("#e4e7eb", "#6b7683"),
    "other": ("#e4e7eb", "#6b7683"),
    "input": ("#e4e7eb", "#6b7683"),
    "group": ("#dff3f5", "#27899a"),
}
_SYMBOLS = {"add": "+", "mul": "×", "mean": "mean", "concat": "concat"}
_EDGE = "#8a93a0"
_MARGIN = 16.0
_GAP = 28.0
_TITLE = 20.0
_PANELS = 4


class _Box(NamedTuple):
    title: str
    detail: str
    kind: str
    hint: str

    @property
    def size(self) -> tuple[float, float]:
        longest = max(len(self.title) * 7.3, len(self.detail) * 6.1)
        return max(longest + 24, 44.0), 42.0 if self.detail else 26.0


class _Section(NamedTuple):
    title: str
    boxes: list[_Box]
    edges: list[tuple[int, int]]


def svg(graph: Graph, collapse: int = 40) -> str:
    """The graph as SVG.

    Args:
        graph: What to draw.
        collapse: Where there are more nodes, scopes become one box each, equal ones in a row one box with a count, and what is inside them
            is drawn at the side, once for each kind.
    """
    if len(graph) <= collapse:
        inside = {node.call: _inside(node) for node in graph.nodes if node.call.spec.inside}
        return _page([_Section("", *_boxes(graph, range(len(graph)))), *list(inside.values())[:_PANELS]])
    found = groups(graph)
    sections = [_Section("", [_group_box(graph, group) for group in found.groups], found.edges)]
    for group in found.patterns()[:_PANELS]:
        sections.append(_Section(f"inside {group.title}", *_boxes(graph, group.nodes)))
    return _page(sections)


def _boxes(graph: Graph, members: Sequence[int]) -> tuple[list[_Box], list[tuple[int, int]]]:
    """Boxes and edges of these nodes; what comes from outside is a box of its own."""
    inside = set(members)
    outside = sorted({source for node in members for source in graph.nodes[node].inputs} - inside)
    place = {node: index for index, node in enumerate([*outside, *members])}
    boxes = [_Box("input", _shape(graph.nodes[node]), "input", "") for node in outside]
    boxes += [_node_box(graph.nodes[node]) for node in members]
    edges = [(place[source], place[node]) for node in members for source in graph.nodes[node].inputs]
    return boxes, edges


def _node_box(node: Node) -> _Box:
    spec = node.call.spec
    hint = "\n".join(
        [str(node.call), f"{_shape(node)}, {node.call.cost.params:,} parameters", *([node.scope] if node.scope else [])]
    )
    if node.op == "input":
        return _Box("input", _shape(node), "input", hint)
    if spec.kind == "merge":
        return _Box(_SYMBOLS.get(spec.name, spec.name), _shape(node) if spec.name == "concat" else "", "merge", hint)
    detail = _shape(node)
    if node.call.cost.params:
        detail += f" · {_short(node.call.cost.params)} params"
    return _Box(" ".join([spec.name.replace("_", " "), *_attributes(node)]), detail, spec.kind, hint)


def _inside(node: Node) -> _Section:
    """What an operation shows of its inside."""
    assert node.call.spec.inside is not None
    titles, edges = node.call.spec.inside(dict(node.attrs))
    name = node.scope or node.call.spec.name
    return _Section(f"inside {name}", [_Box(title, "", node.call.spec.kind, "") for title in titles], edges)


def _attributes(node: Node) -> list[str]:
    """What of the attributes is worth reading at a glance."""
    parts: list[str] = []
    for name, value in node.attrs:
        default = node.call.spec.attributes.get(name)
        if name == "kernel":
            rows, columns = value if isinstance(value, tuple) else (value, value)
            parts.insert(0, f"{rows}×{columns}")
        elif name == "stride" and value != 1:
            parts.append(f"/{value}")
        elif (
            name not in ("width", "height", "shape", "stride", "affine", "bias")
            and value != default
            and value is not False
            and name not in node.call.spec.relaxed
        ):
            parts.append(name if value is True else f"{name} {value}")
    return parts


def _group_box(graph: Graph, group: Group) -> _Box:
    nodes = [graph.nodes[node] for node in group.nodes]
    if len(nodes) == 1 and group.count == 1:
        return _node_box(nodes[0])
    params = sum(node.call.cost.params for node in nodes) * group.count
    title = f"{group.title} ×{group.count}" if group.count > 1 else group.title
    hint = "\n".join(str(node.call) for node in nodes)
    detail = f"{_shape(nodes[-1])} · {_short(params)} params"
    return _Box(title, detail, "group", hint)


def _page(sections: Sequence[_Section]) -> str:
    """The first section at the left, the others as framed panels in columns beside it."""
    placed = [layout([box.size for box in boxes], edges) for _, boxes, edges in sections]
    tallest = 1.25 * max(section.height for section in placed)
    parts = [_section(sections[0], placed[0], _MARGIN, _MARGIN)]
    left, top, column = _MARGIN + placed[0].width + _GAP, _MARGIN, 0.0
    width, height = left - _GAP + _MARGIN, placed[0].height + 2 * _MARGIN
    for section, arranged in zip(sections[1:], placed[1:]):
        panel_width = max(arranged.width, len(section.title) * 7.0) + 2 * _MARGIN
        panel_height = arranged.height + 2 * _MARGIN + _TITLE
        if top > _MARGIN and top + panel_height > tallest:
            left, top, column = left + column + _GAP, _MARGIN, 0.0
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{panel_width:.1f}" height="{panel_height:.1f}" rx="10" fill="none" '
            f'stroke="{_EDGE}" stroke-dasharray="4 4"/><text x="{left + _MARGIN:.1f}" y="{top + _TITLE:.1f}" fill="{_EDGE}" '
            f'font-size="12" font-weight="600">{escape(section.title)}</text>'
        )
        parts.append(_section(section, arranged, left + _MARGIN, top + _MARGIN + _TITLE))
        column = max(column, panel_width)
        top += panel_height + _GAP
        width, height = max(width, left + column + _MARGIN), max(height, top - _GAP + _MARGIN)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        'style="max-width:100%;height:auto" font-family="system-ui, -apple-system, Segoe UI, Roboto, sans-serif" role="img">'
        '<defs><marker id="archwright-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0.5 L8 4 L0 7.5 z" fill="{_EDGE}"/></marker></defs>{"".join(parts)}</svg>'
    )


def _section(section: _Section, placed: Layout, left: float, top: float) -> str:
    drawn = [*map(_edge, placed.paths), *(_drawn(box, centre) for box, centre in zip(section.boxes, placed.centres))]
    return f'<g transform="translate({left:.1f} {top:.1f})">{"".join(drawn)}</g>'


def _edge(points: Sequence[Point]) -> str:
    (x, y), *rest = points
    path = f"M{x:.1f} {y:.1f}"
    for to_x, to_y in rest:
        middle = (y + to_y) / 2
        path += (
            f" L{to_x:.1f} {to_y:.1f}"
            if x == to_x
            else f" C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        )
        x, y = to_x, to_y
    return f'<path d="{path}" fill="none" stroke="{_EDGE}" stroke-width="1.4" marker-end="url(#archwright-arrow)"/>'


def _drawn(box: _Box, centre: Point) -> str:
    (x, y), (width, height) = centre, box.size
    fill, line = _COLOURS[box.kind]
    rounding = height / 2 if box.kind in ("merge", "input") else 7
    title_y = y - 3 if box.detail else y + 4.5
    detail = (
        f'<text x="{x:.1f}" y="{y + 13:.1f}" text-anchor="middle" font-size="11" fill="#4a5360">{escape(box.detail)}</text>'
        if box.detail
        else ""
    )
    return (
        f"<g><title>{escape(box.hint)}</title>"
        f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{rounding:.1f}" '
        f'fill="{fill}" stroke="{line}"/>'
        f'<text x="{x:.1f}" y="{title_y:.1f}" text-anchor="middle" font-size="13" font-weight="600" fill="#1c2430">{escape(box.title)}</text>'
        f"{detail}</g>"
    )


def _shape(node: Node) -> str:
    return "×".join(map(str, node.shape))


def _short(count: int) -> str:
    return f"{count / 1e6:.2f}M" if count >= 1_000_000 else f"{count / 1e3:.1f}k" if count >= 1_000 else str(count)
