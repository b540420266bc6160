"""The proposer of the default strategy: evolution that a Gaussian process guides, as far as it can be trusted."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np

from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.strategies.common import at_least, edit, score_of
from archwright.strategies.evolution import Evolution, EvolutionState
from archwright.strategies.features import Views, can_see, fits, neighbours, scores_of, view
from archwright.strategies.gp import expected_improvement
from archwright.strategies.history import History, Observed, best_and_latest, draw_new, first_new, hear
from archwright.strategies.surrogate import Marks, Surrogate, condition, explain, likeliest, units_of

MOST = 200
"""Observations that the model is given at most: the best half and the latest half."""
PARENTS = 8
"""The neighbours of so many of the best are candidates ..."""
NEAR = 40
"""... so many of each, at most ..."""
FAR = 60
"""... and so many random draws."""
SHORTLIST = 40
"""Candidates whose networks are built, at most."""
TRUSTED = 0.4
"""Rank correlation from which on the model makes every proposal; below it makes a proportional share of them."""


class GuidedState(msgspec.Struct, frozen=True):
    """What it knows: every trial, and the population."""

    history: History
    evolution: EvolutionState


class Model(NamedTuple):
    """What is believed of the scores: by choices alone, and by all there is to see."""

    rough: Surrogate
    fine: Surrogate
    marks: Marks


@dataclasses.dataclass(frozen=True)
class Guided:
    """Aging evolution guided by a Gaussian process on choices, paths and costs. arXiv 1802.01548, 1910.11858.

    After random draws the model is fitted to all results. Candidates are the neighbours of the best architectures and
    random draws; the process sees the choices of all of them, and of those that promise most also the paths and the costs.
    The one with the highest expected improvement is proposed, unless its function is known. How far the model is trusted
    is measured: by the rank correlation of the results with what it predicts for each from all the others. The lower it
    is, the larger the share of proposals that are left to evolution.

    Attributes:
        population: Size of evolution's population.
        sample: Size of its tournaments.
        initial: Random draws before the first fit.
    """

    population: int = 20
    sample: int = 10
    initial: int = 10
    name = "guided"

    def __post_init__(self) -> None:
        at_least(self.name, "initial", self.initial, 2)
        Evolution(self.population, self.sample)

    def init(self, problem: Problem) -> GuidedState:
        """Nothing heard yet."""
        return GuidedState(History(), self._evolution.init(problem))

    @property
    def _evolution(self) -> Evolution:
        return Evolution(self.population, self.sample)

    def tell(self, state: GuidedState, problem: Problem, trial: Trial) -> GuidedState:
        """Notes a running trial, or its result; told of a known trial again, corrects it."""
        score = score_of(problem, trial) if trial.done else None
        history = hear(state.history, trial, None if score is None else (score,))
        return GuidedState(history, self._evolution.tell(state.evolution, problem, trial))

    def ask(self, state: GuidedState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """A random draw at first; then the candidate that the model expects most of, or evolution's.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        history = state.history
        observed = functions(history.observed)
        if len(history.observed) + len(history.pending) < self.initial or len(observed) < 3:
            return Proposal(draw_new(problem, history, rng), why={"by": "random"})
        if not can_see(problem.space):
            return _because(self._evolution.ask(state.evolution, problem, rng), {"reason": "the space has no hash"})
        model = _model(problem, tuple(item.architecture for item in observed), tuple(map(_score, observed)))
        said: dict[str, Any] = {
            "model": f"gaussian process on {', '.join(model.fine.views)}",
            "rank_correlation": round(model.fine.correlation, 3),
        }
        if rng.random() >= model.fine.correlation / TRUSTED:
            return _because(
                self._evolution.ask(state.evolution, problem, rng), {**said, "reason": "the model is not trusted"}
            )
        return self._guided(model, said, history, problem, rng)

    def _guided(
        self, model: Model, said: dict[str, Any], history: History, problem: Problem, rng: np.random.Generator
    ) -> Proposal:
        pool = _pool(history, problem, rng)
        rough, fine = model.rough, model.fine
        if history.pending:
            running = [architecture for _, architecture in history.pending]
            rough, fine = rough.believe(view(problem, running, whole=False)), fine.believe(view(problem, running))
        chosen = None
        if short := _shortlist(rough, list(pool), problem):
            mean, deviation, gain = _judge(fine, view(problem, short))
            order = np.argsort(-gain, kind="stable").tolist()
            chosen = first_new(problem, history, (short[place] for place in order))
        if chosen is None:
            return Proposal(
                draw_new(problem, history, rng), why={"by": "random", **said, "reason": "no candidate is new"}
            )
        place, parent = short.index(chosen), pool[chosen]
        why = {"by": "surrogate", **said, **explain(model.marks, float(mean[place]), float(deviation[place]))}
        why |= {"acquisition": float(gain[place]), "candidates": len(pool)}
        if parent is None:
            return Proposal(chosen, why=why)
        return Proposal(chosen, parent=parent.trial, why={**why, "edit": edit(problem, parent.architecture, chosen)})


def _because(proposal: Proposal, said: dict[str, Any]) -> Proposal:
    return msgspec.structs.replace(proposal, why={**proposal.why, **said})


def functions(observed: tuple[Observed, ...]) -> list[Observed]:
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


def _score(item: Observed) -> float:
    return item.scores[0] if item.scores is not None else 0.0


class Task:
    """A problem as a key under which fits are kept: its space, its signature, and the scores of what a model is fitted to.

    Args:
        problem: The problem.
        architectures: What the model is fitted to.
    """

    def __init__(self, problem: Problem, architectures: Sequence[Architecture]) -> None:
        scores = scores_of(problem, architectures)
        self.problem = problem
        self.key = (problem.space, problem.signature, None if scores is None else scores.tobytes())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _model(problem: Problem, architectures: tuple[Architecture, ...], scores: tuple[float, ...]) -> Model:
    return _fitted(Task(problem, architectures), architectures, scores)


@lru_cache(maxsize=16)
def _fitted(task: Task, architectures: tuple[Architecture, ...], scores: tuple[float, ...]) -> Model:
    """The process given these observations; a pure function, remembered between asks."""
    step = 5 if len(scores) < 100 else 10
    tuned = max(len(scores) - len(scores) % step, min(len(scores), step))
    kept, results = best_and_latest(architectures, scores, MOST)
    marks, targets = Marks.of(results)
    rows = view(task.problem, kept)
    found = []
    for whole in (False, True):
        hyper, units = _tuned(Task(task.problem, architectures[:tuned]), architectures[:tuned], scores[:tuned], whole)
        found.append(condition(rows if whole else Views(rows.choices), targets, units, hyper))
    return Model(found[0], found[1], marks)


@lru_cache(maxsize=16)
def _tuned(task: Task, architectures: tuple[Architecture, ...], scores: tuple[float, ...], whole: bool) -> Any:
    """The likeliest length scale and noise, and the units; chosen anew only every few results."""
    kept, results = best_and_latest(architectures, scores, MOST)
    rows = view(task.problem, kept, whole=whole)
    units = units_of(rows)
    return likeliest(rows, Marks.of(results)[1], units), units


def _pool(history: History, problem: Problem, rng: np.random.Generator) -> dict[Architecture, Observed | None]:
    """Candidates that were not proposed, each with its parent where it is a neighbour of one of the best."""
    known = history.known()
    pool: dict[Architecture, Observed | None] = {}
    finished = [item for item in history.observed if item.scores is not None]
    for parent in functions(tuple(sorted(finished, key=lambda item: (-_score(item), item.trial))))[:PARENTS]:
        near = neighbours(problem, parent.architecture)
        some = range(len(near)) if len(near) <= NEAR else rng.permutation(len(near))[:NEAR].tolist()
        for index in some:
            pool.setdefault(near[index], parent)
    for _ in range(FAR):
        pool.setdefault(problem.space.sample(rng), None)
    return {candidate: parent for candidate, parent in pool.items() if candidate not in known}


def _shortlist(rough: Surrogate, pool: list[Architecture], problem: Problem) -> list[Architecture]:
    """The candidates that promise most by their choices, and whose networks fit the constraints."""
    if not pool:
        return []
    gain = _judge(rough, view(problem, pool, whole=False))[2]
    ranked = [pool[place] for place in np.argsort(-gain, kind="stable")[: 2 * SHORTLIST].tolist()]
    found: list[Architecture] = []
    for candidate in ranked:
        if len(found) < SHORTLIST and fits(problem, candidate):
            found.append(candidate)
    return found


def _judge(surrogate: Surrogate, rows: Views) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation and expected improvement on the best that was observed."""
    mean, deviation = surrogate.predict(rows)
    return mean, deviation, expected_improvement(mean, deviation, surrogate.best)
