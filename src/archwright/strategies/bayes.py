"""Bayesian optimisation: a Gaussian process over architectures says which candidate promises most."""

from __future__ import annotations

import dataclasses

import numpy as np

from archwright.errors import StrategyError, closest
from archwright.problem import Problem, Proposal, Trial
from archwright.strategies.candidates import best_candidate, judge, mutants
from archwright.strategies.common import at_least, score_of
from archwright.strategies.features import hashable, view
from archwright.strategies.history import History, draw_new, functions, hear
from archwright.strategies.surrogate import fitted

VIEWS = ("choices", "paths")
"""What the process sees."""
ACQUISITIONS = ("ei", "thompson")


@dataclasses.dataclass(frozen=True)
class Bayes:
    """Bayesian optimisation by a Gaussian process over choices and paths, as NAS-BOT, NAS-BOWL. arXiv 1802.07191.

    After a few random draws a Gaussian process is fitted to the results (:mod:`~archwright.strategies.surrogate`), with a kernel on
    the choices and, where the space has dags, one on the paths from input to output. Candidates are mutants of the best
    architectures and random draws; the one with the highest acquisition is proposed, unless its function is known. Running
    trials count as if they had scored what is expected of them. A failed trial counts as the worst score seen.

    Attributes:
        acquisition: ``"ei"``, expected improvement on the best result, or ``"thompson"``, the best of one draw for each
            candidate from its own prediction.
        initial: Random draws before the first fit.
        candidates: Architectures compared for one proposal, half of them mutants.
    """

    acquisition: str = "ei"
    initial: int = 10
    candidates: int = 200
    name = "bayes"

    def __post_init__(self) -> None:
        if self.acquisition not in ACQUISITIONS:
            raise StrategyError(
                f"Got acquisition={self.acquisition!r} for the strategy 'bayes'. {closest(self.acquisition, ACQUISITIONS)}"
            )
        at_least(self.name, "initial", self.initial, 2)
        at_least(self.name, "candidates", self.candidates, 2)

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
        if len(state.observed) + len(state.pending) < self.initial or len(observed) < 2:
            return Proposal(draw_new(problem, state, rng), why={"by": "random"})
        model, marks = fitted(problem, observed, VIEWS)
        if state.pending:
            model = model.believe(view(problem, [architecture for _, architecture in state.pending], VIEWS))
        pool = mutants(problem, state, self.candidates, 2, rng)
        judged = None
        if candidates := list(pool):
            judged = judge(
                candidates, model.predict(view(problem, candidates, VIEWS)), model.best, self.acquisition, rng
            )
        why = {"by": self.name, "length": model.hyper.length, "noise": model.hyper.noise}
        return best_candidate(problem, state, pool, judged, marks, why, rng)
