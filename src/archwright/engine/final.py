"""The last step of a search: the finalists are trained on train and validation data, and tested once."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from archwright.artifacts import Artifacts
from archwright.engine.ensemble import select
from archwright.engine.forecast import choose
from archwright.engine.loop import Loop
from archwright.engine.safeguard import goes_on, harm, harmful, kept_share, supported_epochs
from archwright.errors import ArchwrightError, GraphError
from archwright.explain import arm, fidelity
from archwright.problem import BASELINE, FINAL, OWN, Fidelity, Problem, Proposal, Trial, purpose
from archwright.problem.final import Comparison, FinalRecord, show

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from archwright.tasks import Task


DRAWN = 300
"""Random networks that are looked up in a latency table in the end."""
MORE = 1.25
"""Times the seconds of an earlier session's final training from which on a new one is worth while."""
TIMED = 256
"""Validation rows on which the finalists' predictions are timed."""


def finalists(loop: Loop) -> list[Trial]:
    """The search's best trial and (where there is to be a control) the random baseline's best, the better one first, as the time left lets their networks be trained."""
    problem, limit = loop.problem, loop.problem.budget.seconds

    def epochs(trial: Trial) -> float:
        if limit is None:
            return loop.ending.fidelity.cost
        pace, rounds = loop.pace(trial), -(-loop.ending.finalists // problem.workers)
        seconds = (loop.clock.left - loop.ending.margin(limit, pace.tested(problem.workers))) / rounds
        return max(0.0, min(loop.ending.steep, seconds / max(loop.ending.epoch(pace), 1e-9)))

    begun = _begun(loop)
    trials = [trial for trial in loop.trials.values() if purpose(trial) not in OWN]
    favourite = loop.favourite()
    if favourite is not None:  # a network that was trained for less cannot be better for what it is expected to become
        least = fidelity(favourite, problem).cost
        trials = [trial for trial in trials if fidelity(trial, problem).cost >= least]
    best = [
        next((trial for trial in begun if arm(trial) == who), None)
        or (favourite if who == "search" else None)
        or choose((trial for trial in trials if arm(trial) == who), problem, epochs)
        for who in ("search", BASELINE)
    ]
    found = [trial for trial in best if trial is not None]
    chosen = begun[0] if begun else choose(found, problem, epochs, across=True)
    ranked = sorted(found, key=lambda trial: trial is not chosen)
    return ranked[: max(1, loop.ending.finalists)]


def _begun(loop: Loop) -> list[Trial]:
    """The trials that an interrupted session chose to train again, the better one first; none where the search went on since."""
    last = _last(loop)
    return [loop.trials[trial.proposal.why["of"]] for trial in loop.of(FINAL) if trial.id > last]


def _last(loop: Loop) -> int:
    """The number of the last trial before the final trainings."""
    return max((number for number, trial in loop.trials.items() if purpose(trial) != FINAL), default=-1)


def conclude(loop: Loop, task: Task, artifacts: Artifacts, ensemble: int = 1) -> FinalRecord | None:
    """Trains the finalists inside the budget, tests them once, and records the result.

    Where no time is left for training again, the weights that the search left are tested instead, and the record says so. A task
    without test rows (an estimator's ``fit``) is trained all the same and not tested.

    Args:
        loop: The search, which has ended.
        task: The data.
        artifacts: Where the weights are.
        ensemble: Networks that the answer may be made of; 1 for a single network.

    Returns:
        The record, or ``None`` where no trial finished.
    """
    started = time.monotonic()
    chosen = finalists(loop)
    if not chosen:
        return None
    problem = loop.problem
    picked = select(loop, task, artifacts, ensemble) if ensemble > 1 else None
    margin = _margin(loop, [*chosen, *(picked.trials if picked else ())], task)
    trained = _trained(loop, chosen, margin, artifacts, len(task.valid))
    expected = _passed_over(loop, chosen[0])
    if problem.budget.seconds is not None and len(trained) > 1:
        first, second = chosen
        if _clearly_better(problem, trained[second.id], trained[first.id]):
            chosen = [second, first]
            expected = [f"Trial {first.id} was expected to become the better network, but trial {second.id} did."]
    warnings = [*task.warnings, *expected, *_unmeasured(problem)]
    again = {trial.proposal.why["of"] for trial in loop.of(FINAL)}
    harmed: set[int] = set()
    outputs: dict[int, NDArray[np.float32]] = {}
    weights: dict[int, str] = {}
    for trial in chosen:
        if trial.id in trained:
            found = harm(problem, task, trained[trial.id], trial, artifacts)
            if harmful(found) if found is not None else _failed(problem, trained[trial.id], trial):
                del trained[trial.id]
                harmed.add(trial.id)
                warnings.append(_harmed(trial, found))
        source = trained.get(trial.id, trial)
        digest = source.final.artifacts.get("checkpoint") if source.final else None
        if digest is None:
            warnings.append(f"Trial {trial.id} left no weights, so it could not be tested.")
            continue
        if source is trial and trial.id not in harmed:
            failed = trial.id in again
            why = "training it again failed" if failed else "the budget left too little time to train it again"
            warnings.append(
                f"Trial {trial.id} was tested with the weights of the search, trained without the validation data: {why}."
            )
        weights[trial.id] = digest
        if len(task.test):
            outputs[trial.id] = _outputs(problem, trial, task, artifacts.get(digest))
    if chosen[0].id not in weights:
        return None
    record = _record(problem, task, chosen, trained, outputs, weights, tuple(warnings), time.monotonic() - started)
    if picked is not None:
        best, tested = trained.get(chosen[0].id), outputs.get(chosen[0].id)
        record = picked.answer(record, loop, task, artifacts, best, tested)
    loop.session.append("final", None, record)
    return record


def _harmed(trial: Trial, found: Comparison | None) -> str:
    rows = (
        f"by {found.numbers} on rows that neither was trained on" if found is not None else "even on rows it had seen"
    )
    return (
        f"Training trial {trial.id} again did worse than the search had, {rows}; "
        "the search's weights are handed over, which were trained without the validation rows."
    )


def _trained(loop: Loop, chosen: list[Trial], margin: float, artifacts: Artifacts, valid: int) -> dict[int, Trial]:
    """The final trainings of the chosen trials that left weights, by number of the trial.

    What an interrupted session had ended is not done again; an earlier one's, after which the search went on, only with clearly more time.
    """
    known, last = _answers(loop, artifacts), _last(loop)
    timed = loop.problem.budget.seconds is not None
    more = timed and could_train_longer(loop)
    again = [trial for trial in chosen if trial.id not in known or more or (timed and known[trial.id].id < last)]
    proposals = [found for trial in again if (found := _proposal(loop, trial, len(again), margin, valid)) is not None]
    given = {number: MORE * trial.proposal.why.get("seconds", 0.0) for number, trial in known.items()}
    loop.train_finalists(
        [new for new in proposals if new.why.get("seconds", 0.0) >= given.get(new.why["of"], 0.0)], 0.6 * margin
    )
    known = _answers(loop, artifacts)
    return {trial.id: known[trial.id] for trial in chosen if trial.id in known}


def could_train_longer(loop: Loop) -> bool:
    """Whether the answer's training ended with its time, not its epochs, and there is clearly more time by now."""
    last = next(reversed(loop.of(FINAL)), None)
    if last is None or last.final is None or "seconds" not in last.proposal.why:
        return False
    why = last.proposal.why
    return bool(last.final.epoch < why["most"] and loop.clock.left >= MORE * why["seconds"])


def _answers(loop: Loop, artifacts: Artifacts) -> dict[int, Trial]:
    """The last final training of each trial that left weights; one that was stopped may have done so just before."""
    found = {}
    for trial in loop.of(FINAL):
        weights = trial.final.artifacts.get("checkpoint") if trial.final else None
        if trial.status in ("finished", "stopped") and weights is not None and weights in artifacts:
            found[trial.proposal.why["of"]] = trial
    return found


def _passed_over(loop: Loop, chosen: Trial) -> list[str]:
    """Says so where the chosen trial is not the one that scored best in the search."""
    best = loop.incumbent()
    if best is None or chosen in (best, loop.favourite()) or loop.problem.score(best) == loop.problem.score(chosen):
        return []
    metric = loop.problem.objectives[0].metric
    shown = [show(metric, value) for trial in (best, chosen) if (value := trial.value(metric)) is not None]
    return [
        f"Trial {best.id} scored better in the search ({metric} {shown[0]}; {shown[1]} for trial {chosen.id}), but trains too slowly: in the time left, "
        f"trial {chosen.id} was expected to become the better network."
    ]


def _unmeasured(problem: Problem) -> list[str]:
    """Says so where the latency table misses operations of some networks, which a search cannot choose then."""
    if not problem.settings.get("latency"):
        return []
    rng, built, missing = np.random.default_rng(problem.seed), 0, 0
    for _ in range(DRAWN):
        architecture = problem.space.sample(rng)
        with contextlib.suppress(ArchwrightError):
            problem.graph(architecture)
            built += 1
            try:
                problem.costs(architecture)
            except GraphError:
                missing += 1
    if not missing:
        return []
    return [
        f"The latency table misses operations of {missing / built:.1%} of the networks of this space (of {built} random ones), which could not be chosen. "
        "Measure one of this space and these data: archwright latency --help."
    ]


def _failed(problem: Problem, again: Trial, trial: Trial) -> bool:
    """Whether the final training went wrong, and the search left weights to test in its place.

    It went wrong where it is clearly worse on validation rows it was trained on than the search was on the same rows unseen.
    """
    if trial.final is None or "checkpoint" not in trial.final.artifacts:
        return False
    return _clearly_better(problem, trial, again)


def _clearly_better(problem: Problem, one: Trial, other: Trial) -> bool:
    """Whether one trial's score is better than another's by more than a twentieth."""
    better, worse = problem.score(one), problem.score(other)
    return better is not None and worse is not None and worse < better - 0.05 * abs(better)


def _margin(loop: Loop, chosen: list[Trial], task: Task) -> float:
    """Seconds that the test and what follows will take; the networks are timed on some rows."""
    limit = loop.problem.budget.seconds
    if limit is None:
        return 0.0
    rows = task.valid.x[:TIMED]
    seconds = sum(_seconds(loop.problem, trial, rows) for trial in chosen)
    return loop.ending.margin(limit, seconds / len(rows) / max(1, loop.ending.finalists))


def _seconds(problem: Problem, trial: Trial, rows: NDArray[Any]) -> float:
    """What the outputs of a network for some rows take, once it is warm."""
    from archwright.graph.module import build

    module = build(problem.graph(trial.proposal.architecture), seed=0)  # type: ignore[arg-type]
    _predicted(problem, module, rows)
    begun = time.monotonic()
    _predicted(problem, module, rows)
    return time.monotonic() - begun


def _proposal(loop: Loop, trial: Trial, count: int, margin: float, valid: int) -> Proposal | None:
    """Return the final training of a trial's architecture, or what an interruption left to do of it.

    If time is limited it has the time that is left, but no more epochs than the trial's learning curve supports; it
    goes on from the trial's weights if the trial was the first part of it.

    Returns:
        ``None`` if the time left is less than the trial itself was trained for.
    """
    problem = loop.problem
    earlier = [other for other in loop.of(FINAL) if other.proposal.why["of"] == trial.id]
    begun = Proposal(trial.proposal.architecture, parent=trial.id, why={"by": FINAL, "of": trial.id})
    before = goes_on(problem, trial)
    if before is not None and before in loop.interim:
        begun = msgspec.structs.replace(begun, resume=before)
    begun = loop.interim.going_on(begun, earlier)
    why = dict(begun.why)
    wanted: Fidelity | None = loop.ending.fidelity
    if problem.budget.seconds is not None:
        trained = loop.trained_for(trial)
        rounds, least = -(-count // problem.workers), 0.0 if begun.resume else trained
        why["seconds"] = round((loop.clock.left - margin) / rounds + why.get("spent", 0.0), 2)
        why["most"], why["threads"] = loop.ending.fidelity.epochs, loop.ending.threads
        wanted = loop.ending.affordable(why["seconds"], loop.pace(trial), least)
        if trained:
            why["most"] = supported_epochs(trial, problem, why["most"], loop.trials.values())
            why["keep"] = kept_share(problem, trial, valid, why["most"])
        if wanted is not None:
            wanted = Fidelity(min(wanted.epochs, why["most"]))
    return None if wanted is None else msgspec.structs.replace(begun, fidelity=wanted, why=why)


def _record(
    problem: Problem,
    task: Task,
    chosen: list[Trial],
    trained: dict[int, Trial],
    outputs: dict[int, NDArray[np.float32]],
    weights: dict[int, str],
    warnings: tuple[str, ...],
    seconds: float,
) -> FinalRecord:
    from archwright.tasks.intervals import compare, intervals

    truth = _own_units(task, task.test.y)
    winner = chosen[0]
    tested = {arm(trial): trial for trial in chosen if trial.id in outputs}
    baseline, searched = tested.get(BASELINE), tested.get("search")
    metric = next(
        (objective.metric for objective in problem.objectives if objective.metric in task.metrics), task.objective
    )
    comparison = None
    if baseline is not None and searched is not None:
        comparison = compare(task.kind, metric, truth, outputs[searched.id], outputs[baseline.id], seed=problem.seed)
    final = trained.get(winner.id, winner).final
    notes: dict[str, Any] = final.notes if final is not None else {}
    return FinalRecord(
        trial=winner.id,
        architecture=winner.proposal.architecture,
        metric=metric,
        test=intervals(task.kind, truth, outputs[winner.id], seed=problem.seed) if winner.id in outputs else {},
        valid={
            name: value for name, value in (winner.final.values if winner.final else {}).items() if name in task.metrics
        },
        cost=problem.graph(winner.proposal.architecture).cost,
        baseline_trial=baseline.id if baseline else None,
        baseline_architecture=baseline.proposal.architecture if baseline else None,
        baseline_test=intervals(task.kind, truth, outputs[baseline.id], seed=problem.seed) if baseline else {},
        comparison=comparison,
        epochs=final.epoch if final is not None else 0,
        seconds=seconds,
        weights=weights[winner.id],
        numerics=str(notes.get("numerics", "fp32")),
        recipe=notes.get("recipe", {}),
        finalists=tuple(weights),
        test_rows=len(task.test.y),
        warnings=warnings,
    )


def _outputs(problem: Problem, trial: Trial, task: Task, checkpoint: bytes) -> NDArray[np.float32]:
    """The outputs for the test rows: logits, or predictions in the target's own units."""
    from archwright.evaluators import weights_of
    from archwright.graph.module import build

    module = build(problem.graph(trial.proposal.architecture), seed=0)  # type: ignore[arg-type]
    module.load_state_dict(weights_of(checkpoint))
    return _own_units(task, _predicted(problem, module, task.test.x))


def _predicted(problem: Problem, module: nn.Module, x: NDArray[Any]) -> NDArray[np.float32]:
    """What a network puts out in full precision, computed on all cores."""
    from archwright.evaluators import Mode, predict, using_threads

    with using_threads(problem.workers):
        return predict(module, x, Mode(channels_last=x.ndim == 4))


def _own_units(task: Task, values: NDArray[Any]) -> NDArray[Any]:
    """Standardised targets or predictions in the target's own units; classes and logits as they are."""
    return values if task.kind == "classification" else values * task.target_std + task.target_mean
