"""Models for tables as a user takes them from scikit-learn, fitted within a given time, then tested.

python table_model.py METHOD TRAIN.csv TEST.csv TARGET SECONDS [--kind classification] [--seed 0]

``boosting`` is HistGradientBoosting with its defaults, ``boosting-tuned`` the best of a random search by a fifth
of the rows, fitted again on all of them; ``sklearn-mlp`` is MLPClassifier or MLPRegressor with early stopping.
"""

from __future__ import annotations

import time

BEGUN = time.time()

import argparse  # noqa: E402
import json  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402

CATEGORIES = 255
"""Most categories that boosting takes in a column; a column of more is left out."""
MARGIN = 1.5
"""Times the longest fit so far that is kept back for a fit."""


def read(train: str, test: str, target: str) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
    """Read the rows; texts become categories, those of the training rows."""
    known, new = pd.read_csv(train), pd.read_csv(test)
    y, y_test = known.pop(target), new.pop(target)
    for name in known.columns:
        if not pd.api.types.is_numeric_dtype(known[name]):
            known[name] = known[name].astype("category")
            new[name] = new[name].astype(known[name].dtype)
    return known, y, new, y_test


def boosting(kind: str, seed: int, **options: Any) -> Any:
    """Make a gradient boosting that takes categories and missing values as they are."""
    make = HistGradientBoostingClassifier if kind == "classification" else HistGradientBoostingRegressor
    return make(categorical_features="from_dtype", random_state=seed, **options)


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    """Draw hyperparameters of a boosting."""
    return {
        "learning_rate": float(np.exp(rng.uniform(np.log(0.02), np.log(0.3)))),
        "max_leaf_nodes": int(np.exp(rng.uniform(np.log(8), np.log(128)))),
        "min_samples_leaf": int(np.exp(rng.uniform(np.log(5), np.log(100)))),
        "l2_regularization": float(np.exp(rng.uniform(np.log(1e-6), np.log(10.0)))),
        "max_features": float(rng.uniform(0.4, 1.0)),
        "max_iter": 1000,
        "early_stopping": True,
        "n_iter_no_change": 20,
    }


def tuned(kind: str, seed: int, x: pd.DataFrame, y: pd.Series, until: float) -> tuple[Any, int]:
    """Search hyperparameters at random until a moment, fit the best on all rows, and count the fits.

    The defaults are tried first, so that too little time gives a plain boosting.
    """
    rng = np.random.default_rng(seed)
    stratify = y if kind == "classification" and y.value_counts().min() > 1 else None
    x_fit, x_valid, y_fit, y_valid = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=stratify)
    best: tuple[float, dict[str, Any]] = (-np.inf, {})
    options: dict[str, Any] = {}
    longest, fits = 0.0, 0
    while fits == 0 or time.time() + 2 * MARGIN * longest < until:
        begun = time.time()
        score = boosting(kind, seed, **options).fit(x_fit, y_fit).score(x_valid, y_valid)
        longest, fits = max(longest, time.time() - begun), fits + 1
        best = max(best, (score, options), key=lambda pair: pair[0])
        options = drawn(rng)
    return boosting(kind, seed, **best[1]).fit(x, y), fits


def perceptron(kind: str, seed: int) -> Any:
    """Make a multilayer perceptron over scaled numbers and one-hot categories."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            ("categories", categories, make_column_selector(dtype_include="category")),
        ]
    )
    if kind == "classification":
        return make_pipeline(columns, MLPClassifier(early_stopping=True, random_state=seed))
    network = MLPRegressor(early_stopping=True, random_state=seed)
    return make_pipeline(columns, TransformedTargetRegressor(network, transformer=StandardScaler()))


def main() -> None:
    """Read, fit, test and print the answer."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("method", choices=("boosting", "boosting-tuned", "sklearn-mlp"))
    parser.add_argument("train", help="CSV file of the training rows")
    parser.add_argument("test", help="CSV file of the test rows")
    parser.add_argument("target", help="column to predict")
    parser.add_argument("seconds", type=float, help="time for everything; boosting and MLP end before")
    parser.add_argument("--kind", choices=("classification", "regression"), default="classification")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    x, y, x_test, y_test = read(given.train, given.test, given.target)
    fits = 1
    if given.method == "sklearn-mlp":
        model = perceptron(given.kind, given.seed).fit(x, y)
    else:
        wide = [name for name in x if x[name].dtype == "category" and x[name].nunique() > CATEGORIES]
        x, x_test = x.drop(columns=wide), x_test.drop(columns=wide)
        if given.method == "boosting":
            model = boosting(given.kind, given.seed).fit(x, y)
        else:
            until = BEGUN + 0.97 * given.seconds - 1.0
            model, fits = tuned(given.kind, given.seed, x, y, until)
    metric = "accuracy" if given.kind == "classification" else "r2"
    score = float(model.score(x_test, y_test))
    print(json.dumps({metric: score, "rows": len(x), "test_rows": len(x_test), "trials": fits}))


if __name__ == "__main__":
    main()
