"""Why a trial was tried: its chain of parents, each step's edit, recorded reason and gain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from archwright.errors import ArchwrightError
from archwright.explain.reasons import reasons
from archwright.explain.trials import fidelity, metric_value, ranking, training
from archwright.problem import FINAL, Problem, Space, Trial, purpose
from archwright.problem.final import RATES, show

Kind = Literal["start", "edit", "promotion", "final"]


class Edit(msgspec.Struct, frozen=True):
    """One choice that differs between a trial and its parent; ``None`` where the choice was not active."""

    address: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.address} = {self.after} (new)"
        if self.after is None:
            return f"{self.address} = {self.before} (gone)"
        return f"{self.address}: {self.before} → {self.after}"


class Step(msgspec.Struct, frozen=True):
    """One trial of a lineage.

    Attributes:
        trial: Its number.
        kind: ``start`` (no parent), ``edit`` (another architecture than the parent's), ``promotion`` (the parent's architecture,
            trained further), or ``final`` (trained for the answer, on train and validation data).
        by: Who proposed it, as recorded.
        edits: What differs from the parent.
        reason: The recorded reasons in words; empty where nothing was recorded.
        status: The trial's status.
        value: Its final metric value.
        gain: Change against the parent's score; positive is better, whatever the metric's direction.
        training: What it was trained with, in words; empty where it was not trained.
        same_fidelity: Whether the parent was trained as long, so that the gain is due to the edit (and to noise) alone.
    """

    trial: int
    kind: Kind
    by: str
    edits: tuple[Edit, ...]
    reason: str
    status: str
    value: float | None
    gain: float | None
    training: str
    same_fidelity: bool


class Explanation(msgspec.Struct, frozen=True):
    """Where a trial came from.

    Attributes:
        trial: The trial explained.
        metric: The first objective's metric.
        steps: From the first ancestor to the trial itself.
        rank: Its place among the scored trials of its fidelity, from 1; ``None`` where it has no score.
        peers: How many there are.
        siblings: Other trials proposed from the same parent.
        choices: The architecture in words: ``(address, label)``.
    """

    trial: int
    metric: str
    steps: tuple[Step, ...]
    rank: int | None
    peers: int
    siblings: int
    choices: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """The explanation as plain text for a terminal."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The lines of :meth:`text`."""
        last = self.steps[-1]
        lines = [headline(self), ""]
        for step in self.steps:
            value = "no result" if step.value is None else show(self.metric, step.value)
            gain = "" if step.gain is None else f"  ({show_gain(self.metric, step.gain)})"
            title = f"#{step.trial:<5} {step.kind:<9} {value}{gain}{step.training and f', {step.training}'}"
            lines.append(title if step.status != "failed" else f"{title}, failed")
            lines += [f"         {edit}" for edit in step.edits]
            if step.reason:
                lines.append(f"         why: {step.reason}")
        if len(self.steps) > 1 and last.gain is not None and not last.same_fidelity and last.kind == "promotion":
            lines += [
                "",
                "The last gain is mostly longer training: the parent is the same network at a lower fidelity.",
            ]
        return lines


def why(trials: Iterable[Trial], trial: int, problem: Problem) -> Explanation:
    """Explains where a trial came from, from what was recorded when it was proposed.

    Args:
        trials: The folded trials of the run.
        trial: The number of the trial to explain.
        problem: For the metric, the words of the space and the full fidelity.

    Raises:
        ArchwrightError: Where there is no such trial.
    """
    known = {one.id: one for one in trials}
    if trial not in known:
        expected = f"one of 0 to {max(known)}" if known else "a run that has trials"
        raise ArchwrightError(f"Got the trial {trial}; expected {expected}. `archwright show RUN` lists them.")
    chain = _chain(known, trial)
    steps = tuple(_step(one, parent, problem) for parent, one in zip([None, *chain], chain))
    me = known[trial]
    peers = [one.id for one in ranking(known.values(), problem) if fidelity(one, problem) == fidelity(me, problem)]
    parent = me.proposal.parent
    siblings = sum(
        1 for one in known.values() if parent is not None and one.proposal.parent == parent and one.id != trial
    )
    return Explanation(
        trial=trial,
        metric=problem.objectives[0].metric,
        steps=steps,
        rank=peers.index(trial) + 1 if trial in peers else None,
        peers=len(peers),
        siblings=siblings,
        choices=problem.space.describe(me.proposal.architecture),
    )


def headline(explanation: Explanation) -> str:
    """One sentence: what the trial reached, and in how many steps from what."""
    last, first = explanation.steps[-1], explanation.steps[0]
    reached = (
        "has no result"
        if last.value is None
        else f"reached {explanation.metric} {show(explanation.metric, last.value)}"
    )
    rank = f", rank {explanation.rank} of {explanation.peers}" if explanation.rank else ""
    if rank and last.training:
        rank += f" at {last.training}"
    steps = len(explanation.steps) - 1
    origin = (
        "It was not derived from another trial."
        if steps == 0
        else f"{steps} step{'s' * (steps > 1)} from trial {first.trial}."
    )
    if steps == 0 and first.by == "baseline":
        origin = "It belongs to the random baseline."
    if steps == 0 and first.by == "start":
        origin = "It was given to start with."
    return f"Trial {explanation.trial} {reached}{rank}. {origin}"


def show_gain(metric: str, gain: float) -> str:
    """A gain for people, in percentage points where the metric is a rate.

    >>> show_gain("accuracy", 0.0111), show_gain("rmse", -0.5)
    ('+1.11 points', '-0.5')
    """
    return f"{100 * gain:+.2f} points" if metric in RATES else f"{gain:+.3g}"


def edits(space: Space, parent: Trial, child: Trial) -> tuple[Edit, ...]:
    """The choices in which two architectures differ, in words, in the order the space asks for them."""
    if parent.proposal.architecture == child.proposal.architecture:
        return ()
    before = dict(space.describe(parent.proposal.architecture))
    after = dict(space.describe(child.proposal.architecture))
    addresses = [*after, *(address for address in before if address not in after)]
    return tuple(
        Edit(address, before.get(address), after.get(address))
        for address in addresses
        if before.get(address) != after.get(address)
    )


def _chain(known: Mapping[int, Trial], trial: int) -> list[Trial]:
    chain: list[Trial] = []
    number: int | None = trial
    while number is not None and number in known and known[number] not in chain:
        chain.append(known[number])
        number = _parent(known[number])
    return chain[::-1]


def _parent(trial: Trial) -> int | None:
    of = trial.proposal.why.get("of")
    return of if purpose(trial) == FINAL and isinstance(of, int) else trial.proposal.parent


def _step(trial: Trial, parent: Trial | None, problem: Problem) -> Step:
    same = parent is not None and parent.proposal.architecture == trial.proposal.architecture
    kind: Kind = "start" if parent is None else "promotion" if same else "edit"
    value = metric_value(trial, problem)
    before = metric_value(parent, problem) if parent is not None else None
    gain = None
    if value is not None and before is not None:
        objective = problem.objectives[0]
        gain = objective.score(value) - objective.score(before)
    return Step(
        trial=trial.id,
        kind="final" if purpose(trial) == FINAL else kind,
        by=str(trial.proposal.why.get("by", "")),
        edits=edits(problem.space, parent, trial) if parent is not None else (),
        reason=reasons(trial.proposal.why),
        status=trial.status,
        value=value,
        gain=gain,
        training=training(trial, problem),
        same_fidelity=parent is not None and fidelity(parent, problem) == fidelity(trial, problem),
    )
