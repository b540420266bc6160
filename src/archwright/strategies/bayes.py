"""Bayesian optimisation: a Gaussian process over architectures says which candidate promises most."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from archwright.errors import StrategyError, closest
from archwright.problem import Architecture, Problem, Proposal, Space, Trial
from archwright.strategies.common import at_least, edit, score_of
from archwright.strategies.gp import Hyper, Posterior, Warp, believe, condition, expected_improvement, likeliest
from archwright.strategies.history import History, Observed, best_and_latest, best_functions, draw_new, first_new, hear
from archwright.strategies.kernels import features, hashable

MOST = 300
"""Observations that the process is given at most: the best half and the latest half."""
TUNED = 150
"""Observations by which length scales and noise are chosen at most: the best half and the latest half."""
PARENTS = 10
"""Candidates are mutants of so many of the best."""
ACQUISITIONS = ("ei", "thompson")


class Model(NamedTuple):
    """What is believed of the scores.

    Attributes:
        posterior: The process given the observations.
        targets: What it was given, shape (observations,).
        warp: From scores to targets.
    """

    posterior: Posterior
    targets: np.ndarray
    warp: Warp


@dataclasses.dataclass(frozen=True)
class Bayes:
    """Bayesian optimisation by a Gaussian process over choices and paths, as NAS-BOT, NAS-BOWL. arXiv 1802.07191.

    After a few random draws a Gaussian process is fitted to all results (:mod:`~archwright.strategies.gp`), with a kernel on
    the choices and, where the space has dags and the results make it likelier, one on the paths from input to output. Candidates are mutants of the best
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
        """Nothing heard yet."""
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
        results = _results(state.observed)
        if len(state.observed) + len(state.pending) < self.initial or len(results) < 2:
            return Proposal(draw_new(problem, state, rng), why={"by": "random"})
        model = _model(hashable(problem.space), tuple(results), tuple(results.values()))
        parents = best_functions(state.observed, PARENTS)
        pool = self._pool(state, problem, parents, rng)
        if not pool:
            return Proposal(draw_new(problem, state, rng), why={"by": "random", "reason": "no candidate is new"})
        running = sorted({architecture for _, architecture in state.pending} - set(results), key=lambda item: item.id)
        mean, deviation, acquisition = self._judge(model, problem.space, list(pool), running, rng)
        order = np.argsort(-acquisition, kind="stable").tolist()
        chosen = first_new(problem, state, _picked(list(pool), order))
        if chosen is None:
            return Proposal(draw_new(problem, state, rng), why={"by": "random", "reason": "no candidate is new"})
        place = list(pool).index(chosen)
        why = _why(model, float(mean[place]), float(deviation[place]), float(acquisition[place]))
        parent = pool[chosen]
        if parent is not None:
            why["edit"] = edit(problem, parent.architecture, chosen)
        return Proposal(chosen, parent=None if parent is None else parent.trial, why=why)

    def _pool(
        self, state: History, problem: Problem, parents: list[Observed], rng: np.random.Generator
    ) -> dict[Architecture, Observed | None]:
        """Candidates that were not proposed, each with its parent where it is a mutant."""
        known, space = state.known(), problem.space
        pool: dict[Architecture, Observed | None] = {}
        for index in range(self.candidates):
            parent = parents[int(rng.integers(len(parents)))] if index % 2 and space.size > 1 else None
            candidate = space.sample(rng) if parent is None else space.mutate(parent.architecture, rng)
            if candidate not in known:
                pool.setdefault(candidate, parent)
        return pool

    def _judge(
        self,
        model: Model,
        space: Space,
        pool: list[Architecture],
        running: list[Architecture],
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, standard deviation and acquisition of the candidates."""
        posterior, best = model.posterior, float(model.targets.max())
        if running:
            posterior, believed = believe(posterior, features(space, running))
            best = max(best, float(believed.max()))
        mean, deviation = posterior.predict(features(space, pool))
        if self.acquisition == "thompson":
            return mean, deviation, mean + deviation * rng.standard_normal(len(pool))
        return mean, deviation, expected_improvement(mean, deviation, best)


def _results(observed: tuple[Observed, ...]) -> dict[Architecture, float]:
    """The score of each architecture: the mean of its trials', or the worst there is where all failed."""
    scores: dict[Architecture, list[float]] = {}
    for item in observed:
        scores.setdefault(item.architecture, []).extend(item.scores or ())
    finished = [score for each in scores.values() for score in each]
    if not finished:
        return {}
    worst = min(finished)
    return {key: sum(each) / len(each) if each else worst for key, each in scores.items()}


@lru_cache(maxsize=16)
def _model(space: Space, architectures: tuple[Architecture, ...], scores: tuple[float, ...]) -> Model:
    """The process given these observations; a pure function, remembered between asks."""
    step = 5 if len(scores) < 100 else 25
    tuned = max(len(scores) - len(scores) % step, min(len(scores), step))
    hyper = _hyper(hashable(space), architectures[:tuned], scores[:tuned])
    kept, results = best_and_latest(architectures, scores, MOST)
    warp = Warp.of(results)
    targets = warp(results)
    return Model(condition(features(space, kept), targets, hyper), targets, warp)


@lru_cache(maxsize=16)
def _hyper(space: Space, architectures: tuple[Architecture, ...], scores: tuple[float, ...]) -> Hyper:
    """The likeliest length scales and noise; chosen anew only every few results."""
    kept, results = best_and_latest(architectures, scores, TUNED)
    return likeliest(features(space, kept), Warp.of(results)(results))


def _picked(pool: list[Architecture], order: list[int]) -> Iterator[Architecture]:
    return (pool[place] for place in order)


def _why(model: Model, mean: float, deviation: float, acquisition: float) -> dict[str, Any]:
    """What decided: the prediction on the scale of the score, and the acquisition on that of the process."""
    low, high = model.warp.back(mean - deviation), model.warp.back(mean + deviation)
    hyper = model.posterior.hyper
    return {
        "by": "bayes",
        "predicted": model.warp.back(mean),
        "uncertainty": (high - low) / 2,
        "acquisition": acquisition,
        "lengths": dict(hyper.shape._asdict()),
        "noise": hyper.noise,
    }
