"""Which choices mattered: permutation importance on a random forest (Breiman 2001), or "not enough evidence".

The forest (scikit-learn) predicts a trial's score from its choices. It is believed only as far as it predicts trials it has
not seen: importances are measured on held-out folds, and where the cross-validated rank correlation is poor, none are given.
A choice is permuted among the trials in which it is active only, so that the depth of a network is not mistaken for the kernel
size of its last layer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from archwright.explain.trials import fidelity, metric_value
from archwright.problem import OWN, Architecture, Fidelity, Problem, Trial, purpose

MINIMUM = 20
"""Different architectures of one fidelity below which nothing is claimed."""

BELIEVED = 0.3
"""Cross-validated Spearman correlation below which nothing is claimed."""

_INACTIVE = -1.0
_FOLDS, _REPEATS, _TREES = 5, 5, 100

Floats = NDArray[np.float64]


class Option(msgspec.Struct, frozen=True):
    """One option of a choice as the trials had it: its label, how many had it, and their mean metric value."""

    label: str
    count: int
    mean: float


class Mattered(msgspec.Struct, frozen=True):
    """How much a choice mattered.

    Attributes:
        address: The choice.
        importance: Share of the variance of unseen trials' scores that the forest loses when this choice is shuffled.
        std: Standard deviation of that over folds and shuffles.
        options: What the trials had there, the best mean first. Means are of what was tried, not of an experiment: a
            strategy tries good options in good company.
    """

    address: str
    importance: float
    std: float
    options: tuple[Option, ...]


class Importance(msgspec.Struct, frozen=True):
    """Which choices mattered, and how far to believe it.

    Attributes:
        metric: The metric explained.
        fidelity: All trials compared were trained with this.
        trials: Different architectures compared.
        spearman: Cross-validated rank correlation of the forest's predictions.
        r2: Cross-validated share of variance explained.
        choices: The most important first; empty where the evidence is not enough.
        verdict: In words: how well the forest predicts, or why nothing is claimed.
    """

    metric: str
    fidelity: Fidelity | None
    trials: int
    spearman: float
    r2: float
    choices: tuple[Mattered, ...]
    verdict: str


def importance(trials: Iterable[Trial], problem: Problem, *, seed: int = 0) -> Importance:
    """Measures which choices mattered for the first objective, over trials of one fidelity.

    Args:
        trials: The folded trials of a run.
        problem: For the objective, the space's words and the full fidelity.
        seed: Of folds, forest and shuffles.

    Returns:
        The importances, or none with a verdict that says why.
    """
    metric = problem.objectives[0].metric
    level, scores = _comparable(trials, problem)
    if level is None or len(scores) < MINIMUM:
        verdict = f"Not enough evidence: {len(scores)} different networks trained alike; {MINIMUM} are needed."
        return Importance(metric, level, len(scores), float("nan"), float("nan"), (), verdict)
    architectures = list(scores)
    y = np.array([scores[architecture] for architecture in architectures])
    addresses, table = _table(architectures)
    varying = [column for column in range(len(addresses)) if len(np.unique(table[:, column])) > 1]
    if np.ptp(y) == 0 or not varying:
        verdict = f"Not enough evidence: all {len(scores)} networks scored the same, or made the same choices."
        return Importance(metric, level, len(scores), float("nan"), float("nan"), (), verdict)
    predicted, drops = _forest(table[:, varying], y, seed)
    spearman = _spearman(predicted, y)
    r2 = float(1 - np.mean((predicted - y) ** 2) / np.var(y))
    if not spearman >= BELIEVED:
        verdict = (
            f"Not enough evidence: a random forest ranks unseen networks with a correlation of only {spearman:.2f} "
            f"({len(scores)} networks); {BELIEVED} is needed."
        )
        return Importance(metric, level, len(scores), spearman, r2, (), verdict)
    labels = _labels(architectures, problem)
    found = [
        Mattered(
            address=addresses[column],
            importance=float(drops[:, place].mean()),
            std=float(drops[:, place].std()),
            options=_options(addresses[column], table[:, column], y, labels, problem),
        )
        for place, column in enumerate(varying)
    ]
    found.sort(key=lambda one: (-one.importance, one.address))
    verdict = f"A random forest ranks unseen networks with a correlation of {spearman:.2f} ({len(scores)} networks)."
    return Importance(metric, level, len(scores), spearman, r2, tuple(found), verdict)


def _comparable(trials: Iterable[Trial], problem: Problem) -> tuple[Fidelity | None, dict[Architecture, float]]:
    """Mean metric value by architecture at the highest fidelity that has enough of them, else at the most populated one."""
    levels: dict[Fidelity, dict[Architecture, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        value = metric_value(trial, problem)
        if (
            purpose(trial) not in OWN
            and trial.status in ("finished", "duplicate")
            and value is not None
            and np.isfinite(value)
        ):
            levels[fidelity(trial, problem)][trial.proposal.architecture].append(value)
    if not levels:
        return None, {}
    best = max(levels, key=lambda level: (min(len(levels[level]), 2 * MINIMUM), level.cost))
    return best, {architecture: float(np.mean(values)) for architecture, values in levels[best].items()}


def _table(architectures: list[Architecture]) -> tuple[list[str], Floats]:
    addresses = list(dict.fromkeys(address for architecture in architectures for address, _ in architecture.choices))
    places = {address: place for place, address in enumerate(addresses)}
    table = np.full((len(architectures), len(addresses)), _INACTIVE)
    for row, architecture in enumerate(architectures):
        for address, option in architecture.choices:
            table[row, places[address]] = option
    return addresses, table


def _forest(table: Floats, y: Floats, seed: int) -> tuple[Floats, Floats]:
    """Out-of-fold predictions, and for each fold and shuffle the share of variance lost by each column."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    rng = np.random.default_rng([seed, len(y)])
    predicted, drops = np.empty_like(y), []
    for train, held in KFold(_FOLDS, shuffle=True, random_state=seed).split(table):
        forest = RandomForestRegressor(_TREES, min_samples_leaf=2, max_features=0.5, random_state=seed, n_jobs=1)
        forest.fit(table[train], y[train])
        predicted[held] = forest.predict(table[held])
        error = np.mean((predicted[held] - y[held]) ** 2)
        shuffled = np.concatenate([_shuffles(table[held], column, rng) for column in range(table.shape[1])])
        guesses = forest.predict(shuffled).reshape(table.shape[1], _REPEATS, len(held))
        drops.append((((guesses - y[held]) ** 2).mean(axis=2) - error).T / np.var(y))
    return predicted, np.concatenate(drops)


def _shuffles(rows: Floats, column: int, rng: np.random.Generator) -> Floats:
    """The rows, several times, with one column shuffled among the rows in which it is active."""
    active = np.flatnonzero(rows[:, column] != _INACTIVE)
    copies = np.repeat(rows[None], _REPEATS, axis=0)
    for copy in copies:
        copy[active, column] = rng.permutation(copy[active, column])
    return copies.reshape(-1, rows.shape[1])


def _spearman(a: Floats, b: Floats) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(a, b).statistic) if np.ptp(a) > 0 else 0.0


def _labels(architectures: list[Architecture], problem: Problem) -> dict[tuple[str, int], str]:
    labels = {}
    for architecture in architectures:
        words = dict(problem.space.describe(architecture))
        for address, option in architecture.choices:
            labels[address, option] = words.get(address, str(option))
    return labels


def _options(
    address: str, column: Floats, y: Floats, labels: dict[tuple[str, int], str], problem: Problem
) -> tuple[Option, ...]:
    counts = Counter(int(option) for option in column if option != _INACTIVE)
    options = [
        Option(labels[address, option], count, float(y[column == option].mean())) for option, count in counts.items()
    ]
    return tuple(sorted(options, key=lambda option: (-problem.objectives[0].score(option.mean), option.label)))
