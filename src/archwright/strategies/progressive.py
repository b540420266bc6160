"""Progressive search: complexity grows level by level, and a surrogate says which children are worth training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, ChoiceSpace, Problem, Proposal, Trial
from archwright.strategies.common import at_least, edit, score_of
from archwright.strategies.features import choices_of, hashable
from archwright.strategies.history import History, Observed, best_functions, draw_new, first_new, hear
from archwright.strategies.levels import Levels, expand, levels, root
from archwright.strategies.plan import Amount, limits
from archwright.strategies.surrogate import Marks

CHILDREN = 2000
"""Children that the surrogate scores for one level at most, shared by the parents."""
FOLDS = 5
"""Each model of the ensemble is fitted without one of so many parts of the results."""
FIRST = 5
"""Results there must be before the surrogate decides; until then the order is random."""
DUPLICATES = 500
"""Children whose function is known that may be met in a row before a level counts as exhausted."""
UNKNOWN = 100
"""Trials that a budget is taken to allow while their duration is not known."""


class ProgressiveState(msgspec.Struct, frozen=True):
    """What progressive search knows.

    Attributes:
        history: The trials.
        started: How many trials were started on each level.
        seconds: Seconds that trials took, summed.
        timed: How many trials that was.
    """

    history: History = History()
    started: tuple[int, ...] = ()
    seconds: float = 0.0
    timed: int = 0


class Child(NamedTuple):
    """A candidate for training.

    Attributes:
        architecture: Its choices.
        parent: The trial it was expanded from; ``None`` for an expansion of the simplest architecture.
        mean: What the surrogate predicts, on the scale of the score; ``None`` before the first fit.
        deviation: Standard deviation of the ensemble's predictions.
    """

    architecture: Architecture
    parent: Observed | None
    mean: float | None = None
    deviation: float | None = None


@dataclasses.dataclass(frozen=True)
class Progressive:
    """Progressive search (PNAS): from simple to complex, led by a surrogate. Liu et al. 2018, arXiv 1712.00559.

    The levels are read from the space (:mod:`~archwright.strategies.levels`): level 1 is free in its first block of choices,
    all else being as simple as can be; each further level frees one more block. On level 1 all architectures are trained,
    or as many as its share of the budget allows. On each further one, the best so far are expanded by all fillings of the
    next block, or a sample of them; an ensemble of small models, fitted to all results, scores the children, and the best
    are trained, while the ensemble is fitted again every few results. The levels share the budget equally.

    Attributes:
        beam: How many of the best are expanded.
    """

    beam: int = 40
    name = "progressive"

    def __post_init__(self) -> None:
        at_least(self.name, "beam", self.beam, 1)

    def init(self, problem: Problem) -> ProgressiveState:
        """Nothing heard yet.

        Raises:
            StrategyError: Where the space is not made of choices.
        """
        if not isinstance(problem.space, ChoiceSpace):
            raise StrategyError(
                f"The strategy 'progressive' needs a space made of choices, which {problem.space.name!r} is not: it has no "
                "'choices' and 'fill'. Use 'random' or 'evolution', which fit every space."
            )
        return ProgressiveState()

    def tell(self, state: ProgressiveState, problem: Problem, trial: Trial) -> ProgressiveState:
        """Notes a running trial and its level, or its result."""
        score = score_of(problem, trial) if trial.done else None
        history = hear(state.history, trial, None if score is None else (score,))
        started, seconds, timed = state.started, state.seconds, state.timed
        level = trial.proposal.why.get("level")
        if trial.id > state.history.heard and isinstance(level, int) and level > 0:
            longer = [*started, *[0] * (level - len(started))]
            longer[level - 1] += 1
            started = tuple(longer)
        if trial.status == "finished":
            seconds, timed = seconds + trial.seconds, timed + 1
        return ProgressiveState(history, started, seconds, timed)

    def ask(self, state: ProgressiveState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """The child with the best prediction on the current level; on the next one where there is none left.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        space = problem.space
        assert isinstance(space, ChoiceSpace)
        found = _levels(hashable(space))
        for level in range(max(len(state.started) - 1, 0), len(found.blocks)):
            quota = _quota(state, problem, level, len(found.blocks))
            if level + 1 < len(found.blocks) and sum(state.started[level : level + 1]) >= quota:
                continue
            ranked = self._ranked(state, problem, level, quota)
            child = first_new(problem, state.history, (item.architecture for item in ranked), DUPLICATES)
            if child is not None:
                return _proposal(problem, next(item for item in ranked if item.architecture == child), level, found)
        why = {"by": "random", "reason": "no child on the last level is new", "level": len(found.blocks)}
        return Proposal(draw_new(problem, state.history, rng), why=why)

    def _ranked(self, state: ProgressiveState, problem: Problem, level: int, quota: int) -> tuple[Child, ...]:
        """The children of a level, best first, by what was known at the last fit."""
        observed = state.history.observed
        step = 10 if quota >= 50 else 5
        fitted = observed[: len(observed) - len(observed) % step]
        return _children(hashable(problem.space), fitted, level, self.beam, problem.seed)


@lru_cache(maxsize=8)
def _levels(space: ChoiceSpace) -> Levels:
    return levels(space)


def _quota(state: ProgressiveState, problem: Problem, level: int, count: int) -> int:
    """How many trials a level may start: an equal share of what the levels before it left of the budget."""
    mean = state.seconds / state.timed if state.timed else 0.0
    allowed = Amount(mean, 1.0, problem.fidelity.cost).within(limits(problem))
    if not math.isfinite(allowed):
        allowed = float(UNKNOWN)
    return max(1, math.ceil((allowed - sum(state.started[:level])) / (count - level)))


@lru_cache(maxsize=16)
def _children(
    space: ChoiceSpace, observed: tuple[Observed, ...], level: int, beam: int, seed: int
) -> tuple[Child, ...]:
    """The children of the best on a level, best first; a pure function, remembered between asks."""
    found = _levels(hashable(space))
    rng = np.random.default_rng([seed, level, len(observed)])
    simple = root(space, found)
    parents: list[Observed | None] = [*best_functions(observed, beam)] if level else [None]
    children: dict[Architecture, Observed | None] = {simple: None}
    for parent in parents or [None]:
        start = simple if parent is None else parent.architecture
        for child in expand(space, found, level, start, CHILDREN // max(1, len(parents)), rng):
            children.setdefault(child, parent)
    known = [item for item in observed if item.scores is not None]
    if len({item.architecture for item in known}) < FIRST:
        order = rng.permutation(len(children)).tolist()
        pairs = list(children.items())
        return tuple(Child(*pairs[index]) for index in order)
    return _scored(space, known, children, rng)


def _scored(
    space: ChoiceSpace,
    known: Sequence[Observed],
    children: dict[Architecture, Observed | None],
    rng: np.random.Generator,
) -> tuple[Child, ...]:
    """Children with what an ensemble fitted to the results predicts, best first."""
    scores = np.array([item.scores[0] for item in known if item.scores])
    marks, targets = Marks.of(scores)
    rows = encode(space, [item.architecture for item in known])
    predictions = ensemble(rows, targets, encode(space, list(children)), rng)
    mean, deviation = predictions.mean(axis=0), predictions.std(axis=0)
    return tuple(
        Child(architecture, parent, *marks.explain(mean[at], deviation[at]).values())
        for at, (architecture, parent) in sorted(enumerate(children.items()), key=lambda item: -mean[item[0]])
    )


def encode(space: ChoiceSpace, architectures: Sequence[Architecture]) -> np.ndarray:
    """What the surrogate sees: the choices made, and how often each option was taken anywhere.

    The counts are what carries over from one block to the next, as the embedding of operations does in the paper.

    Args:
        space: The space.
        architectures: Architectures, n of them.

    Returns:
        Array of shape (n, features).
    """
    choices = choices_of(space, architectures)
    return np.concatenate([choices, choices @ _tokens(hashable(space))], axis=1)


@lru_cache(maxsize=8)
def _tokens(space: ChoiceSpace) -> np.ndarray:
    """Which entry of the one-hot vector is which option: shape (entries, different options)."""
    entries = [(choice.labels, label) for choice in space.choices() for label in choice.labels]
    names = list(dict.fromkeys(entries))
    tokens = np.zeros((len(entries), len(names)), np.float32)
    tokens[np.arange(len(entries)), [names.index(entry) for entry in entries]] = 1.0
    tokens.setflags(write=False)
    return tokens


def ensemble(rows: np.ndarray, targets: np.ndarray, new: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Predictions of linear models and of trees, each fitted without a fifth of the results; shape (models, new rows).

    Linear models carry over to blocks that were never varied, trees see what acts together.

    Args:
        rows: Features of what is known, shape (n, features).
        targets: Their values, standardised, shape (n,).
        new: Features of what is not known.
        rng: Splits the results, and seeds the models.
    """
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.linear_model import Ridge

    fold = rng.permutation(len(rows)) % FOLDS
    predictions = []
    for index in range(FOLDS):
        trees = ExtraTreesRegressor(10, max_features=0.5, random_state=int(rng.integers(2**31)))
        for model in (Ridge(), trees):
            model.fit(rows[fold != index], targets[fold != index])
            predictions.append(model.predict(new))
    return np.array(predictions)


def _proposal(problem: Problem, child: Child, level: int, found: Levels) -> Proposal:
    """The proposal of a child, and why."""
    why: dict[str, object] = {"by": "progressive", "level": level + 1, "block": found.blocks[level].name}
    if child.mean is not None and child.deviation is not None:
        why |= {"predicted": float(child.mean), "uncertainty": float(child.deviation)}
    if child.parent is None:
        return Proposal(child.architecture, why=why)
    why["edit"] = edit(problem, child.parent.architecture, child.architecture)
    return Proposal(child.architecture, parent=child.parent.trial, why=why)
