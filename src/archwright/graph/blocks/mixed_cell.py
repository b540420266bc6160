"""A recurrent cell that is a mixture of cells, as a supernet runs it."""

# mypy: disable-error-code="no-any-return"
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from archwright.graph.blocks.sequence import CELL_ACTIVATIONS, RecurrentCell

Mixed = Mapping[str, Sequence[tuple[int | str, Tensor]]]
"""For each attribute that is open the settings, each with its weight."""


class _Node(NamedTuple):
    """What a node may be.

    Attributes:
        sources: The states that it may read.
        strengths: Their weights ``(sources, 1, 1)``; nothing where it reads one without a weight.
        activations: The functions, each with its weight; nothing for one without a weight.
        total: Sum of the weights of the activations.
    """

    sources: list[int]
    strengths: Tensor | None
    activations: list[tuple[Callable[[Tensor], Tensor], Tensor | None]]
    total: Tensor | None


class MixedRecurrentCell(RecurrentCell):
    """A recurrent cell whose nodes read weighted sums over earlier states, by weighted sums of activations.

    Node i computes ``sum_j p_j sum_k q_k (s_j + sigmoid(c_j) * (act_k(h_j) - s_j))`` at each step, where ``[c_j, h_j] = W_i s_j``; the p are the weights
    of what it reads, the q those of its activations (the sum of DARTS, Liu et al., ICLR 2019, arXiv 1806.09055, with a choice of the state apart
    from that of the activation).

    Attributes:
        mixed: Set before each run; the nodes are as they were made in what it leaves out.
    """

    mixed: Mixed = MappingProxyType({})

    def forward(self, x: Tensor) -> Tensor:
        self.plan = [self._node(number) for number in range(1, len(self.nodes) + 1)]
        return super().forward(x)

    def _node(self, number: int) -> _Node:
        sources, strengths = [self.sources[number - 1]], None
        if reads := self.mixed.get(f"from{number}"):
            sources = [int(source) for source, _ in reads]
            strengths = torch.stack([weight for _, weight in reads]).view(-1, 1, 1)
        acts = self.mixed.get(f"act{number}")
        if not acts:
            return _Node(sources, strengths, [(CELL_ACTIVATIONS[self.activations[number - 1]], None)], None)
        total = torch.stack([weight for _, weight in acts]).sum()
        return _Node(sources, strengths, [(CELL_ACTIVATIONS[str(name)], weight) for name, weight in acts], total)

    def step(self, state: Tensor, given: Tensor) -> Tensor:
        gate, new = (self.hidden(state) + given).chunk(2, -1)
        states = [torch.lerp(state, torch.tanh(new), torch.sigmoid(gate))]
        for layer, node in zip(self.nodes, self.plan):
            read = torch.stack([states[source] for source in node.sources])
            gate, new = layer(read).chunk(2, -1)
            fresh = [function(new) if q is None else q * function(new) for function, q in node.activations]
            kept = read if node.total is None else node.total * read
            mixed = torch.lerp(kept, sum(fresh[1:], fresh[0]), torch.sigmoid(gate))
            states.append((mixed if node.strengths is None else node.strengths * mixed).sum(0))
        return sum(states[2:], states[1]) / len(self.nodes)
