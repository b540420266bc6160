from __future__ import annotations

import numpy as np
import pytest

from archwright.strategies import lstm


@pytest.fixture
def layer():
    rng = np.random.default_rng(0)
    weights = lstm.Weights(*(part + 0.3 * rng.normal(size=part.shape) for part in lstm.initial(3, 4, rng)))
    return weights, rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 4))


def test_a_step_is_the_textbooks(layer):
    weights, inputs, _ = layer
    outputs, _ = lstm.forward(weights, inputs)

    def sigmoid(values):
        return 1.0 / (1.0 + np.exp(-values))

    output = cell = np.zeros(4)
    for time in range(5):
        gates = inputs[1, time] @ weights.inputs + output @ weights.hidden + weights.bias
        entry, forget, out, candidate = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(entry) * np.tanh(candidate)
        output = sigmoid(out) * np.tanh(cell)
        assert outputs[1, time] == pytest.approx(output)


def test_the_gradients_are_those_of_finite_differences(layer):
    weights, inputs, d_outputs = layer

    def value():
        return float((lstm.forward(weights, inputs)[0] * d_outputs).sum())

    gradient, d_inputs = lstm.backward(weights, lstm.forward(weights, inputs)[1], d_outputs)
    for array, found in zip((*weights, inputs), (*gradient, d_inputs)):
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + 1e-5
            above = value()
            array[index] = kept - 1e-5
            below = value()
            array[index] = kept
            assert found[index] == pytest.approx((above - below) / 2e-5, abs=1e-7)


def test_steps_after_the_end_change_nothing_before(layer):
    weights, inputs, d_outputs = layer
    whole, trace = lstm.forward(weights, inputs)
    short, _ = lstm.forward(weights, inputs[:, :3])
    assert whole[:, :3] == pytest.approx(short)
    d_outputs[:, 3:] = 0.0
    _, d_inputs = lstm.backward(weights, trace, d_outputs)
    assert (d_inputs[:, 3:] == 0).all()
