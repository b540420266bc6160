from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from archwright import ArchwrightClassifier, ArchwrightRegressor
from archwright.engine import ensemble
from archwright.space import OUTPUTS, Space, chain, choice, op

QUICK = {"budget": "1 trials, 2 epochs", "random_state": 0}
"""Enough to go through everything; what is learnt is tested elsewhere."""


def checks(kind):
    """Every check; those that ask for a good fit get the epochs for it."""
    for number, (instance, check) in enumerate(estimator_checks_generator(kind(**QUICK))):
        name = getattr(check, "func", check).__name__
        learns = name in ("check_regressors_train", "check_classifiers_train")
        estimator = kind(budget="1 trials", random_state=0) if learns else instance
        yield pytest.param(check, estimator, id=f"{kind.__name__}-{name}-{number}")


@pytest.mark.parametrize(
    ("check", "estimator"),
    [*checks(ArchwrightClassifier), *checks(ArchwrightRegressor)],
)
def test_scikit_learns_own_checks(check, estimator):
    check(estimator)


def test_a_classifier_learns_iris():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    train, test, y_train, y_test = train_test_split(X, names, random_state=0, stratify=names)
    model = ArchwrightClassifier(budget="6 trials", random_state=0).fit(train, y_train)
    assert model.score(test, y_test) > 0.9
    assert set(model.predict(test)) <= set(names)
    assert np.allclose(model.predict_proba(test).sum(axis=1), 1.0)
    assert "class Network" in model.source_
    restored = pickle.loads(pickle.dumps(model))
    assert np.array_equal(restored.predict_proba(test), model.predict_proba(test))


def test_a_regressor_learns_diabetes():
    X, y = load_diabetes(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = ArchwrightRegressor(budget="6 trials", random_state=0).fit(train, y_train)
    assert model.score(test, y_test) > 0.2


def test_an_estimator_may_be_an_ensemble(monkeypatch):
    monkeypatch.setattr(ensemble, "expected_error", lambda missing, trained, epochs: missing)
    X, y = load_diabetes(return_X_y=True)
    layer = op("dense", width=choice(4, 5, 6), activation=choice("relu", "tanh", "silu"))
    space = Space(chain(layer, op("linear", width=OUTPUTS)), "small")
    settings = {"space": space, "budget": "8 trials, 60 epochs", "random_state": 0}
    model = ArchwrightRegressor(ensemble=4, strategy="random", **settings).fit(X, y)
    assert any(address.startswith("member2.") for address in model.choices_)
    restored = pickle.loads(pickle.dumps(model))
    assert np.array_equal(restored.predict(X), model.predict(X))


def test_pipelines_and_grid_search():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), ArchwrightClassifier(**QUICK))
    search = GridSearchCV(pipeline, {"archwrightclassifier__strategy": ["random", "evolution"]}, cv=2).fit(X, y)
    assert search.best_params_["archwrightclassifier__strategy"] in ("random", "evolution")
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_equal_seeds_give_equal_networks():
    X, y = load_iris(return_X_y=True)
    model = ArchwrightClassifier(**QUICK)
    assert np.array_equal(model.fit(X, y).predict_proba(X), clone(model).fit(X, y).predict_proba(X))


def test_bad_data_is_a_value_error():
    with pytest.raises(ValueError, match="class"):
        ArchwrightClassifier(**QUICK).fit([[1.0], [2.0], [3.0]] * 5, ["a"] * 15)
