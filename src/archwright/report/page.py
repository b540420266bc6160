"""What the report says: folded trials turned into the words and numbers of its template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from archwright.explain import (
    audit,
    baseline_share,
    controls,
    importance,
    metric_value,
    ranking,
    show_controls,
    show_fidelity,
    training,
    trains,
    weighed,
    why,
)
from archwright.export import Checks
from archwright.problem import OWN, Budget, Problem, Status, Trial, purpose
from archwright.problem.final import FinalRecord, Interval, show
from archwright.report import figures, sections
from archwright.report.shared import shared

_RELATIONS = {"<=": "≤", ">=": "≥"}


class Header(msgspec.Struct, frozen=True):
    """What the report takes from a run's header; everything else in it is ignored.

    Attributes:
        data: The data source as the user named it.
        task: Name of the task.
        facts: The task for people: what to value.
        data_hash: Hash of the data.
        strategy: Name of the strategy.
        evaluator: What measured the trials.
        workers: Evaluations at once.
        baseline: Share of the training spent on the random baseline.
        command: Repeats the run.
        versions: Versions of what matters.
    """

    data: str | None = None
    task: str = ""
    facts: dict[str, str] = {}
    data_hash: str = ""
    strategy: str = "search"
    evaluator: str = "train"
    workers: int = 1
    baseline: float = 0.0
    command: str = ""
    versions: dict[str, str] = {}


def page(
    header: Header,
    trials: Sequence[Trial],
    problem: Problem,
    final: FinalRecord | None,
    name: str,
    ended: str | None,
    checks: Checks | None,
    seconds: float | None,
) -> dict[str, Any]:
    """The template's variables, all of them plain text but for the drawings."""
    ranked = ranking(trials, problem)
    known = {trial.id: trial for trial in trials}
    chosen = known.get(final.trial) if final is not None else (ranked[0] if ranked else None)
    made = final.ensemble if final is not None else None
    lineage = why(trials, chosen.id, problem) if chosen is not None else None
    return {
        "title": name or header.task or problem.space.name,
        "subtitle": _subtitle(header, trials, problem, ended),
        "hero": _hero(header, trials, problem, final, chosen, ended),
        "tiles": _tiles(trials, problem, final, chosen, seconds),
        "metrics": _metrics(final),
        "has_baseline": bool(final and final.baseline_test),
        "metric": problem.objectives[0].metric,
        "strategy": header.strategy,
        "chosen": chosen.id if chosen is not None else None,
        "charts": sections.charts(trials, problem, chosen),
        "lineage": sections.lineage(lineage) if lineage is not None else None,
        "architecture": sections.architecture(problem, chosen, made, known),
        "shared": shared(found, problem) if (found := audit(trials, problem)) is not None else None,
        "importance": sections.importances(importance(trials, problem, seed=problem.seed), problem) if ranked else None,
        "top": sections.top(ranked, problem, chosen),
        "failures": sections.failed(trials),
        "checks": sections.checked(checks) if checks is not None else None,
        "warnings": list(final.warnings) if final is not None else _header_warnings(header),
        "facts": _facts(header, trials, problem, final),
        "command": header.command,
        "footer": _footer(header),
    }


def _subtitle(header: Header, trials: Sequence[Trial], problem: Problem, ended: str | None) -> str:
    goals = ", ".join(f"{'maximise' if one.goal == 'max' else 'minimise'} {one.metric}" for one in problem.objectives)
    bounds = "".join(
        f", {constraint.metric} {_RELATIONS[constraint.relation]} {figures.short(constraint.bound)}"
        for constraint in problem.constraints
    )
    state = f"Ended: {ended}." if ended else "Not finished: this is the run so far."
    task = f"{header.task}: " if header.task else ""
    return f"{task}{goals}{bounds} in the space '{problem.space.name}' within {problem.budget}. {state}"


def _hero(
    header: Header,
    trials: Sequence[Trial],
    problem: Problem,
    final: FinalRecord | None,
    chosen: Trial | None,
    ended: str | None,
) -> dict[str, Any]:
    metric = problem.objectives[0].metric
    if final is not None and final.metric in final.test:
        test = final.test[final.metric]
        beside = show_controls(controls(trials, problem, trials[final.trial]))
        verdict = (
            sections.sentence(beside)
            if beside
            else "Nothing was trained beside it, so nothing is claimed about the search itself."
        )
        tone = ""
        if final.comparison is not None:
            tone = {"better": "good", "worse": "bad", "tie": ""}[final.comparison.verdict]
            verdict = sections.sentence(final.comparison.text("The search", "random"))
        note = " ".join(weighed(trials, problem, ended))
        if final.baseline_trial == final.trial:
            note = "The chosen network comes from the random baseline."
        if final.against_single is not None:
            note = sections.sentence(f"{final.against_single} ({final.answer})")
        return {
            "kicker": f"test {final.metric}",
            "value": show(final.metric, test.value),
            "interval": f"95% interval {_interval(final.metric, test)}, {final.test_rows:,} test rows",
            "tone": tone,
            "verdict": verdict,
            "note": note,
        }
    if chosen is not None:
        value = metric_value(chosen, problem)
        return {
            "kicker": f"best validation {metric} so far",
            "value": show(metric, value) if value is not None else "none",
            "interval": ", ".join(part for part in (f"trial {chosen.id}", training(chosen, problem)) if part),
            "tone": "",
            "verdict": "The test split has not been touched: this number chose the network, so it flatters it.",
            "note": "",
        }
    done = sum(trial.done for trial in trials)
    return {
        "kicker": f"{metric}",
        "value": "No result",
        "interval": "",
        "tone": "bad" if done else "",
        "verdict": f"None of {len(trials)} trials has a result." if trials else "No trial was started.",
        "note": "See below what did not work." if done else "",
    }


def _tiles(
    trials: Sequence[Trial], problem: Problem, final: FinalRecord | None, chosen: Trial | None, seconds: float | None
) -> list[dict[str, str]]:
    tiles = []
    values = chosen.final.values if chosen is not None and chosen.final is not None else {}
    params = final.cost.params if final is not None and final.cost is not None else values.get("params")
    flops = final.cost.flops if final is not None and final.cost is not None else values.get("flops")
    if params is not None:
        tiles.append({"name": "parameters", "value": f"{params:,.0f}", "more": ""})
    if flops is not None:
        tiles.append({"name": "FLOPs a prediction", "value": figures.short(flops), "more": ""})
    counts = Counter(trial.status for trial in trials if purpose(trial) not in OWN)
    more = ", ".join(f"{counts[status]} {word}" for status, word in _STATUSES.items() if counts[status])
    tiles.append({"name": "trials", "value": f"{sum(counts.values()):,}", "more": more})
    spent = sum(trial.seconds for trial in trials)
    if seconds is not None:
        tiles.append({"name": "wall time", "value": figures.duration(seconds), "more": f"of {problem.budget}"})
    tiles.append({"name": "time in training", "value": figures.duration(spent), "more": "all workers together"})
    if chosen is not None:
        made = final.ensemble if final is not None else None
        value = f"trial {chosen.id}" if made is None else f"{len(made.trials)} networks"
        tiles.append({"name": "chosen", "value": value, "more": _how(chosen, final)})
    return tiles


_STATUSES: dict[Status, str] = {
    "finished": "finished",
    "duplicate": "reused",
    "stopped": "stopped early",
    "failed": "failed",
    "running": "running",
}


def _how(chosen: Trial, final: FinalRecord | None) -> str:
    if final is not None and final.ensemble is not None:
        return final.answer
    if final is not None and final.epochs:
        return f"{final.epochs} epochs, {final.numerics}"
    return "the best on validation rows"


def _metrics(final: FinalRecord | None) -> list[dict[str, str]]:
    if final is None:
        return []
    rows = []
    for name, one in final.test.items():
        other = final.baseline_test.get(name)
        rows.append(
            {
                "name": name.replace("_", " "),
                "value": show(name, one.value),
                "interval": _interval(name, one),
                "baseline": show(name, other.value) if other is not None else "",
                "baseline_interval": _interval(name, other) if other is not None else "",
            }
        )
    return rows


def _facts(
    header: Header, trials: Sequence[Trial], problem: Problem, final: FinalRecord | None
) -> list[tuple[str, str]]:
    facts = [(name, value) for name, value in header.facts.items() if not name.startswith("warning")]
    if header.data and ("source", header.data) not in facts:
        facts.insert(0, ("source", header.data))
    if header.data_hash:
        facts = [fact for fact in facts if fact[0] != "hash"] + [("data hash", header.data_hash)]
    budget: Budget = problem.budget
    facts += [
        ("space", f"{problem.space.name}, {_size(problem.space.size)} architectures"),
        ("strategy", header.strategy),
        ("budget", str(budget)),
        ("seed", str(problem.seed)),
        ("workers", str(header.workers)),
        *([("full fidelity", show_fidelity(problem.fidelity))] if trains(problem) else []),
        ("random baseline", f"{baseline_share(trials):.0%} of the training time" if header.baseline else "none"),
    ]
    if header.evaluator != "train":
        facts.append(("evaluator", header.evaluator))
    if final is not None:
        facts += [
            ("members", final.answer)
            if final.ensemble is not None
            else (
                "final training",
                f"{final.epochs} epochs, {final.numerics}, {figures.duration(final.seconds)} with the test",
            )
        ]
        facts += [(name.replace("_", " "), _plain(value)) for name, value in final.recipe.items()]
    return facts


def _header_warnings(header: Header) -> list[str]:
    return [value for name, value in header.facts.items() if name.startswith("warning")]


def _footer(header: Header) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in header.versions.items())
    return f"Written by archwright{' with ' + versions if versions else ''}. Everything on this page comes from the run's ledger."


def _interval(metric: str, interval: Interval) -> str:
    return f"{show(metric, interval.low)} to {show(metric, interval.high)}"


def _size(size: int) -> str:
    return f"{size:,}" if size < 10**9 else f"about 10^{len(str(size)) - 1}"


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
