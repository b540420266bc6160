"""The report's section on shared weights: the audit in words and charts."""

from __future__ import annotations

from typing import Any

from archwright.explain import Audit
from archwright.problem import Objective, Problem
from archwright.problem.final import show
from archwright.report import figures
from archwright.report.charts import Series, chart, x_axis, y_axis
from archwright.report.scales import span


def shared(audit: Audit, problem: Problem) -> dict[str, Any]:
    """The section's text, table of facts, alarms and charts."""
    from markupsafe import Markup

    metric = problem.objectives[0].metric
    drawn = [
        (
            "Does sharing rank?",
            "Each dot is a network: its score with the shared weights, and trained on its own.",
            _agreement(audit, metric),
        ),
        (
            "The shared weights' training",
            f"Mean {metric} of the same random paths after each epoch.",
            _curve(audit, "score", f"mean {metric}", metric),
        ),
        (
            "Decisiveness",
            "Entropy of the choices: 1 where nothing is preferred, 0 where all is settled.",
            _curve(audit, "entropy", "entropy"),
        ),
        (
            "Operations without weights",
            "Probability of identity, pools and nothing, as the picker would choose now.",
            _curve(audit, "free", "probability"),
        ),
    ]
    return {
        "text": _text(audit),
        "facts": _facts(audit, problem.objectives[0]),
        "alarms": list(audit.alarms),
        "charts": [{"title": title, "text": text, "svg": Markup(svg)} for title, text, svg in drawn if svg is not None],
    }


def _text(audit: Audit) -> str:
    if audit.tau is None:
        found = len([pair for pair in audit.pairs if pair.random])
        return f"{found} random networks have both scores, too few to say how well shared weights rank."
    return (
        f"Over {len([pair for pair in audit.pairs if pair.random])} random networks, Kendall's rank agreement between shared and own scores is {audit.tau:.2f} "
        f"(95% interval {audit.low:.2f} to {audit.high:.2f}; 1 for the same order, 0 for none)."
    )


def _facts(audit: Audit, objective: Objective) -> list[tuple[str, str]]:
    metric = objective.metric
    rows = [
        ("picker", audit.picker),
        ("trained for", f"{audit.epochs:.3g} epoch{'s' * (audit.epochs != 1)}, {figures.duration(audit.seconds)}"),
    ]
    if audit.controls:
        mean = sum(audit.controls) / len(audit.controls)
        best = max(audit.controls) if objective.goal == "max" else min(audit.controls)
        rows.append(
            (
                "random networks on their own",
                f"mean {show(metric, mean)}, best {show(metric, best)} of {len(audit.controls)}",
            )
        )
        rows.append(("as costly as", f"{audit.affordable:.1f} more of them"))
    found = [pair for pair in audit.pairs if not pair.random]
    if found:
        rows.append(("networks found, on their own", ", ".join(show(metric, pair.alone) for pair in found)))
    if audit.collapse is not None:
        found_, expected = audit.collapse.free, audit.collapse.expected
        rows.append(
            (
                "operations without weights",
                f"{found_} of {audit.collapse.choices} in the best network; {expected:.1f} in a random one",
            )
        )
    return rows


def _agreement(audit: Audit, metric: str) -> str | None:
    if len(audit.pairs) < 2:
        return None
    words = figures.words(metric)
    x = x_axis(span([pair.shared for pair in audit.pairs]), words=words)
    y = y_axis(span([pair.alone for pair in audit.pairs]), words=words)
    series = []
    for kind, random in (("baseline", True), ("search", False)):
        pairs = [pair for pair in audit.pairs if pair.random == random]
        titles = [
            f"trial {pair.trial}: {show(metric, pair.shared)} shared, {show(metric, pair.alone)} on its own"
            for pair in pairs
        ]
        series.append(Series(kind, [(pair.shared, pair.alone) for pair in pairs], titles, "dots"))
    return chart(
        x, y, series, x_label="with shared weights", y_label=f"{metric} on its own", title="Shared against own scores"
    )


def _curve(audit: Audit, key: str, label: str, metric: str = "") -> str | None:
    points = [(float(row["epoch"]), float(row[key])) for row in audit.history if row.get(key) is not None]
    if len(points) < 2 or (key == "entropy" and all(value == 1.0 for _, value in points)):
        return None
    x = x_axis(span([epoch for epoch, _ in points], zero=True, pad=0.02), words="{:g}".format)
    y = y_axis(span([value for _, value in points]), words=figures.words(metric) if metric else "{:g}".format)
    return chart(x, y, [Series("search", points)], x_label="epochs of the shared weights", y_label=label, title=label)
