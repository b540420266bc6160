"""Paths that use every option equally often."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from archwright.evaluators.one_shot.picker import Batch, Picker
from archwright.evaluators.one_shot.shared import Shared
from archwright.problem import Architecture


@dataclasses.dataclass(eq=False)
class Fair(Picker):
    """In each step as many paths as a choice has options, each option once, for one update (FairNAS: Chu et al. 2021, arXiv 1907.01845).

    Where choices differ in their number of options, those with fewer begin again in a new order. Paths that break a constraint are left out.
    """

    def paths(self, shared: Shared) -> list[Architecture]:
        """The paths of a step."""
        count = max(shared.net.counts.values())
        orders = {
            address: np.concatenate([shared.rng.permutation(options) for _ in range(-(-count // options))])
            for address, options in shared.net.counts.items()
        }
        space = shared.net.space
        return [space.fill(lambda address, _, turn=turn: int(orders[address][turn])) for turn in range(count)]  # type: ignore[misc]

    def step(self, shared: Shared, batch: Batch) -> Tensor:
        """The gradients of all paths, added up: each option has the whole gradient of the one path it is in."""
        paths = [path for path in self.paths(shared) if shared.feasible(path)] or [shared.draw()]
        shared.net.foresee(paths)
        total = torch.zeros(())
        for path in paths:
            loss = shared.loss(path, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total / len(paths)
