from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from archwright.strategies.arrays import Adam, Frozen


def test_frozen_arrays_are_copies_that_do_not_change():
    source = np.arange(3.0)
    frozen = Frozen(source)
    source[0] = 7.0
    assert frozen.values.tolist() == [0.0, 1.0, 2.0]
    for same in (frozen, copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        with pytest.raises(ValueError, match="read-only"):
            same.values[0] = 1.0
        with pytest.raises(AttributeError, match="make another"):
            same.values = source


def test_frozen_arrays_compare_by_value():
    frozen = Frozen([1.0, np.nan])
    assert frozen == Frozen([1.0, np.nan])
    assert frozen == copy.deepcopy(frozen)
    assert hash(frozen) == hash(Frozen([1.0, np.nan]))
    for other in (Frozen([1.0, 2.0]), Frozen([1.0]), Frozen([[1.0, np.nan]]), (1.0, np.nan)):
        assert frozen != other


def test_adam_is_the_papers():
    rng, rate = np.random.default_rng(0), 0.1
    adam = Adam.start(np.array([1.0, -2.0]))
    weights, mean, square = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    start = copy.deepcopy(adam)
    before = adam
    for step in range(1, 8):
        gradient = rng.normal(size=2)
        adam = adam.ascend(gradient, rate)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        weights = weights + rate * (mean / (1 - 0.9**step)) / np.sqrt(square / (1 - 0.999**step))
        assert adam.weights.values == pytest.approx(weights, rel=1e-5)
        assert adam.steps == step
    assert before == start != adam
