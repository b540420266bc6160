"""What surrogates learn from: the trials that ended and those that run, as an immutable record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from archwright.problem import Architecture, Problem, Trial
from archwright.strategies.common import FRESH_TRIES, sample_feasible


class Observed(msgspec.Struct, frozen=True):
    """A trial that ended.

    Attributes:
        trial: Its number.
        architecture: Its choices.
        scores: The objectives, more being better; ``None`` where it failed, or broke a constraint.
        fingerprint: Equal for equal functions; empty where it is not known.
    """

    trial: int
    architecture: Architecture
    scores: tuple[float, ...] | None
    fingerprint: str


class History(msgspec.Struct, frozen=True):
    """The trials heard of.

    Attributes:
        observed: Those that ended, in the order of completion.
        pending: Those that are running.
        heard: Highest trial number heard of.
    """

    observed: tuple[Observed, ...] = ()
    pending: tuple[tuple[int, Architecture], ...] = ()
    heard: int = -1

    def known(self) -> set[Architecture]:
        """Every architecture that was proposed."""
        return {item.architecture for item in self.observed} | {architecture for _, architecture in self.pending}

    def functions(self, problem: Problem) -> set[str]:
        """The fingerprints of every architecture that was proposed."""
        ended = {item.fingerprint for item in self.observed}
        return ended | {problem.graph(architecture).fingerprint for _, architecture in self.pending}


def hear(history: History, trial: Trial, scores: tuple[float, ...] | None) -> History:
    """The history after hearing of a trial.

    Told of a known trial again, it corrects what was observed, as strategies that train an architecture further want it.

    Args:
        history: What was known before.
        trial: What is heard.
        scores: Its objectives, more being better.
    """
    new = trial.id > history.heard
    if not trial.done:
        if not new:
            return history
        return History(history.observed, (*history.pending, (trial.id, trial.proposal.architecture)), trial.id)
    pending = tuple(item for item in history.pending if item[0] != trial.id)
    item = Observed(trial.id, trial.proposal.architecture, scores, trial.fingerprint)
    observed = history.observed
    if new or len(pending) < len(history.pending):
        observed = (*observed, item)
    elif scores is not None:
        observed = tuple(item if known.trial == item.trial else known for known in observed)
    return History(observed, pending, max(history.heard, trial.id))


def functions(observed: Sequence[Observed]) -> list[Observed]:
    """The trials that ended, one for each function, in order; a failed one counts as the worst score there is."""
    finished = [item.scores[0] for item in observed if item.scores is not None]
    if not finished:
        return []
    worst = (min(finished),)
    found: dict[str | Architecture, Observed] = {}
    for item in observed:
        known = item if item.scores is not None else msgspec.structs.replace(item, scores=worst)
        found.setdefault(item.fingerprint or item.architecture, known)
    return list(found.values())


def best_functions(observed: Sequence[Observed], most: int) -> list[Observed]:
    """The trials with the best first objective, best first; one for each function, and so many at most."""
    found: dict[str | Architecture, Observed] = {}
    scored = [item for item in observed if item.scores is not None]
    for item in sorted(scored, key=lambda item: (-(item.scores or (0.0,))[0], item.trial)):
        if len(found) == most:
            break
        found.setdefault(item.fingerprint or item.architecture, item)
    return list(found.values())


def first_new(
    problem: Problem, history: History, ranked: Iterable[Architecture], most: int = 50
) -> Architecture | None:
    """The first of ranked architectures that is feasible and computes a function that no trial has.

    Args:
        problem: Space and constraints.
        history: What was proposed.
        ranked: Architectures, best first.
        most: How many that were not proposed may turn out to be known functions, or to break the constraints, before
            ``None`` is returned.
    """
    known, functions = history.known(), history.functions(problem)
    left = most
    for architecture in ranked:
        if architecture in known:
            continue
        if problem.feasible(architecture) and problem.graph(architecture).fingerprint not in functions:
            return architecture
        left -= 1
        if not left:
            break
    return None


def draw_new(problem: Problem, history: History, rng: np.random.Generator) -> Architecture:
    """A feasible random draw; of a function that no trial has, unless ten draws in a row are known.

    Raises:
        StrategyError: Where the constraints exclude (nearly) all of the space.
    """
    known = history.known()
    draws = [sample_feasible(problem, rng, avoid=known)]
    functions = history.functions(problem) if history.heard >= 0 else set()
    while len(draws) < FRESH_TRIES and problem.graph(draws[-1]).fingerprint in functions:
        draws.append(sample_feasible(problem, rng, avoid=known))
    return draws[-1]


def best_and_latest(
    architectures: Sequence[Architecture], scores: Sequence[float], most: int
) -> tuple[list[Architecture], np.ndarray]:
    """So many observations at most: the best half and, of the others, the latest; in the order given.

    Args:
        architectures: What was observed.
        scores: Their scores, more being better.
        most: How many to keep.
    """
    results = np.array(scores)
    best = np.argsort(-results, kind="stable")[: most // 2]
    others = np.setdiff1d(np.arange(len(results)), best)[-(most - most // 2) :]
    kept = np.sort(np.concatenate([best, others]))
    return [architectures[index] for index in kept.tolist()], results[kept]
