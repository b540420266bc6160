"""Blocks on sequences: features first and steps last, (N, C, T)."""

# mypy: disable-error-code="no-any-return,operator"
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class Embedding(nn.Module):
    """A learned vector for each symbol: numbers of symbols (N, T) to (N, width, T)."""

    def __init__(self, symbols: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(symbols, width)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 2:
            raise ValueError(f"got inputs of shape {tuple(x.shape[1:])}, expected numbers of symbols, (T,)")
        return self.table(x.long()).transpose(1, 2)


class PositionwiseLinear(nn.Module):
    """The same fully connected layer at each step: (N, C, T) to (N, width, T)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.transpose(1, 2)).transpose(1, 2)


class VariationalDropout(nn.Dropout1d):
    """Zeroes features at random in training, the same at every step."""

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__(rate)


class RecurrentCell(nn.Module):
    """A cell of gated nodes that runs over a sequence: (N, channels, T) to (N, width, T).

    State 0 is made from the input and the cell's last output, which is zeros at first; state i from the earlier state
    ``from{i}`` (by default the one before it) by the activation ``act{i}``. A gate says how much of it is new:
    s_i = s_j + sigmoid(c) * (act(h) - s_j), where [c, h] = W_i s_j. The output is the mean of the states from 1 on.
    """

    def __init__(self, channels: int, width: int, nodes: int = 8, **settings: int | str | None) -> None:
        super().__init__()
        self.width = width
        self.sources, self.activations = cell_nodes(nodes, settings)
        self.input = nn.Linear(channels, 2 * width, bias=False)
        self.hidden = nn.Linear(width, 2 * width, bias=False)
        self.nodes = nn.ModuleList(nn.Linear(width, 2 * width, bias=False) for _ in range(nodes))

    def forward(self, x: Tensor) -> Tensor:
        given = self.input(x.transpose(1, 2)).transpose(0, 1)
        return over_steps(self.step, x.new_zeros(x.shape[0], self.width), given).permute(1, 2, 0)

    def step(self, state: Tensor, given: Tensor) -> Tensor:
        gate, new = (self.hidden(state) + given).chunk(2, -1)
        states = [torch.lerp(state, torch.tanh(new), torch.sigmoid(gate))]
        for layer, source, activation in zip(self.nodes, self.sources, self.activations):
            gate, new = layer(states[source]).chunk(2, -1)
            states.append(torch.lerp(states[source], CELL_ACTIVATIONS[activation](new), torch.sigmoid(gate)))
        return sum(states[2:], states[1]) / len(self.nodes)


def over_steps(step: Callable[[Tensor, Tensor], Tensor], state: Tensor, given: Tensor) -> Tensor:
    """The states ``step(state, given[t])`` after each step (T, ...). In an ONNX file one step stands for all of them."""
    if torch.onnx.is_in_onnx_export() and torch.__version__ >= (2, 9):

        def twice(state: Tensor, one: Tensor) -> tuple[Tensor, Tensor]:
            after = step(state, one)
            return after, after.clone()

        return torch._higher_order_ops.scan(twice, state, given)[1]
    states = []
    for one in given.unbind(0):
        state = step(state, one)
        states.append(state)
    return torch.stack(states)


def identity(x: Tensor) -> Tensor:
    """The input itself."""
    return x


CELL_ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "identity": identity}


def cell_nodes(nodes: int, settings: Mapping[str, int | str | None]) -> tuple[list[int], list[str]]:
    """For each node of a cell the state that it reads, and its activation."""
    sources, activations = [], []
    for node in range(1, nodes + 1):
        source, activation = settings.get(f"from{node}"), settings.get(f"act{node}")
        source = node - 1 if source is None else source
        activation = "tanh" if activation is None else activation
        if source not in range(node):
            raise ValueError(f"node {node} reads state {source!r}, expected one of 0 to {node - 1}")
        if activation not in CELL_ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}, expected one of {', '.join(CELL_ACTIVATIONS)}")
        sources.append(int(source))
        activations.append(str(activation))
    known = {name for node in range(1, nodes + 1) for name in (f"from{node}", f"act{node}")}
    unknown = [name for name, value in settings.items() if value is not None and name not in known]
    if unknown:
        raise ValueError(f"got {', '.join(unknown)} in a cell of {nodes} nodes, expected settings of its nodes alone")
    return sources, activations
