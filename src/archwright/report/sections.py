"""The report's sections about trials, as plain text for its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from archwright.explain import (
    Explanation,
    Importance,
    Step,
    failures,
    headline,
    metric_value,
    progress,
    show_fidelity,
    show_gain,
    training,
    trains,
)
from archwright.explain.reasons import reasons
from archwright.export.verify import SPLITS, Checks
from archwright.problem import Problem, Trial
from archwright.problem.final import Ensemble, show
from archwright.report import figures

_TOP, _BARS, _OPTIONS = 12, 10, 6
_LONG = 9
"""Steps of a lineage from which its middle is folded away."""


def charts(trials: Sequence[Trial], problem: Problem, chosen: Trial | None) -> list[dict[str, Any]]:
    """The charts that have something to show."""
    from markupsafe import Markup

    curves = progress(trials, problem)
    drawn = [
        (
            "At equal effort",
            "The best so far, against the time that each side had spent.",
            figures.effort_chart(curves, problem),
        ),
        (
            "As the run went",
            "Each dot is a trial; random search had a share of the same budget.",
            figures.run_chart(curves, problem),
        ),
        (
            "Learning curves",
            "One line a trial, from its first epoch to its last.",
            figures.learning_chart(trials, chosen, problem),
        ),
        (
            "Size against quality",
            "The dashed line joins those that no smaller network beats.",
            figures.cost_chart(trials, chosen, problem),
        ),
    ]
    return [{"title": title, "text": text, "svg": Markup(svg)} for title, text, svg in drawn if svg is not None]


def lineage(found: Explanation) -> dict[str, Any]:
    """The lineage, its middle apart where it is long."""
    steps = [_step(found.metric, one, last=one is found.steps[-1]) for one in found.steps]
    if len(steps) < _LONG:
        return {"headline": headline(found), "first": steps, "middle": [], "last": []}
    return {"headline": headline(found), "first": steps[:2], "middle": steps[2:-4], "last": steps[-4:]}


def _step(metric: str, step: Step, *, last: bool) -> dict[str, Any]:
    what = {
        "start": "",
        "edit": "changed",
        "promotion": "trained further",
        "final": "trained for the answer",
    }[step.kind]
    gain = "" if step.gain is None else show_gain(metric, step.gain)
    tone = "" if not step.gain or not step.same_fidelity else "good" if step.gain > 0 else "bad"
    return {
        "trial": step.trial,
        "kind": f"{step.kind} last" if last else step.kind,
        "what": ", ".join(part for part in (what, step.training) if part),
        "value": show(metric, step.value) if step.value is not None else step.status,
        "gain": gain,
        "tone": tone,
        "edits": msgspec.to_builtins(step.edits),
        "reason": sentence(step.reason),
    }


def architecture(
    problem: Problem, chosen: Trial | None, made: Ensemble | None, trials: Mapping[int, Trial]
) -> dict[str, Any] | None:
    """The drawing and the choices of the chosen network, or of an ensemble's members."""
    if chosen is None:
        return None
    from markupsafe import Markup

    from archwright.graph import Graph
    from archwright.graph.draw import svg
    from archwright.graph.ensemble import ensemble

    members = [trials[number] for number in made.trials] if made is not None else [chosen]
    found = [problem.graph(trial.proposal.architecture) for trial in members]
    graphs = [graph for graph in found if isinstance(graph, Graph)]
    drawn = graphs[0] if graphs and made is None else None
    if made is not None and len(graphs) == len(members):
        drawn = ensemble(graphs, made.weights, logits=made.logits)
    return {
        "svg": Markup(svg(drawn)) if drawn is not None else None,
        "choices": [
            (f"member{number}.{address}" if made is not None else address, label)
            for number, trial in enumerate(members, start=1)
            for address, label in problem.space.describe(trial.proposal.architecture)
        ],
    }


def importances(found: Importance, problem: Problem) -> dict[str, Any]:
    """The bars of the choices that mattered, or why there are none."""
    shown = [one for one in found.choices if one.importance > 0][:_BARS]
    full = max((one.importance + one.std for one in shown), default=1.0)
    rows = [
        {
            "address": one.address,
            "width": round(100 * one.importance / full, 1),
            "low": round(100 * max(0.0, one.importance - one.std) / full, 1),
            "spread": round(100 * (one.importance + one.std - max(0.0, one.importance - one.std)) / full, 1),
            "options": [
                {"label": option.label, "mean": show(found.metric, option.mean), "count": option.count}
                for option in one.options[:_OPTIONS]
            ],
        }
        for one in shown
    ]
    rest = len(found.choices) - len(shown)
    note = f"{rest} more choices mattered less, or not at all." if rows and rest else ""
    alike = rows and found.fidelity is not None and trains(problem)
    level = f" All were trained alike: {show_fidelity(found.fidelity)}." if alike and found.fidelity is not None else ""
    return {"verdict": found.verdict + level, "rows": rows, "rest": note}


def top(ranked: Sequence[Trial], problem: Problem, chosen: Trial | None) -> list[dict[str, Any]]:
    """The best trials."""
    metric = problem.objectives[0].metric
    rows = []
    for trial in ranked[:_TOP]:
        parent = f"trial {trial.proposal.parent}: " if trial.proposal.parent is not None else ""
        params = trial.value("params")
        rows.append(
            {
                "trial": trial.id,
                "value": show(metric, metric_value(trial, problem) or 0.0),
                "fidelity": training(trial, problem),
                "params": f"{params:,.0f}" if params is not None else "",
                "seconds": "reused" if trial.status == "duplicate" else figures.duration(trial.seconds),
                "origin": parent + reasons(trial.proposal.why),
                "chosen": chosen is not None and trial.id == chosen.id,
            }
        )
    return rows


def failed(trials: Sequence[Trial]) -> list[dict[str, str]]:
    """Failed and stopped trials by reason."""
    rows = []
    for group in failures(trials):
        listed = ", ".join(map(str, group.trials[:12])) + (", ..." if len(group.trials) > 12 else "")
        rows.append(
            {
                "count": f"{len(group.trials):,}",
                "status": {"stopped": "stopped early"}.get(group.status, group.status),
                "reason": group.reason
                if group.reason == group.example
                else f"{group.reason} (for example: {group.example})",
                "trials": f"trial{'s' * (len(group.trials) > 1)} {listed}",
                "seconds": figures.duration(group.seconds) if group.seconds >= 0.1 else "",
            }
        )
    return rows


def checked(checks: Checks) -> dict[str, Any]:
    """What the verification of the export found."""
    lines = [
        f"The outputs of {pair} differ by at most {difference:.1g} of their scale (allowed: {checks.tolerance:g})."
        for pair, difference in checks.differences.items()
    ]
    lines.append(f"From raw values through predict.py: {checks.raw_difference:.1g} on {checks.raw_rows} rows.")
    lines.append(
        "Recomputed from the files: "
        + ", ".join(f"{name} {show(name, one)}" for name, one in checks.metrics.items())
        + "."
    )
    text = f"Run in a separate process in which archwright cannot be imported, on {checks.rows:,} {SPLITS[checks.split]} rows."
    return {"text": text, "lines": lines}


def sentence(text: str) -> str:
    """The text as a sentence: a capital at the start, a full stop at the end.

    >>> sentence("drawn at random")
    'Drawn at random.'
    """
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith(".") else ".")
