"""Who picks the paths of a supernet while it trains: the contract, and what pickers have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from archwright.evaluators.one_shot.optim import Adam
from archwright.problem import Architecture

if TYPE_CHECKING:
    from archwright.evaluators.one_shot.shared import Shared

Batch = tuple[Tensor, Tensor]

DERIVED = 4
"""Architectures that a picker with a preference names."""
DRAWS = 100
"""Paths that a picker draws by its numbers before it takes any feasible one."""


@dataclasses.dataclass(eq=False)
class Picker:
    """Picks paths at random, and learns nothing. Others override what they do differently; their fields are their options.

    A training step is: :meth:`learn`, where the picker learns from held-out rows; :meth:`step`, which leaves gradients on the shared weights; the
    optimiser's step. Everything that a picker changes is in what :meth:`state` gives, so that a training can go on after any epoch.
    """

    held: ClassVar[float] = 0.0
    """Share of the training rows that the shared weights do not see, for the picker to learn from."""
    derives: ClassVar[bool] = False
    """Whether it names architectures itself; else a strategy searches among them."""
    drawn: ClassVar[bool] = False
    """Whether what it derives comes in no order, and is to be compared on validation rows."""
    transforms: ClassVar[bool] = False
    """Whether the supernet's smaller kernels are learned functions of larger ones."""

    @property
    def partial(self) -> int:
        """In mixtures, one of how many channels passes through operations."""
        return 1

    def begin(self, shared: Shared) -> None:
        """Makes what the picker learns; called once before the training."""

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Learns from a held-out batch."""

    def step(self, shared: Shared, batch: Batch) -> Tensor:
        """Leaves the gradients of a training step on the shared weights, and returns the loss."""
        loss = shared.loss(self.pick(shared), batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def pick(self, shared: Shared) -> Any:
        """What a training step runs: an architecture, or weights for a mixture."""
        return shared.draw()

    def epoch(self, shared: Shared) -> None:
        """Called after each epoch."""

    def derive(self, shared: Shared) -> list[Architecture]:
        """The architectures that the picker settled on, the best first; none where a strategy is to search."""
        return []

    def shares(self, shared: Shared) -> dict[str, list[float]]:
        """For each choice the probability of each option, as the picker would pick now; none where it has no preference."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Everything that changes, by name."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes over what :meth:`state` gave; called after :meth:`begin`."""


@dataclasses.dataclass(eq=False)
class Gradient(Picker):
    """What pickers with one number for each option have in common: the numbers, how they begin and move, and what they settle on.

    Attributes:
        rate: Learning rate of the numbers (Adam).
        decay: Their weight decay.
    """

    held: ClassVar[float] = 0.5
    derives: ClassVar[bool] = True
    betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    reads: ClassVar[bool] = False
    """Whether what a node of a dag reads has numbers of its own; else a node reads all, and keeps the edges with the strongest operations."""

    rate: float = 3e-3
    decay: float = 1e-3

    def begin(self, shared: Shared) -> None:
        """One number for each option, close to zero."""
        generator = torch.Generator().manual_seed(shared.seed)
        skipped = set() if self.reads else shared.edges.keys()
        self.alphas = {
            address: (1e-3 * torch.randn(count, generator=generator)).requires_grad_()
            for address, count in shared.net.counts.items()
            if address not in skipped
        }
        self.optimizer = Adam(self.alphas, self.rate, self.betas, self.decay)

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Moves the numbers along the gradient of the held-out loss."""
        gradients = torch.autograd.grad(
            shared.loss(self.pick(shared), held), list(self.alphas.values()), allow_unused=True
        )
        self.optimizer.step(dict(zip(self.alphas, gradients)))

    def path(self, shared: Shared, choose: Callable[[], Mapping[str, int]]) -> Architecture:
        """A feasible path of options that `choose` draws; any feasible one, where none of a hundred is."""
        for _ in range(DRAWS):
            chosen = choose()
            found = shared.net.space.fill(lambda address, _, chosen=chosen: chosen[address])  # type: ignore[misc]
            if shared.feasible(found):
                return found
        return shared.draw()

    def probabilities(self) -> dict[str, Tensor]:
        """The softmax of the numbers."""
        return {address: alpha.softmax(0) for address, alpha in self.alphas.items()}

    def pick(self, shared: Shared) -> Any:
        """The mixture of all options, weighted by their probabilities."""
        return self.probabilities()

    def shares(self, shared: Shared) -> dict[str, list[float]]:
        """The probabilities."""
        return {address: p.tolist() for address, p in self.probabilities().items()}

    def derive(self, shared: Shared) -> list[Architecture]:
        """The most probable architectures that satisfy the constraints."""
        return shared.likeliest({a: p.detach().numpy() for a, p in self.probabilities().items()}, DERIVED)

    def state(self) -> dict[str, Tensor]:
        """Numbers and moments."""
        return {f"alpha:{name}": value.detach() for name, value in self.alphas.items()} | self.optimizer.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes over numbers and moments."""
        with torch.no_grad():
            for name, value in self.alphas.items():
                value.copy_(state[f"alpha:{name}"])
        self.optimizer.load(state)


def entropy(shares: Mapping[str, list[float]]) -> float:
    """Mean entropy of the choices' distributions over that of even ones, in [0, 1]; 1 where nothing is preferred."""
    values = []
    for chances in shares.values():
        p = np.asarray(chances)
        values.append(float(-(p * np.log(np.maximum(p, 1e-12))).sum() / np.log(len(p))))
    return float(np.mean(values)) if values else 1.0
