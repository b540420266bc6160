"""The default strategy while there is time for few epochs only: a race of candidates for the one long training.

Nearly all of the time belongs to that training. Candidates are compared by short trainings, each with a whole schedule
of its own, for as long as that is expected to gain more than the same time adds to the answer. If no comparison is
worth its time, the first candidate begins the long training at once. Gains and costs are changes of the logarithm of
the answer's error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from archwright.errors import ArchwrightError
from archwright.problem import Architecture, Fidelity, Problem, Proposal, Trial
from archwright.strategies.common import edit, mutate_sized, sample_feasible
from archwright.strategies.extrapolation import CURVE, error, training_seconds
from archwright.strategies.terms import Terms

OTHER = (0.06, 0.1)
"""Mean and deviation of a further reference's log error, relative to that of the first."""
MUTANT = (0.02, 0.08)
"""The same of a mutant, relative to its parent, before the run has shown how far mutants differ ..."""
EVIDENCE = 4
"""... and how many mutants it takes until that counts as much."""
MUTANTS = 4
"""Mutants that are drawn at a time; the one with the largest net gain enters."""
SIZES = (0.4, 1.7)
"""Least and most FLOPs of a mutant, relative to those of its parent."""


class Candidate(msgspec.Struct, frozen=True):
    """A network in the race.

    Attributes:
        architecture: Its choices.
        trial: Its latest trial.
        parent: Place of the candidate that it is a mutant of; ``None`` for a reference.
        best: The trial with its best result.
        trained: Epochs of that training.
        error: Its error on validation rows after these; ``None`` before the first result, or if it failed.
        settled: Whether a longer training was no better.
        pace: Seconds of an epoch of training.
        overhead: Seconds that its latest trial took beyond its training.
        probe: Whether its trial was the beginning of the answer's training.
        start: Whether it is the reference that the terms begin with.
        running: Whether its latest trial runs.
    """

    architecture: Architecture
    trial: int
    parent: int | None
    best: int | None = None
    trained: float = 0.0
    error: float | None = None
    settled: bool = False
    pace: float = 0.0
    overhead: float = 0.0
    probe: bool = False
    start: bool = False
    running: bool = True


class RaceState(msgspec.Struct, frozen=True):
    """What is known of a race.

    Attributes:
        candidates: In the order of their first trials.
        spent: Seconds of the trials that ended.
        heard: Highest trial number heard of.
    """

    candidates: tuple[Candidate, ...] = ()
    spent: float = 0.0
    heard: int = -1


class Belief(NamedTuple):
    """What is expected of a candidate as the answer.

    Attributes:
        mean: Of the logarithm of its error.
        deviation: Of the same.
        epochs: Epochs that there is time for.
    """

    mean: float
    deviation: float
    epochs: float


class Step(NamedTuple):
    """A step that could be taken, and by how much it should lower and raise the logarithm of the answer's error."""

    gain: float
    cost: float
    proposal: Proposal


def tell(state: RaceState, problem: Problem, trial: Trial) -> RaceState:
    """Return the state after hearing of a trial."""
    candidates = list(state.candidates)
    places = {known.architecture: place for place, known in enumerate(candidates)}
    place, heard = places.get(trial.proposal.architecture), max(state.heard, trial.id)
    if trial.id > state.heard:
        place = len(candidates) if place is None else place
        candidates[place : place + 1] = [_started(state, place, problem, trial)]
    if trial.done and place is not None and candidates[place].running and candidates[place].trial == trial.id:
        candidates[place] = _ended(candidates[place], problem, trial)
        spent = 0.0 if trial.status == "duplicate" else trial.seconds
        return RaceState(tuple(candidates), state.spent + spent, heard)
    return RaceState(tuple(candidates), state.spent, heard)


def _started(state: RaceState, place: int, problem: Problem, trial: Trial) -> Candidate:
    if place < len(state.candidates) and not state.candidates[place].probe:
        return msgspec.structs.replace(state.candidates[place], trial=trial.id, running=True)
    parents = (index for index, known in enumerate(state.candidates) if known.trial == trial.proposal.parent)
    probe = bool(trial.proposal.why.get("probe"))
    terms = Terms.of(problem)
    start = terms is not None and trial.proposal.why.get("reference") == terms.start
    return Candidate(trial.proposal.architecture, trial.id, next(parents, None), probe=probe, start=start)


def _ended(known: Candidate, problem: Problem, trial: Trial) -> Candidate:
    found, fidelity = error(trial, problem), trial.proposal.fidelity or problem.fidelity
    ended = msgspec.structs.replace(known, running=False)
    if trial.status == "stopped" and trial.proposal.parent is not None and known.error is not None:
        return msgspec.structs.replace(ended, trial=trial.proposal.parent)
    if trial.status != "finished" or found is None or problem.score(trial) is None:  # twins of others leave, too
        return msgspec.structs.replace(ended, error=None)
    pace = _pace(trial, fidelity)
    timed = msgspec.structs.replace(ended, pace=pace, overhead=max(0.0, trial.seconds - pace * fidelity.cost))
    if known.error is not None and known.error <= found:
        return msgspec.structs.replace(timed, settled=True)
    return msgspec.structs.replace(timed, best=trial.id, error=found, trained=fidelity.cost)


def _pace(trial: Trial, fidelity: Fidelity) -> float:
    """Seconds of an epoch over all the data.

    It is the mean of a whole schedule, for pictures may grow on its way.
    """
    notes = [float(one.notes["training"]) for one in trial.measurements if "training" in one.notes]
    if trial.proposal.why.get("whole") and notes and len(notes) == len(trial.measurements):
        return sum(notes) / fidelity.cost
    seconds = training_seconds(trial)
    return trial.seconds / fidelity.cost if seconds is None else seconds / fidelity.share


def ask(state: RaceState, problem: Problem, terms: Terms, rng: np.random.Generator) -> Proposal | None:
    """Return the step of the largest net gain; ``None`` if none is worth its time, or until there is a result.

    Raises:
        StrategyError: If the constraints exclude (nearly) all of the space.
    """
    workers, running = problem.workers, sum(candidate.running for candidate in state.candidates)
    believed = beliefs(state, terms, workers)
    if not believed:
        compared = worth_comparing(problem, terms)
        if running >= (workers if compared else 1):
            return None
        first = next(_newcomers(state, problem, terms, None, rng), None)
        if compared or first is None:
            return first
        return msgspec.structs.replace(first, why={**first.why, "whole": False, "probe": True})
    begun = [state.candidates[place] for place in believed if state.candidates[place].probe]
    if begun and worth_comparing(problem, terms):  # there is more time by now: it is compared like the others
        why = {"by": "promotion", "level": 0, "whole": True}
        return Proposal(begun[0].architecture, terms.levels[0], begun[0].trial, why)
    if begun:
        return None
    best = min(believed, key=lambda place: believed[place].mean)
    newcomers = [_entry(state, problem, terms, believed, new) for new in _newcomers(state, problem, terms, best, rng)]
    mutants = [step for step in newcomers if (step.proposal.parent is not None) == bool(len(state.candidates) % 2)]
    paying = [step for step in mutants if step.gain > step.cost]  # mutants and others in turn, as far as they pay
    steps = [*_promotions(state, problem, terms, believed), *(paying or newcomers)]
    if not steps:
        return None
    step = max(steps, key=lambda step: step.gain - step.cost)
    if step.gain <= step.cost:
        return None
    said = {"expected_gain": round(step.gain, 4), "cost": round(step.cost, 4)}
    return msgspec.structs.replace(step.proposal, why={**step.proposal.why, **said})


def worth_comparing(problem: Problem, terms: Terms) -> bool:
    """Whether trials of the start and of one more candidate are expected to gain more than they cost."""
    short = terms.levels[0]
    _, spread = MUTANT
    noise = CURVE.deviation(short.cost, terms.epochs)
    gain = _improvement(MUTANT[0], spread**2 / math.hypot(spread, noise))
    seconds = 2 * (short.cost * terms.pace + terms.overhead)
    return gain > _cost(RaceState(), terms, problem.workers, seconds, terms.epochs)


def leader(state: RaceState, terms: Terms, workers: int) -> int | None:
    """Return the best trial of the candidate that should become the best answer; ``None`` before any result.

    Only those trained for as long as any, or whose curve has ended, can be: a prior that expects too much of longer
    trainings would prefer what was trained for less.
    """
    believed = beliefs(state, terms, workers)
    longest = max((state.candidates[place].trained for place in believed), default=0.0)
    ready = [p for p in believed if state.candidates[p].trained >= longest or _ended_at(state, state.candidates[p])]
    return state.candidates[min(ready, key=lambda place: believed[place].mean)].best if ready else None


def _ended_at(state: RaceState, candidate: Candidate) -> bool:
    """Whether longer trainings were no better: its own, or those of most others, two at least."""
    no_better = sum(other.settled and other.trained == candidate.trained for other in state.candidates)
    better = sum(other.trained > candidate.trained for other in state.candidates)
    return candidate.settled or no_better > max(1, better)


def seconds_left(state: RaceState, terms: Terms, workers: int) -> float:
    """Return the seconds that the answer's training would have if it began now."""
    return _left(terms, state.spent / workers)


def _left(terms: Terms, spent: float) -> float:
    return min(terms.seconds, max(0.05 * terms.seconds, terms.seconds + terms.spare - spent))


def beliefs(state: RaceState, terms: Terms, workers: int) -> dict[int, Belief]:
    """Return what is expected of the candidates that have a result, by their places.

    A result is weighed against what was expected before, the less the shorter the training was, so that the luckiest
    of many is not taken for the best.
    """
    return _judged(state, terms, workers)[0]


def _judged(state: RaceState, terms: Terms, workers: int) -> tuple[dict[int, Belief], list[float]]:
    """The beliefs, and how far mutants were from what was expected of them: squares, less those of the noise."""
    found: dict[int, Belief] = {}
    seen: list[float] = []
    for place, candidate in enumerate(state.candidates):
        if candidate.error is None:
            continue
        longer = 0.0 if _ended_at(state, candidate) else _epochs(state, candidate, terms, workers)
        epochs = max(candidate.trained, longer)
        now = math.log(max(candidate.error, 1e-12 if terms.loss else 0.5 / terms.rows))
        mean = now - CURVE.gain(candidate.trained, epochs)
        noise = _noise(candidate.error, candidate.trained, epochs, terms)
        if found:
            expected, spread = _prior(candidate.parent, found, seen)
            if candidate.parent in found:
                seen.append((mean - expected) ** 2 - noise**2)
            weight = spread**2 / (spread**2 + noise**2)
            mean, noise = expected + weight * (mean - expected), math.sqrt(weight) * noise
        found[place] = Belief(mean, noise, epochs)
    return found, seen


def _prior(parent: int | None, believed: Mapping[int, Belief], seen: Sequence[float]) -> tuple[float, float]:
    """What is expected of a candidate before its first result.

    Args:
        parent: Place of the candidate that it is a mutant of; ``None`` for others.
        believed: What is expected of those with a result.
        seen: How far mutants were from what was expected of them: squares, less those of the noise.
    """
    if parent is not None and parent in believed:
        variance = (EVIDENCE * MUTANT[1] ** 2 + sum(seen)) / (EVIDENCE + len(seen))
        return believed[parent].mean + MUTANT[0], math.sqrt(max(variance, (MUTANT[1] / 4) ** 2))
    return next(iter(believed.values())).mean + OTHER[0], OTHER[1]


def _noise(error: float, trained: float, epochs: float, terms: Terms) -> float:
    """Deviation of a prediction: that of the curve, and that of a rate on so many rows; of a loss as if it were a half."""
    rate = 0.5 if terms.loss else min(max(error, 0.5 / terms.rows), 0.9)
    return math.hypot(CURVE.deviation(trained, epochs), math.sqrt((1.0 - rate) / (rate * terms.rows)))


def _epochs(state: RaceState, candidate: Candidate, terms: Terms, workers: int) -> float:
    """Epochs that there is time for, by the speed of a trial relative to that of the start."""
    pace, _ = _start_pace(state, terms)
    share = seconds_left(state, terms, workers) / terms.seconds
    return terms.epochs * share * pace / max(candidate.pace, 1e-9)


def _start_pace(state: RaceState, terms: Terms) -> tuple[float, float]:
    """Seconds of an epoch of a trial of the start, and those beyond: as seen, else as planned."""
    seen = ((known.pace, known.overhead) for known in state.candidates if known.start and known.pace)
    return next(seen, (terms.pace, terms.overhead))


def _cost(state: RaceState, terms: Terms, workers: int, seconds: float, epochs: float) -> float:
    """What it costs the answer, which would have so many epochs, that a worker is busy for some seconds."""
    after = _left(terms, (state.spent + seconds) / workers)
    return CURVE.slope(epochs) * math.log(seconds_left(state, terms, workers) / after)


def _improvement(behind: float, deviation: float) -> float:
    """Expected gain on the leader of one that is expected behind it, once some uncertainty is resolved.

    >>> _improvement(0.0, 0.1) > _improvement(0.1, 0.1) > 0
    True
    """
    z = -behind / max(deviation, 1e-9)
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return deviation * (density + z * 0.5 * math.erfc(-z / math.sqrt(2.0)))


def _promotions(state: RaceState, problem: Problem, terms: Terms, believed: Mapping[int, Belief]) -> Iterator[Step]:
    """Training the candidates that wait for longer, the most promising ones."""
    order = sorted(believed, key=lambda place: believed[place].mean)
    for place in order[: 2 * problem.workers]:
        candidate, belief = state.candidates[place], believed[place]
        longer = (place for place, known in enumerate(terms.levels) if known.cost > candidate.trained)
        level = next(longer, len(terms.levels))
        rival = next((other for other in order if other != place), None)
        if candidate.running or _ended_at(state, candidate) or rival is None or level >= len(terms.levels):
            continue
        fidelity = terms.levels[level]
        after = _noise(candidate.error or 0.0, fidelity.cost, belief.epochs, terms)
        resolved = math.sqrt(max(0.0, belief.deviation**2 - after**2))
        gain = _improvement(abs(belief.mean - believed[rival].mean), resolved)
        seconds = fidelity.cost * candidate.pace + candidate.overhead
        why = {"by": "promotion", "level": level, "whole": True}
        yield Step(
            gain,
            _cost(state, terms, problem.workers, seconds, belief.epochs),
            Proposal(candidate.architecture, fidelity, candidate.trial, why),
        )


def _entry(
    state: RaceState, problem: Problem, terms: Terms, believed: Mapping[int, Belief], proposal: Proposal
) -> Step:
    """Letting another network enter."""
    parents = (place for place, known in enumerate(state.candidates) if known.trial == proposal.parent)
    expected, spread = _prior(next(parents, None), believed, _judged(state, terms, problem.workers)[1])
    best = min(believed.values(), key=lambda belief: belief.mean)
    slower = problem.graph(proposal.architecture).cost.flops / terms.flops
    pace, overhead = _start_pace(state, terms)
    if slower > 1.0 and proposal.parent is None:  # it has fewer epochs; a mutant's parent is about as slow
        expected += CURVE.gain(best.epochs / slower, best.epochs)
    trained = terms.levels[0].cost
    noise = _noise(math.exp(min(expected, -1e-3)), trained, max(best.epochs / slower, trained), terms)
    gain = _improvement(expected - best.mean, spread**2 / math.hypot(spread, noise))
    seconds = trained * pace * slower + overhead
    return Step(gain, _cost(state, terms, problem.workers, seconds, best.epochs), proposal)


def _newcomers(
    state: RaceState, problem: Problem, terms: Terms, best: int | None, rng: np.random.Generator
) -> Iterator[Proposal]:
    """What could enter next: mutants of the best, and the other references, the start first; else a random draw."""
    known = {candidate.architecture for candidate in state.candidates}
    references: Mapping[str, Architecture] = getattr(problem.space, "references", {})
    short, any_left = terms.levels[0], False
    for _ in range(MUTANTS if best is not None else 0):
        parent = state.candidates[best or 0]
        mutant = mutate_sized(problem, parent.architecture, rng, SIZES, avoid=known)
        if mutant is not None and _possible(problem, mutant):
            any_left, known = True, {*known, mutant}
            why = {"by": "mutation", "edit": edit(problem, parent.architecture, mutant), "level": 0, "whole": True}
            yield Proposal(mutant, short, parent.trial, why)
    for name in sorted(references, key=lambda name: name != terms.start):
        if references[name] not in known and _possible(problem, references[name]):
            any_left = True
            why = {"by": "reference", "reference": name, "level": 0, "whole": True}
            yield Proposal(references[name], short, why=why)
    drawn = None if any_left else sample_feasible(problem, rng, avoid=known)
    if drawn is not None and drawn not in known:
        yield Proposal(drawn, short, why={"by": "random", "level": 0, "whole": True})


def _possible(problem: Problem, architecture: Architecture) -> bool:
    """Whether a network can be built and satisfies the constraints that are known before training."""
    try:
        problem.graph(architecture)
        return problem.feasible(architecture)
    except ArchwrightError:
        return False
