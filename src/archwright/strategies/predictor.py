"""Predictor-guided search: an ensemble says which mutants of the best are worth an evaluation."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np

from archwright.errors import StrategyError, closest
from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.strategies.candidates import best_candidate, judge, mutants
from archwright.strategies.common import at_least, score_of
from archwright.strategies.ensemble import Ensemble, fit
from archwright.strategies.features import fits, hashable, view
from archwright.strategies.history import History, best_and_latest, draw_new, functions, hear
from archwright.strategies.surrogate import MOST, Marks, Task

SHARE_OF_DRAWS = 4
"""One candidate in so many is a random draw."""
ACQUISITIONS = ("thompson", "ei", "mean")


@dataclasses.dataclass(frozen=True)
class Predictor:
    """Trees and small networks predict which mutants of the best are worth evaluating. BANANAS, arXiv 1910.11858.

    After random draws an ensemble is fitted to the results: half of it extremely randomised trees, half small networks, mixed
    by how well each ranks results it was not fitted to. It sees the choices, the paths, the costs and, where the problem
    brings them, zero-cost scores. Its uncertainty is the disagreement of its members, widened until it agrees with the errors
    of cross-validation. Candidates are mutants of the best, and some random draws.

    Attributes:
        acquisition: ``"thompson"``: the best of one draw for each candidate from its own prediction, as the paper does;
            ``"ei"``: expected improvement on the best result; ``"mean"``: the prediction alone.
        initial: Random draws before the first fit.
        candidates: Architectures compared for one proposal.
        refit: New results after which the ensemble is fitted again; a tenth of the results where that is more.
    """

    acquisition: str = "thompson"
    initial: int = 10
    candidates: int = 100
    refit: int = 5
    name = "predictor"

    def __post_init__(self) -> None:
        if self.acquisition not in ACQUISITIONS:
            raise StrategyError(
                f"Got acquisition={self.acquisition!r} for the strategy 'predictor'. {closest(self.acquisition, ACQUISITIONS)}"
            )
        at_least(self.name, "initial", self.initial, 4)
        at_least(self.name, "candidates", self.candidates, 2)
        at_least(self.name, "refit", self.refit, 1)

    def init(self, problem: Problem) -> History:
        """Nothing heard yet.

        Raises:
            StrategyError: Where the space has no hash.
        """
        hashable(problem.space)
        return History()

    def tell(self, state: History, problem: Problem, trial: Trial) -> History:
        """Notes a running trial, or its result."""
        score = score_of(problem, trial) if trial.done else None
        return hear(state, trial, None if score is None else (score,))

    def ask(self, state: History, problem: Problem, rng: np.random.Generator) -> Proposal:
        """A random draw at first, then the candidate with the highest acquisition.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        observed = functions(state.observed)
        if len(state.observed) + len(state.pending) < self.initial or len(observed) < 4:
            return Proposal(draw_new(problem, state, rng), why={"by": "random"})
        learned = observed[: self._learned(len(observed))]
        architectures = tuple(item.architecture for item in learned)
        scores = tuple(item.scores[0] for item in learned if item.scores is not None)
        ensemble, marks = _fitted(Task(problem, architectures), architectures, scores)
        every = mutants(problem, state, self.candidates, SHARE_OF_DRAWS, rng)
        pool = {candidate: parent for candidate, parent in every.items() if fits(problem, candidate)}
        judged = None
        if candidates := list(pool):
            predicted = ensemble.predict(_matrix(problem, candidates))
            judged = judge(candidates, predicted, float(marks.marks.max()), self.acquisition, rng)
        why = {
            "by": self.name,
            "rank_correlation": round(ensemble.correlation, 3),
            "share_of_trees": round(ensemble.share, 3),
        }
        return best_candidate(problem, state, pool, judged, marks, why, rng)

    def _learned(self, count: int) -> int:
        """How many of so many results the ensemble is fitted to."""
        learned = min(count, self.initial)
        while (more := learned + max(self.refit, learned // 10)) <= count:
            learned = more
        return learned


def _matrix(problem: Problem, architectures: list[Architecture]) -> np.ndarray:
    """All views side by side, shape (architectures, features)."""
    return np.concatenate([part for part in view(problem, architectures) if part is not None], axis=1)


@lru_cache(maxsize=32)
def _fitted(task: Task, architectures: tuple[Architecture, ...], scores: tuple[float, ...]) -> tuple[Ensemble, Marks]:
    """The ensemble given these observations; a pure function, remembered between asks."""
    kept, results = best_and_latest(architectures, scores, MOST)
    marks, targets = Marks.of(results)
    return fit(_matrix(task.problem, kept), targets, seed=len(scores)), marks
