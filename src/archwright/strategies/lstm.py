"""A long short-term memory network in numpy: forward, backward, and one step. Hochreiter and Schmidhuber 1997.

Arrays are batches: ``inputs[sequence, step, feature]``. Shorter sequences are padded at their end, where the gradient of
the outputs has to be zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Weights(NamedTuple):
    """The weights of a layer; the columns are the gates input, forget, output, and the candidate.

    Attributes:
        inputs: Shape (features, 4 hidden).
        hidden: Shape (hidden, 4 hidden).
        bias: Shape (4 hidden,).
    """

    inputs: np.ndarray
    hidden: np.ndarray
    bias: np.ndarray


class Trace(NamedTuple):
    """What the backward pass needs of the forward pass, each with the steps first."""

    inputs: np.ndarray
    gates: np.ndarray
    cells: np.ndarray
    squashed: np.ndarray
    outputs: np.ndarray


Memory = tuple[np.ndarray, np.ndarray]
"""Output and cell, each of shape (..., hidden)."""


def step(weights: Weights, projected: np.ndarray, memory: Memory) -> tuple[np.ndarray, np.ndarray, np.ndarray, Memory]:
    """One step.

    Args:
        weights: Of the layer.
        projected: ``inputs @ weights.inputs + weights.bias`` of this step.
        memory: After the step before.

    Returns:
        The gates, the cell, its hyperbolic tangent, and the memory after the step.
    """
    output, cell = memory
    hidden = output.shape[-1]
    gates = projected + output @ weights.hidden
    gates[..., : 3 * hidden] *= 0.5
    gates = np.tanh(gates)
    gates[..., : 3 * hidden] = 0.5 + 0.5 * gates[..., : 3 * hidden]
    cell = gates[..., hidden : 2 * hidden] * cell + gates[..., :hidden] * gates[..., 3 * hidden :]
    squashed = np.tanh(cell)
    output = gates[..., 2 * hidden : 3 * hidden] * squashed
    return gates, cell, squashed, (output, cell)


def forward(weights: Weights, inputs: np.ndarray) -> tuple[np.ndarray, Trace]:
    """The outputs of all steps, from an empty memory.

    Returns:
        Outputs of shape (sequences, steps, hidden), and the trace for :func:`backward`.
    """
    inputs = np.ascontiguousarray(inputs.swapaxes(0, 1))
    steps, sequences = inputs.shape[:2]
    hidden = len(weights.hidden)
    projected = inputs @ weights.inputs + weights.bias
    memory = (np.zeros((sequences, hidden)), np.zeros((sequences, hidden)))
    gates = np.empty((steps, sequences, 4 * hidden))
    cells, squashed, outputs = (np.empty((steps, sequences, hidden)) for _ in range(3))
    for time in range(steps):
        gates[time], cells[time], squashed[time], memory = step(weights, projected[time], memory)
        outputs[time] = memory[0]
    return outputs.swapaxes(0, 1), Trace(inputs, gates, cells, squashed, outputs)


def backward(weights: Weights, trace: Trace, d_outputs: np.ndarray) -> tuple[Weights, np.ndarray]:
    """The gradients, given that of the outputs.

    Args:
        weights: Of the layer.
        trace: Of the forward pass.
        d_outputs: Shape (sequences, steps, hidden).

    Returns:
        The gradient of the weights, and that of the inputs, of shape (sequences, steps, features).
    """
    steps, sequences, hidden = trace.outputs.shape
    gradient = np.empty_like(trace.gates)
    carried, d_cell = np.zeros((sequences, hidden)), np.zeros((sequences, hidden))
    nothing = np.zeros((sequences, hidden))
    for time in reversed(range(steps)):
        gates = trace.gates[time].reshape(sequences, 4, hidden)
        entry, forget, out, candidate = gates[:, 0], gates[:, 1], gates[:, 2], gates[:, 3]
        squashed, before = trace.squashed[time], trace.cells[time - 1] if time else nothing
        d_output = d_outputs[:, time] + carried
        d_cell = d_cell + d_output * out * (1.0 - squashed**2)
        now = gradient[time]
        now[:, :hidden] = d_cell * candidate * entry * (1.0 - entry)
        now[:, hidden : 2 * hidden] = d_cell * before * forget * (1.0 - forget)
        now[:, 2 * hidden : 3 * hidden] = d_output * squashed * out * (1.0 - out)
        now[:, 3 * hidden :] = d_cell * entry * (1.0 - candidate**2)
        carried = now @ weights.hidden.T
        d_cell = d_cell * forget
    earlier = np.concatenate([nothing[None], trace.outputs])[:steps]
    both = ((0, 1), (0, 1))
    found = Weights(
        np.tensordot(trace.inputs, gradient, both), np.tensordot(earlier, gradient, both), gradient.sum((0, 1))
    )
    return found, (gradient @ weights.inputs.T).swapaxes(0, 1)


def initial(features: int, hidden: int, rng: np.random.Generator) -> Weights:
    """Uniform within one over the square root of the fan-in, the forget gate open (bias 1)."""
    bias = np.zeros(4 * hidden)
    bias[hidden : 2 * hidden] = 1.0
    reach = (features**-0.5, hidden**-0.5)
    return Weights(
        rng.uniform(-reach[0], reach[0], (features, 4 * hidden)),
        rng.uniform(-reach[1], reach[1], (hidden, 4 * hidden)),
        bias,
    )
