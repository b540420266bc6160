"""Charts as inline SVG: no scripts, coloured by the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from archwright.report.scales import Axis

WIDTH, HEIGHT = 520, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 18, 44


@dataclasses.dataclass(frozen=True)
class Series:
    """Points of one kind.

    Attributes:
        kind: Style class: ``search``, ``baseline``, ``chosen``, ``other`` or ``front``.
        points: ``(x, y)`` in the axes' units.
        titles: What a pointer sees on each point; may be empty.
        mark: ``line``, ``step`` (holds its value until the next point) or ``dots``.
        label: Shown beside the last point of a line.
    """

    kind: str
    points: Sequence[tuple[float, float]]
    titles: Sequence[str] = ()
    mark: str = "line"
    label: str = ""


def x_axis(
    ends: tuple[float, float],
    *,
    log: bool = False,
    words: Callable[[float], str] = "{:g}".format,
    steps: Sequence[float] = (),
) -> Axis:
    """A horizontal axis of a chart."""
    return Axis(*ends, _LEFT, WIDTH - _RIGHT, log, words, steps)


def y_axis(ends: tuple[float, float], *, words: Callable[[float], str] = "{:g}".format) -> Axis:
    """A vertical axis of a chart."""
    return Axis(*ends, HEIGHT - _BOTTOM, _TOP, False, words)


def chart(x: Axis, y: Axis, series: Sequence[Series], *, x_label: str, y_label: str, title: str) -> str:
    """A chart of several series.

    Args:
        x: Horizontal axis.
        y: Vertical axis; points off it are drawn on its edge.
        series: Drawn in this order, the last on top.
        x_label: What the horizontal axis shows.
        y_label: What the vertical axis shows.
        title: Read aloud by screen readers.
    """
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">',
        *_grid(x, y),
        f'<text class="name" x="{(_LEFT + WIDTH - _RIGHT) / 2:g}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text class="name" x="{_LEFT}" y="11" text-anchor="start">{escape(y_label)}</text>',
    ]
    for one in series:
        parts += _dots(one, x, y) if one.mark == "dots" else _line(one, x, y)
    parts += _labels([one for one in series if one.label and one.points], x, y)
    return "\n".join([*parts, "</svg>"])


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    for value in y.ticks(6):
        at = y(value)
        if at > _TOP + 2:
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at}" y2="{at}"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:g}" text-anchor="end">{escape(y.words(value))}</text>')
    for value in x.ticks(6):
        at = x(value)
        anchor = "end" if at > WIDTH - _RIGHT - 14 else "middle"
        parts.append(f'<line class="tick" x1="{at}" x2="{at}" y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM + 4}"/>')
        parts.append(
            f'<text x="{at}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="{anchor}">{escape(x.words(value))}</text>'
        )
    parts.append(
        f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{HEIGHT - _BOTTOM}" y2="{HEIGHT - _BOTTOM}"/>'
    )
    return parts


def _line(series: Series, x: Axis, y: Axis) -> list[str]:
    if not series.points:
        return []
    places = [(x(a), y(b)) for a, b in series.points]
    path = f"M{places[0][0]:g} {places[0][1]:g}"
    for (_, before), (at, now) in pairwise(places):
        path += f"H{at:g}V{now:g}" if series.mark == "step" and now != before else f"L{at:g} {now:g}"
    title = f"<title>{escape(series.titles[0])}</title>" if series.titles else ""
    parts = [f'<path class="line {series.kind}" d="{path}">{title}</path>']
    return parts


def _labels(series: Sequence[Series], x: Axis, y: Axis) -> list[str]:
    """Names at the ends of lines: the highest above its line, the others below theirs."""
    parts = []
    for place, one in enumerate(sorted(series, key=lambda one: y(one.points[-1][1]))):
        at, level = x(one.points[-1][0]), y(one.points[-1][1]) + (-8 if place == 0 else 18)
        side = f'x="{at:g}" text-anchor="end"' if at > (_LEFT + WIDTH) / 2 else f'x="{at:g}" text-anchor="start"'
        parts.append(f'<text class="value {one.kind}" {side} y="{level:g}">{escape(one.label)}</text>')
    return parts


def _dots(series: Series, x: Axis, y: Axis) -> list[str]:
    parts = []
    titles = list(series.titles) or [""] * len(series.points)
    radius = 6 if series.kind == "chosen" else 3
    for (a, b), title in zip(series.points, titles):
        inside = f"<title>{escape(title)}</title>" if title else ""
        off = "" if y.low <= b <= y.high else " off"
        parts.append(
            f'<circle class="dot {series.kind}{off}" cx="{x(a):g}" cy="{y(b):g}" r="{radius}">{inside}</circle>'
        )
    return parts
