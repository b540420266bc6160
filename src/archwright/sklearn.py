"""scikit-learn estimators: ``fit`` is a search, ``predict`` is the network it found.

>>> from archwright import ArchwrightClassifier
>>> from sklearn.datasets import load_wine
>>> X, y = load_wine(return_X_y=True)
>>> model = ArchwrightClassifier(budget="2 trials, 4 epochs").fit(X, y)
>>> model.predict(X[:3]).shape
(3,)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from archwright.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from archwright.engine import Result


class _Archwright(BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    _kind: str

    def __init__(
        self,
        *,
        budget: str | float = "1m",
        space: Any = None,
        strategy: str = "auto",
        objectives: str | Sequence[str] | None = None,
        constraints: str | Sequence[str] = (),
        ensemble: int = 1,
        workers: int = 1,
        random_state: int | np.random.RandomState | None = None,
        store: str | os.PathLike[str] | None = None,
        progress: str = "none",
    ) -> None:
        self.budget = budget
        self.space = space
        self.strategy = strategy
        self.objectives = objectives
        self.constraints = constraints
        self.ensemble = ensemble
        self.workers = workers
        self.random_state = random_state
        self.store = store
        self.progress = progress

    def _search(self, X: NDArray[Any], y: NDArray[Any]) -> None:
        from archwright.engine import search
        from archwright.tasks import load_task

        try:
            task = load_task((X, y), kind=self._kind, seed=self._seed(), holdout=False)
        except DataError as error:
            raise ValueError(str(error)) from error
        with tempfile.TemporaryDirectory(prefix="archwright-") as temporary:
            result = search(
                task,
                space=self.space,
                strategy=self.strategy,
                objectives=self.objectives,
                constraints=self.constraints,
                ensemble=self.ensemble,
                budget=self.budget,
                workers=self.workers,
                seed=self._seed(),
                store=self.store or temporary,
                progress=self.progress,
            )
            self._take(result)
        self.preprocess_ = task.preprocess

    def _take(self, result: Result) -> None:
        best = result.best
        self.network_ = best.module().double()
        self.source_ = best.source
        self.choices_ = best.choices
        self.metrics_ = best.metrics
        self.why_ = best.why()
        self.n_trials_ = len(result.trials)

    def _seed(self) -> int:
        from sklearn.utils import check_random_state

        if isinstance(self.random_state, int | np.integer) or self.random_state is None:
            return int(self.random_state or 0)
        return int(check_random_state(self.random_state).randint(2**31))

    def _outputs(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """The network's outputs ``(n, outputs)``, in float64 so that they do not depend on which rows are asked for together."""
        import torch

        from archwright.tasks import preprocess

        inputs = torch.from_numpy(preprocess.apply(self.preprocess_, X))
        with torch.inference_mode():
            parts = [self.network_(inputs[start : start + 512].double()) for start in range(0, len(inputs), 512)]
        outputs: NDArray[np.float64] = torch.cat(parts).numpy()
        return outputs


class ArchwrightClassifier(ClassifierMixin, _Archwright):  # type: ignore[misc]
    """A classifier whose network is searched by ``fit``.

    Args:
        budget: What ``fit`` may spend: ``"1m"``, ``"20 trials"``.
        space: Name of a space, or a space; default: one that fits the data.
        strategy: Name of a strategy.
        objectives: What matters; default: accuracy, or R2.
        constraints: Bounds such as ``"params<=200k"``.
        ensemble: Networks that the answer may be made of; 1 for a single network.
        workers: Trials at once; 1 searches in this process.
        random_state: Seed; equal seeds give equal networks where the budget is not time.
        store: Folder that keeps the run; default: none is kept.
        progress: ``"none"``, ``"auto"``, ``"live"``, ``"plain"`` or ``"json"``.
    """

    _kind = "classification"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Searches for the best network for the rows ``X`` ``(n, features)`` and their classes ``y`` ``(n,)``."""
        rows, y = validate_data(self, X, y, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Got one class, {self.classes_[0]!r}; ArchwrightClassifier expects at least two classes.")
        self._search(rows, codes)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities ``(n, classes)`` in the order of ``classes_``."""
        check_is_fitted(self)
        logits = self._outputs(validate_data(self, X, reset=False))
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = chances / chances.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable class of each row."""
        check_is_fitted(self)
        predicted: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return predicted


class ArchwrightRegressor(RegressorMixin, _Archwright):  # type: ignore[misc]
    """A regressor whose network is searched by ``fit``.

    Args:
        budget: What ``fit`` may spend: ``"1m"``, ``"20 trials"``.
        space: Name of a space, or a space; default: one that fits the data.
        strategy: Name of a strategy.
        objectives: What matters; default: accuracy, or R2.
        constraints: Bounds such as ``"params<=200k"``.
        ensemble: Networks that the answer may be made of; 1 for a single network.
        workers: Trials at once; 1 searches in this process.
        random_state: Seed; equal seeds give equal networks where the budget is not time.
        store: Folder that keeps the run; default: none is kept.
        progress: ``"none"``, ``"auto"``, ``"live"``, ``"plain"`` or ``"json"``.
    """

    _kind = "regression"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Searches for the best network for the rows ``X`` ``(n, features)`` and their targets ``y`` ``(n,)``."""
        rows, targets = validate_data(self, X, y, y_numeric=True, ensure_min_samples=2)
        self._search(rows, targets)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The predicted target of each row, in its own units."""
        check_is_fitted(self)
        target = self.preprocess_["target"]
        outputs: NDArray[np.float64] = (
            self._outputs(validate_data(self, X, reset=False)).reshape(-1) * target["std"] + target["mean"]
        )
        return outputs
