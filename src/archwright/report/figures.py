"""The report's charts, from folded trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from archwright.explain import Point, Progress, arm, metric_value, training
from archwright.problem import OWN, Problem, Trial, purpose
from archwright.problem.final import RATES, show
from archwright.report.charts import Series, chart, x_axis, y_axis
from archwright.report.scales import Axis, focus, span

_CURVES = 150
"""Learning curves drawn at most: the best of the run."""

_TIMES = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 10800, 36000, 86400, 259200, 864000)
"""Seconds at which a logarithmic time axis may have ticks."""


def effort_chart(progress: Progress, problem: Problem) -> str | None:
    """Best so far over the seconds each arm has spent, so that both can be read at equal effort."""
    arms = _arms(progress)
    timed = {kind: [point for point in points if point.seconds > 0] for kind, points in arms.items()}
    seconds = [point.seconds for points in timed.values() for point in points]
    if len(seconds) < 2:
        return None
    log = max(seconds) > 20 * min(seconds)
    x = x_axis(span(seconds, log=log, zero=True, pad=0.02), log=log, words=duration, steps=_TIMES)
    return _progress_chart(
        timed, problem, x, lambda point: point.seconds, "time spent on training by each of the two", "equal effort"
    )


def run_chart(progress: Progress, problem: Problem) -> str | None:
    """Best so far over the trials of the run, as it went."""
    arms = _arms(progress)
    trials = [float(point.trial) for points in arms.values() for point in points]
    if len(trials) < 2:
        return None
    x = x_axis(span(trials, zero=True, pad=0.02), words="{:,.0f}".format)
    return _progress_chart(arms, problem, x, lambda point: float(point.trial), "trial", "the whole run")


def _arms(progress: Progress) -> dict[str, list[Point]]:
    arms = {"baseline": progress.baseline, "search": progress.search}
    return {kind: [point for point in points if point.best is not None] for kind, points in arms.items()}


def _progress_chart(
    arms: dict[str, list[Point]],
    problem: Problem,
    x: Axis,
    place: Callable[[Point], float],
    x_label: str,
    what: str,
) -> str:
    objective = problem.objectives[0]
    shown = [point.value for points in arms.values() for point in points if point.value is not None]
    y = y_axis(focus(shown, objective.goal), words=words(objective.metric))
    dots, lines = [], []
    for kind, points in arms.items():
        valued = [point for point in points if point.value is not None]
        titles = [f"trial {point.trial}: {show(objective.metric, point.value or 0.0)}" for point in valued]
        dots.append(Series(kind, [(place(point), point.value or 0.0) for point in valued], titles, "dots"))
        if points:
            best = [(place(point), point.best or 0.0) for point in points]
            name = "random" if kind == "baseline" else "search"
            lines.append(
                Series(kind, best, [f"{name}: best so far"], "step", f"{name} {show(objective.metric, best[-1][1])}")
            )
    title = f"Best validation {objective.metric} so far over {what}, search against random"
    return chart(x, y, [*dots, *lines], x_label=x_label, y_label=f"validation {objective.metric}", title=title)


def learning_chart(trials: Sequence[Trial], chosen: Trial | None, problem: Problem) -> str | None:
    """Validation metric after each epoch, for the best trials, the chosen one on top with all of its lineage's training."""
    objective = problem.objectives[0]
    known = {trial.id: trial for trial in trials}
    shown = [trial for trial in trials if _own(trial, problem) and _curve(trial, objective.metric)]
    curves = {trial.id: _joined(trial, known, objective.metric, parents=1) for trial in shown}
    mine = _joined(chosen, known, objective.metric) if chosen is not None else []
    if sum(len(points) > 1 for points in curves.values()) == 0 and len(mine) < 2:
        return None
    best = sorted(curves, key=lambda number: objective.score(curves[number][-1][1]), reverse=True)[:_CURVES]
    every = [point for number in best for point in curves[number]] + mine
    x = x_axis(span([epoch for epoch, _ in every], zero=True, pad=0.02), words="{:g}".format)
    y = y_axis(focus([value for _, value in every], objective.goal), words=words(objective.metric))
    series = [
        Series(
            f"{arm(known[number])} faint",
            curves[number],
            [f"trial {number}: {show(objective.metric, curves[number][-1][1])}"],
            "line" if len(curves[number]) > 1 else "dots",
        )
        for number in reversed(best)
    ]
    if chosen is not None and len(mine) > 1:
        series.append(Series("chosen", mine, [f"trial {chosen.id}, the chosen one"], "line", f"trial {chosen.id}"))
    title = f"Learning curves: validation {objective.metric} by epoch"
    return chart(x, y, series, x_label="epochs trained", y_label=f"validation {objective.metric}", title=title)


def _own(trial: Trial, problem: Problem) -> bool:
    """Whether a trial is a candidate whose score can be drawn beside others: not one with shared weights, where some are trained on their own."""
    return purpose(trial) not in OWN and not (problem.settings.get("one_shot") and purpose(trial) == "search")


def _curve(trial: Trial, metric: str) -> list[tuple[float, float]]:
    found = [(float(one.epoch), one.values[metric]) for one in trial.measurements if metric in one.values]
    return [(epoch, value) for epoch, value in found if value == value]


def _joined(trial: Trial, known: Mapping[int, Trial], metric: str, parents: int = 1_000) -> list[tuple[float, float]]:
    """A trial's curve, continued backwards through the lower fidelities of the same network that it resumed from."""
    curve = _curve(trial, metric)
    for _ in range(parents):
        parent = known.get(trial.proposal.parent) if trial.proposal.parent is not None else None
        if parent is None or parent.id >= trial.id or parent.proposal.architecture != trial.proposal.architecture:
            break
        first = curve[0][0] if curve else float("inf")
        curve = [point for point in _curve(parent, metric) if point[0] < first] + curve
        trial = parent
    return curve


def cost_chart(trials: Sequence[Trial], chosen: Trial | None, problem: Problem) -> str | None:
    """Metric against parameters for every finished trial, with the front of those that no other beats in both."""
    objective = problem.objectives[0]
    metric = objective.metric
    rows = [
        (trial, trial.value("params") or 0.0, value)
        for trial in trials
        if _own(trial, problem) and trial.value("params") and (value := metric_value(trial, problem)) is not None
    ]
    if metric == "params" or len({params for _, params, _ in rows}) < 2:
        return None
    ends = span([params for _, params, _ in rows], log=True)
    x = x_axis(ends, log=True, words=short)
    y = y_axis(focus([value for _, _, value in rows], objective.goal), words=words(metric))
    series = []
    for kind in ("search", "baseline"):
        mine = [row for row in rows if arm(row[0]) == kind]
        titles = [
            ", ".join(
                part
                for part in (
                    f"trial {trial.id}: {show(metric, value)}",
                    f"{params:,.0f} parameters",
                    training(trial, problem),
                )
                if part
            )
            for trial, params, value in mine
        ]
        series.append(Series(kind, [(params, value) for _, params, value in mine], titles, "dots"))
    front: list[tuple[float, float]] = []
    for _, params, value in sorted(rows, key=lambda row: (row[1], -objective.score(row[2]))):
        if not front or objective.score(value) > objective.score(front[-1][1]):
            front.append((params, value))
    front.append((ends[1], front[-1][1]))
    series.insert(0, Series("front", front, ["best for its size"], "step"))
    for trial, params, value in rows:
        if chosen is not None and trial.id == chosen.id:
            series.append(Series("chosen", [(params, value)], [f"trial {trial.id}, the chosen one"], "dots"))
    title = f"Validation {metric} against parameters"
    return chart(x, y, series, x_label="parameters", y_label=f"validation {metric}", title=title)


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(0.25), duration(42.4), duration(95), duration(7300)
    ('0.25 s', '42 s', '1 min 35 s', '2 h 2 min')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")


def short(value: float) -> str:
    """A count in few characters.

    >>> short(950), short(12_000), short(1_500_000)
    ('950', '12k', '1.5M')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def words(metric: str) -> Callable[[float], str]:
    """How values of a metric are written on an axis."""
    if metric in RATES:
        return lambda value: f"{100 * value:.3g}%"
    return short
