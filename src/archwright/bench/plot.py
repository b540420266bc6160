"""Regret against evaluations and against simulated time, as inline SVG."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from archwright.bench.cases import Suite
from archwright.bench.outcome import report_names
from archwright.bench.results import Searches
from archwright.errors import ArchwrightError
from archwright.report.charts import HEIGHT, WIDTH, Series, chart, x_axis, y_axis
from archwright.report.scales import span

COLOURS = ("#6b7280", "#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f", "#78350f")
"""One for each strategy, in the order of the records; used again where there are more."""
POINTS = 200
"""Places at which the curves over time are drawn."""

_STYLE = """
svg.chart { background: #fff; font: 12px system-ui, sans-serif; }
svg.chart text { fill: #374151; }
svg.chart .grid { stroke: #e5e7eb; } svg.chart .axis, svg.chart .tick { stroke: #9ca3af; }
svg.chart .line { fill: none; stroke-width: 2; } svg.chart .line.faint { stroke-width: 1; stroke-opacity: .35; }
"""


def plot(suite: Suite, groups: Sequence[Searches], path: str | os.PathLike[str]) -> Path:
    """Draws the mean regret of each strategy with its 95% interval, one pair of charts for each case and report.

    Args:
        suite: What was run.
        groups: Its recorded searches.
        path: The file: ``.html`` or ``.svg``.

    Raises:
        ArchwrightError: Where there is nothing to draw, the file's name ends in something else, or it cannot be written.
    """
    target = Path(path)
    if target.suffix not in (".html", ".svg"):
        raise ArchwrightError(f"Got the file {target}; expected a name that ends in .html or .svg.")
    names = list(dict.fromkeys(strategy for searches in groups for strategy in searches.found))
    figures = _contests(groups, names) if suite.is_contest else _searches(groups)
    if not figures:
        raise ArchwrightError(
            f"Nothing is recorded of {suite.name!r} that has a curve{' (two budgets or more)' * suite.is_contest}. "
            f"Run it first: archwright bench run {suite.name}"
        )
    text = (_page if target.suffix == ".html" else _image)(suite, names, figures)
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ArchwrightError(f"Could not write {target}: {error.strerror or error}. Choose another place.") from error
    return target


def _searches(groups: Sequence[Searches]) -> list[tuple[str, str]]:
    return [figure for one in groups for report in report_names(one.case) for figure in _figures(one, report)]


def _figures(searches: Searches, report: str) -> list[tuple[str, str]]:
    """Caption and drawing of regret over evaluations, and over time where it differs from evaluation to evaluation."""
    by_count: list[Series] = []
    by_time: list[Series] = []
    for number, strategy in enumerate(searches.found):
        regrets = {seed: 100 * curve for seed, curve in searches.regret(strategy, report).items()}
        times = {seed: np.array(searches.found[strategy][seed].seconds) for seed in regrets}
        if not regrets or max(len(curve) for curve in regrets.values()) < 2:
            continue
        length = max(len(curve) for curve in regrets.values())
        counts = np.arange(1, length + 1)
        rows = np.array([np.pad(curve, (0, length - len(curve)), mode="edge") for curve in regrets.values()])
        by_count += _band(number, strategy, counts, rows)
        start, end = (float(f([time[place] for time in times.values()])) for f, place in ((np.max, 0), (np.median, -1)))
        if end > start:
            grid = np.linspace(start, end, POINTS)
            steps = [curve[np.searchsorted(times[seed], grid, side="right") - 1] for seed, curve in regrets.items()]
            by_time += _band(number, strategy, grid / 3600, np.array(steps))
    title = f"{searches.case.name}: {report}"
    found = []
    if by_count:
        found.append((title, _chart(by_count, "evaluations", title)))
    if by_time:
        found.append((title, _chart(by_time, "simulated hours", title)))
    return found


def _contests(groups: Sequence[Searches], names: Sequence[str]) -> list[tuple[str, str]]:
    """Caption and drawing of the regret over the budget, on the seeds that all budgets of a method have."""
    figures = []
    for case in dict.fromkeys(searches.case for searches in groups):
        mine, (report,) = [searches for searches in groups if searches.case is case], report_names(case)
        series: list[Series] = []
        for number, method in enumerate(names):
            held = [one for one in mine if method in one.found]
            regrets = [one.regret(method, report) for one in held]
            seeds = sorted(set.intersection(*(set(regret) for regret in regrets))) if regrets else []
            if len(held) > 1 and seeds:
                minutes = np.array([(one.budget.seconds or 0.0) / 60 for one in held])
                rows = 100 * np.array([[regret[seed][-1] for regret in regrets] for seed in seeds])
                series += _band(number, method, minutes, rows)
        title = f"{case.name}: {report}"
        if series:
            figures.append((title, _chart(series, "minutes", title)))
    return figures


def _band(number: int, strategy: str, at: np.ndarray, rows: np.ndarray) -> list[Series]:
    """The mean as a line, and the ends of its 95% interval as faint ones."""
    mean = rows.mean(axis=0)
    half = 1.96 * rows.std(axis=0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.zeros_like(mean)
    kind = f"s{number % len(COLOURS)}"
    ends = [Series(f"{kind} faint", _pairs(at, mean + sign * half)) for sign in (-1, 1)] if len(rows) > 1 else []
    return [*ends, Series(kind, _pairs(at, mean), [strategy])]


def _pairs(at: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(at.tolist(), np.maximum(values, 0.0).tolist()))


def _chart(series: list[Series], x_label: str, title: str) -> str:
    points = [point for one in series for point in one.points]
    shown = [value for _, value in points if value > 0]
    x = x_axis((min(at for at, _ in points), max(at for at, _ in points)), words="{:,g}".format)
    y = dataclasses.replace(y_axis(span(shown, log=True), words="{:g}".format), log=True)
    return chart(
        x, y, series, x_label=x_label, y_label="regret, percentage points", title=f"Regret over {x_label}, {title}"
    )


def _colours() -> str:
    return "".join(f"svg.chart .s{number} {{ stroke: {colour}; }}\n" for number, colour in enumerate(COLOURS))


def _page(suite: Suite, names: Sequence[str], figures: Sequence[tuple[str, str]]) -> str:
    legend = " ".join(
        f'<span><i style="background:{COLOURS[number % len(COLOURS)]}"></i>{escape(name)}</span>'
        for number, name in enumerate(names)
    )
    drawn = "\n".join(f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" for title, svg in figures)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(suite.name)}</title><style>
body {{ font: 15px system-ui, sans-serif; max-width: 1120px; margin: 2rem auto; padding: 0 1rem; color: #111827; background: #fff; }}
main {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 1rem; }}
figure {{ margin: 0; }} i {{ display: inline-block; width: 1.5em; height: 3px; margin: 0 .4em .25em 1em; }}
{_STYLE}{_colours()}</style></head>
<body><h1>{escape(suite.name)}</h1><p>{escape(suite.about)} Mean regret and its 95% interval.</p><p>{legend}</p><main>
{drawn}
</main></body></html>
"""


def _image(suite: Suite, names: Sequence[str], figures: Sequence[tuple[str, str]]) -> str:
    """All charts in one image, two beside each other."""
    line, top = 18, 30 + 18 * len(names)
    rows = -(-len(figures) // 2)
    legend = "".join(
        f'<rect x="20" y="{26 + line * number}" width="24" height="3" fill="{COLOURS[number % len(COLOURS)]}"/>'
        f'<text x="52" y="{32 + line * number}">{escape(name)}</text>'
        for number, name in enumerate(names)
    )
    drawn = []
    for number, (title, svg) in enumerate(figures):
        left, above = WIDTH * (number % 2), top + (HEIGHT + 24) * (number // 2)
        placed = svg.replace("<svg ", f'<svg x="{left}" y="{above + 20}" width="{WIDTH}" height="{HEIGHT}" ', 1)
        drawn.append(f'<text x="{left + 12}" y="{above + 14}" font-weight="bold">{escape(title)}</text>{placed}')
    width, height = 2 * WIDTH, top + (HEIGHT + 24) * rows
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
        f'<style>{_STYLE}{_colours()}</style><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="20" y="18" font-weight="bold">{escape(suite.name)}</text>{legend}{"".join(drawn)}</svg>\n'
    )
