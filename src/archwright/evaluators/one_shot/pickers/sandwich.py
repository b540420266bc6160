"""The largest, the smallest and some between."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from archwright.evaluators.engine import joined
from archwright.evaluators.one_shot.picker import Batch, Picker
from archwright.evaluators.one_shot.shared import Shared
from archwright.problem import Architecture

OTHERS = 0.55
"""Share of the training after which all choices are open."""


@dataclasses.dataclass(eq=False)
class Sandwich(Picker):
    """The largest network learns from the labels, and the smallest and some random ones from it, in one step (BigNAS: Yu et al. 2020, arXiv 2003.11142).

    With `progressive`, the choices open one kind after the other, as in once-for-all (Cai et al. 2020, arXiv 1908.09791): first the largest network
    alone, then kernels, then depths, then all others, before which the units inside operations are sorted by importance. Smaller kernels are learned functions of larger ones.

    Attributes:
        between: Random paths in a step.
        progressive: Whether choices open one kind after the other.
    """

    transforms: ClassVar[bool] = True

    between: int = 2
    progressive: bool = True

    def begin(self, shared: Shared) -> None:
        """Finds the largest and the smallest network, by FLOPs."""
        self.smallest, self.largest = shared.extremes()
        self.sorted = False

    def _sort(self, shared: Shared) -> None:
        """Sorts units by importance before narrower settings come in."""
        if self.progressive and not self.sorted and shared.progress >= OTHERS:
            self.sorted = True
            for name in shared.net.sort():
                shared.optimizer.velocity.pop(name, None)

    def state(self) -> dict[str, Tensor]:
        """Whether units are sorted."""
        return {"sorted": torch.tensor(float(self.sorted))}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes it over."""
        self.sorted = bool(state["sorted"])

    def opened(self, address: str, shared: Shared) -> bool:
        """Whether a choice is open at this point of the training."""
        kind = shared.kinds.get(address, "")
        return not self.progressive or shared.progress >= {"kernel": 0.15, "repeat": 0.35}.get(kind, OTHERS)

    def between_paths(self, shared: Shared) -> list[Architecture]:
        """The paths of a step besides the largest."""
        whole = self.largest.as_dict()

        def restricted(architecture: Architecture) -> Architecture:
            drawn = architecture.as_dict()

            def pick(address: str, count: int) -> int:
                if address in drawn and self.opened(address, shared):
                    return drawn[address]
                return whole.get(address, drawn.get(address, count - 1))

            return shared.net.space.fill(pick)

        drawn = [restricted(path) for path in (self.smallest, *(shared.draw() for _ in range(self.between)))]
        return [path for path in dict.fromkeys(drawn) if path != self.largest and shared.feasible(path)]

    def step(self, shared: Shared, batch: Batch) -> Tensor:
        """The gradients of all paths together."""
        self._sort(shared)
        smaller = self.between_paths(shared)
        shared.net.foresee([self.largest, *smaller])
        outputs = shared.net(batch[0], self.largest).float()
        loss = shared.criterion(outputs, batch[1])
        loss.backward()  # type: ignore[no-untyped-call]
        taught = joined(outputs.detach(), batch[1])
        for path in smaller:
            own = joined(shared.net(batch[0], path).float(), batch[1])
            if shared.kind == "classification":
                lesson = functional.kl_div(own.log_softmax(1), taught.softmax(1), reduction="none").sum(1).mean()
            else:
                lesson = functional.mse_loss(own, taught)
            lesson.backward()  # type: ignore[no-untyped-call]
        return loss.detach()
