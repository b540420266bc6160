"""What the answer is held against: random networks and known ones, each after the same training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from archwright.explain.trials import fidelity, metric_value, show_fidelity
from archwright.problem import BASELINE, Fidelity, Problem, Trial, purpose
from archwright.problem.final import show

NOTHING_MORE = "the strategy has nothing more to propose"
"""Why a search ended if its strategy ended it."""


class Control(msgspec.Struct, frozen=True):
    """The best network of a control beside the answer, after equal trainings, on validation rows.

    Attributes:
        kind: ``"reference"`` (networks that the space names as known to be good) or ``"random"``.
        trial: The trial of the best one.
        name: Of a reference.
        networks: Networks that the control had.
        metric: What was measured.
        value: Of the control's best.
        answer: Of the answer.
        trained: What both were trained with.
    """

    kind: Literal["reference", "random"]
    trial: int
    name: str
    networks: int
    metric: str
    value: float
    answer: float
    trained: str

    @property
    def text(self) -> str:
        """One sentence for people; it does not call a single network a control.

        >>> Control("random", 3, "", 1, "accuracy", 0.5, 0.6, "1 epoch").text
        'one random network had 50.00%, too few for a control'
        >>> Control("reference", 3, "resnet", 4, "accuracy", 0.5, 0.6, "1 epoch").text
        'the best of 4 references (resnet) had 50.00%'
        """
        value = show(self.metric, self.value)
        if self.kind == "random" and self.networks == 1:
            return f"one random network had {value}, too few for a control"
        many = f"the best of {self.networks} {self.kind}{'s' if self.kind == 'reference' else ' networks'}"
        who = many if self.networks > 1 else "the reference"
        return f"{who}{f' ({self.name})' if self.name else ''} had {value}"


def controls(trials: Iterable[Trial], problem: Problem, answer: Trial) -> tuple[Control, ...]:
    """Return the controls of a run: at the highest fidelity at which the answer's network was measured, too.

    Args:
        trials: Of the run.
        problem: Its first objective is compared.
        answer: The trial that was chosen.

    Returns:
        At most one for the references and one for the random networks; the answer itself is no control of its own.
    """
    names = {network: name for name, network in getattr(problem.space, "references", {}).items()}
    measured: dict[Fidelity, float] = {}
    groups: dict[Literal["reference", "random"], list[Trial]] = {"reference": [], "random": []}
    for trial in trials:
        value = metric_value(trial, problem)
        if value is None or purpose(trial) not in ("search", BASELINE) or problem.score(trial) is None:
            continue
        if trial.proposal.architecture == answer.proposal.architecture:
            measured[fidelity(trial, problem)] = value
        elif trial.proposal.architecture in names:
            groups["reference"].append(trial)
        elif purpose(trial) == BASELINE:
            groups["random"].append(trial)
    found = []
    for kind, members in groups.items():
        common = {fidelity(trial, problem) for trial in members} & measured.keys()
        if not common:
            continue
        level = max(common, key=lambda one: one.cost)
        same = [trial for trial in members if fidelity(trial, problem) == level]
        best = max(same, key=lambda trial: problem.score(trial) or 0.0)
        found.append(
            Control(
                kind,
                best.id,
                names.get(best.proposal.architecture, ""),
                len({trial.proposal.architecture for trial in same}),
                problem.objectives[0].metric,
                metric_value(best, problem) or 0.0,
                measured[level],
                show_fidelity(level),
            )
        )
    return tuple(found)


def show_controls(found: Iterable[Control]) -> str:
    """Return the controls in one line for people; empty if there are none."""
    lines: dict[tuple[str, float], list[str]] = {}
    for control in found:
        lines.setdefault((control.trained, control.answer), []).append(control.text)
    metric = next((control.metric for control in found), "")
    return "; ".join(
        f"after {trained} on validation rows the answer had {show(metric, value)}, {', '.join(texts)}"
        for (trained, value), texts in lines.items()
    )


def weighed(trials: Iterable[Trial], problem: Problem, ended: str | None) -> tuple[str, ...]:
    """Return what a race weighed: what its steps were expected to gain, and what their time cost the answer.

    Args:
        trials: Of the run.
        problem: Its setting ``race`` says what the answer's training had.
        ended: Why the search ended, if it did.
    """
    race = problem.settings.get("race")
    if race is None:
        return ()
    steps = [trial.proposal.why for trial in trials if "expected_gain" in trial.proposal.why]
    networks = len({trial.proposal.architecture for trial in trials if purpose(trial) == "search"})
    begun = f"Time: {race['epochs']} epochs of {race['start']} in all"
    by_itself = ended is not None and ended.startswith(NOTHING_MORE)
    if not steps:
        said = (
            "a further network would have cost more than it gains" if by_itself else "there was time for no comparison"
        )
        return (f"{begun}; {said}.",)
    gain, cost = (sum(float(why[key]) for why in steps) for key in ("expected_gain", "cost"))
    last = "; the next would have cost more than it gains" if by_itself else ""
    return (
        f"{begun}. {networks} networks and {len(steps)} steps of the search were expected to lower the error by "
        f"{-math.expm1(-gain):.1%} and cost the answer's training {-math.expm1(-cost):.1%} of it{last}.",
    )
