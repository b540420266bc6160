"""An ensemble of trees and small networks that predicts scores, and how sure it is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from archwright.strategies.evidence import spearman

TREES = 30
NETWORKS = 3
UNITS = 32
FOLDS = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Ensemble:
    """Trees and networks fitted to marks, mixed by how well each kind ranks what it was not fitted to.

    Attributes:
        trees: Extremely randomised trees (Geurts, Ernst and Wehenkel 2006).
        networks: Small networks, each from another initialisation.
        centre: Mean of each feature.
        scale: Standard deviation of each feature.
        share: Weight of the trees in [0, 1].
        widening: What the spread of the members is multiplied by, so that errors of cross-validation have unit variance.
        correlation: Rank correlation of marks with their predictions in cross-validation.
    """

    trees: tuple[Any, ...]
    networks: tuple[Any, ...]
    centre: np.ndarray
    scale: np.ndarray
    share: float = 0.5
    widening: float = 1.0
    correlation: float = 0.0

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, shape (rows,) each."""
        return self._mix(*self._parts(rows))

    def _parts(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions of each tree and of each network, shape (members, rows)."""
        scaled = (rows - self.centre) / self.scale
        single = np.ascontiguousarray(rows, np.float32)
        trees = np.stack([tree.predict(single, check_input=False) for tree in self.trees])
        return trees, np.stack([network.predict(scaled) for network in self.networks])

    def _mix(self, trees: np.ndarray, networks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread of a mixture of the two kinds."""
        one, two = trees.mean(axis=0), networks.mean(axis=0)
        mean = self.share * one + (1.0 - self.share) * two
        variance = self.share * (trees.var(axis=0) + (one - mean) ** 2)
        variance = variance + (1.0 - self.share) * (networks.var(axis=0) + (two - mean) ** 2)
        return mean, self.widening * np.sqrt(np.maximum(variance, 1e-6))


def fit(rows: np.ndarray, marks: np.ndarray, seed: int) -> Ensemble:
    """An ensemble, its mixture and its spread being calibrated by cross-validation.

    Args:
        rows: Features, shape (n, features), n at least 4.
        marks: What is predicted, standardised, shape (n,).
        seed: Of trees, networks and folds.
    """
    rng = np.random.default_rng(seed)
    folds = rng.permutation(len(marks)) % FOLDS
    trees, networks = np.zeros((TREES, len(marks))), np.zeros((NETWORKS, len(marks)))
    for fold in range(FOLDS):
        out = folds == fold
        trees[:, out], networks[:, out] = _members(rows[~out], marks[~out], seed)._parts(rows[out])
    trust = [max(0.0, spearman(part.mean(axis=0), marks)) ** 2 for part in (trees, networks)]
    share = trust[0] / sum(trust) if sum(trust) > 0 else 0.5
    members = dataclasses.replace(_members(rows, marks, seed), share=share)
    mean, deviation = members._mix(trees, networks)
    widening = float(np.sqrt(np.mean(((marks - mean) / deviation) ** 2)))
    return dataclasses.replace(members, widening=max(widening, 1e-3), correlation=spearman(mean, marks))


def _members(rows: np.ndarray, marks: np.ndarray, seed: int) -> Ensemble:
    from sklearn.ensemble import ExtraTreesRegressor

    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    forest = ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.5, bootstrap=True, random_state=seed)
    forest.fit(np.ascontiguousarray(rows, np.float32), marks)
    networks = tuple(_network((rows - centre) / scale, marks, seed + index) for index in range(NETWORKS))
    return Ensemble(tuple(forest.estimators_), networks, centre, scale)


def _network(rows: np.ndarray, marks: np.ndarray, seed: int) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    network = MLPRegressor(hidden_layer_sizes=(UNITS, UNITS), solver="lbfgs", alpha=1.0, max_iter=50, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early on purpose
        return network.fit(rows, marks)
