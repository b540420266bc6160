"""DARTS on some of the channels."""

from __future__ import annotations

import dataclasses

import torch

from archwright.evaluators.one_shot.optim import Adam
from archwright.evaluators.one_shot.picker import Batch
from archwright.evaluators.one_shot.pickers.darts import Darts
from archwright.evaluators.one_shot.shared import Shared
from archwright.supernet.edges import strengths_of


@dataclasses.dataclass(eq=False)
class PcDarts(Darts):
    """DARTS in which operations see some of the channels, and the edges into a node have weights too (PC-DARTS: Xu et al. 2020, arXiv 1907.05737).

    Attributes:
        warmup: Share of the training in which the numbers stay.
        channels: One of how many channels the operations see (K: 4 for CIFAR-10, 2 for ImageNet).
    """

    warmup: float = 0.3
    channels: int = 4

    @property
    def partial(self) -> int:
        """One of how many channels passes through operations."""
        return self.channels

    def begin(self, shared: Shared) -> None:
        """Numbers for options and for edges."""
        super().begin(shared)
        generator = torch.Generator().manual_seed(shared.seed + 1)
        for name, count in strengths_of(shared.net.space).items():
            self.alphas[name] = (1e-3 * torch.randn(count, generator=generator)).requires_grad_()
        self.sound = {name: alpha.detach().clone() for name, alpha in self.alphas.items()}
        self.optimizer = Adam(self.alphas, self.rate, self.betas, self.decay)

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Moves the numbers, once the weights have had a start."""
        if shared.progress >= self.warmup:
            super().learn(shared, train, held)

    def shares(self, shared: Shared) -> dict[str, list[float]]:
        """The probabilities of the options."""
        return {address: p for address, p in super().shares(shared).items() if not address.endswith(":edges")}
