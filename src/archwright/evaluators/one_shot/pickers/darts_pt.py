"""DARTS with selection by perturbation."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archwright.evaluators.one_shot.picker import DERIVED, Batch
from archwright.evaluators.one_shot.pickers.darts import Darts
from archwright.evaluators.one_shot.shared import Shared
from archwright.problem import Architecture

STEP = 3
"""Forward passes that take as long as a training step."""


@dataclasses.dataclass(eq=False)
class DartsPt(Darts):
    """DARTS that settles choice by choice on the option without which the supernet does worst (DARTS+PT: Wang et al. 2021, arXiv 2108.04392).

    In the last part of the training the choices are settled one after another at even distances, in random order; the supernet trains on with those that
    are left open. What the nodes of a dag read is settled last, by the edges without which it does worst.

    Attributes:
        start: Share of the training after which choices are settled.
        rows: Held-out rows on which the supernet is judged; fewer where so few steps lie between two choices that judging would take longer than training.
    """

    start: float = 0.5
    rows: int = 512

    def begin(self, shared: Shared) -> None:
        """Nothing is settled."""
        super().begin(shared)
        self.settled: dict[str, int] = {}
        choices = [address for address in shared.net.counts if address not in shared.edges]
        np.random.default_rng([shared.seed, 0xD]).shuffle(choices)
        self.steps = 0
        self.queue: list[str] = [*choices, *(address for address in shared.net.counts if address in shared.edges)]

    def pick(self, shared: Shared) -> Any:
        """The mixture of the options that are left."""
        return self.probabilities() | self.settled

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Moves the numbers until the first choice is settled, and settles those that are due."""
        if not self.settled:
            super().learn(shared, train, held)
        self.steps += 1
        passed = (shared.progress - self.start) / (1 - self.start) if self.start < 1 else 0.0
        self._settle(shared, math.floor(passed * (len(self.queue) + 1)))

    def epoch(self, shared: Shared) -> None:
        """At the end settles what few steps left open."""
        if shared.ended:
            self._settle(shared, len(self.queue))

    def _settle(self, shared: Shared, due: int) -> None:
        for address in self.queue[len(self.settled) : max(due, 0)]:
            self.settled[address] = (
                self._read(shared, address) if address in shared.edges else self._option(shared, address)
            )
            self.steps = 0

    def _option(self, shared: Shared, address: str) -> int:
        """The option without which the supernet does worst."""
        weights = self.probabilities()[address].detach()
        scores = []
        for option in range(len(weights)):
            kept = weights.clone()
            kept[option] = 0.0
            scores.append(self._score(shared, {address: kept}, len(weights)))
        return min(range(len(scores)), key=scores.__getitem__)

    def _read(self, shared: Shared, address: str) -> int:
        """The edges without which the supernet does worst."""
        edge = shared.edges[address]
        count = 1 + max(slot for slots in edge.slots for slot in slots)
        scores = [
            self._score(shared, {edge.strengths: torch.tensor([float(slot != gone) for slot in range(count)])}, count)
            for gone in range(count)
        ]
        return min(range(len(edge.slots)), key=lambda option: sum(scores[slot] for slot in edge.slots[option]))

    @torch.no_grad()
    def _score(self, shared: Shared, changes: Mapping[str, Any], options: int) -> float:
        """The supernet on as many rows as take, over all options, as long as the steps since the last choice."""
        batch = shared.recipe.batch_size
        rows = max(batch, STEP * self.steps * batch // options)
        return -float(shared.loss(self.pick(shared) | changes, shared.rows(min(self.rows, rows))))

    def derive(self, shared: Shared) -> list[Architecture]:
        """What was settled on; where that breaks a constraint or not all was, the most probable architecture with as much of it as can be."""
        chances = {address: p.detach().double().numpy() for address, p in self.probabilities().items()}
        for address, option in self.settled.items():
            count = shared.net.counts[address]
            chances[address] = 1e-3 * chances.get(address, np.full(count, 1.0 / count))
            chances[address][option] = 1.0
        return shared.likeliest(chances, DERIVED)

    def state(self) -> dict[str, Tensor]:
        """Numbers, moments and what is settled."""
        settled = {f"settled:{a}": torch.tensor(float(option)) for a, option in self.settled.items()}
        return super().state() | settled | {"steps": torch.tensor(float(self.steps))}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes them over."""
        super().load(state)
        self.steps = int(state["steps"])
        self.settled = {
            name.removeprefix("settled:"): int(value) for name, value in state.items() if name.startswith("settled:")
        }
