"""The proposer of the default strategy: evolution that a Gaussian process guides, as far as it can be trusted."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import msgspec
import numpy as np

from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.strategies.candidates import best_candidate, expected_improvement, judge
from archwright.strategies.common import at_least, score_of
from archwright.strategies.evolution import Evolution, EvolutionState
from archwright.strategies.features import fits, neighbours, view
from archwright.strategies.history import History, Observed, best_functions, draw_new, functions, hear
from archwright.strategies.surrogate import Surrogate, fitted

CHOICES = ("choices",)
"""What the model that makes the shortlist sees."""
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
        if not isinstance(problem.space, Hashable):
            return _because(self._evolution.ask(state.evolution, problem, rng), {"reason": "the space has no hash"})
        model, marks = fitted(problem, observed)
        said: dict[str, Any] = {
            "model": f"gaussian process on {', '.join(model.views)}",
            "rank_correlation": round(model.correlation, 3),
        }
        if rng.random() >= model.correlation / TRUSTED:
            return _because(
                self._evolution.ask(state.evolution, problem, rng), {**said, "reason": "the model is not trusted"}
            )
        rough, _ = fitted(problem, observed, CHOICES)
        if history.pending:
            running = [architecture for _, architecture in history.pending]
            rough, model = rough.believe(view(problem, running, CHOICES)), model.believe(view(problem, running))
        pool = _pool(history, problem, rng)
        short, judged = _shortlist(rough, list(pool), problem), None
        if short:
            judged = judge(short, model.predict(view(problem, short)), model.best, "ei", rng)
        why = {"by": "surrogate", **said, "candidates": len(pool)}
        return best_candidate(problem, history, pool, judged, marks, why, rng)


def _because(proposal: Proposal, said: dict[str, Any]) -> Proposal:
    return msgspec.structs.replace(proposal, why={**proposal.why, **said})


def _pool(history: History, problem: Problem, rng: np.random.Generator) -> dict[Architecture, Observed | None]:
    """Candidates that were not proposed, each with its parent where it is a neighbour of one of the best."""
    known = history.known()
    pool: dict[Architecture, Observed | None] = {}
    for parent in best_functions(history.observed, PARENTS):
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
    gain = expected_improvement(*rough.predict(view(problem, pool, CHOICES)), rough.best)
    ranked = [pool[place] for place in np.argsort(-gain, kind="stable")[: 2 * SHORTLIST].tolist()]
    found: list[Architecture] = []
    for candidate in ranked:
        if len(found) < SHORTLIST and fits(problem, candidate):
            found.append(candidate)
    return found
