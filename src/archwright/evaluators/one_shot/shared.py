"""The training of a supernet: one loop for all pickers, which goes on from any epoch as if it had never stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor

from archwright.errors import ArchwrightError, EvaluationError
from archwright.evaluators.batches import Batches
from archwright.evaluators.engine import criterion, joined, steps_of
from archwright.evaluators.one_shot.optim import SharedSGD
from archwright.evaluators.one_shot.picker import Picker
from archwright.evaluators.recipe import Recipe
from archwright.graph.module import seeded
from archwright.problem import Architecture
from archwright.supernet import Supernet
from archwright.supernet.edges import Edge, edges_of, kinds_of, likeliest

CHECK_EVERY = 20
"""Steps between two looks at the loss."""
LEAST_PART = 0.05
"""The smallest part of an epoch that is trained at the end, where time is limited."""
EXTREMES = 300
"""Architectures drawn to find the smallest and the largest, and what options cost."""
TRIES = 1000
"""Draws of an architecture that satisfies the constraints before one is given up."""


@dataclasses.dataclass(frozen=True)
class Epoch:
    """What is known after an epoch of a supernet's training.

    Attributes:
        number: Epochs so far.
        loss: Mean training loss.
        rate: Learning rate of its last step.
        seconds: That it took.
        steps: That were taken; fewer than the epoch has where its time was over.
        part: Of the epoch's steps, in (0, 1].
        last: Whether it is the last one.
    """

    number: int
    loss: float
    rate: float
    seconds: float
    steps: int
    part: float
    last: bool


class Shared:
    """A supernet in training.

    Args:
        net: The supernet.
        picker: Who picks the paths.
        recipe: Settings of the training of the shared weights.
        kind: ``"classification"`` or ``"regression"``.
        seed: Of paths, rows, augmentation and dropout; each epoch has its own streams.
        feasible: Whether an architecture satisfies the constraints; others are not drawn.
        cost: What a network costs to run; default: FLOPs.
    """

    def __init__(
        self,
        net: Supernet,
        picker: Picker,
        recipe: Recipe,
        kind: str,
        seed: int,
        feasible: Callable[[Architecture], bool] = lambda architecture: True,
        cost: Callable[[Architecture], float] | None = None,
    ) -> None:
        self.net, self.picker, self.recipe, self.kind, self.seed = net, picker, recipe, kind, seed
        self.feasible = feasible
        self.cost = cost or (lambda architecture: float(net.graph(architecture).cost.flops))
        self.optimizer = SharedSGD(net, recipe)
        self.criterion = criterion(kind, recipe)
        self.edges: dict[str, Edge] = edges_of(net.space)
        self.kinds = kinds_of(net.space)
        self.operations = {address for address, kind in self.kinds.items() if kind == "operation"}
        self.number, self.progress, self.ended = 0, 0.0, False
        self.history: list[dict[str, Any]] = []
        self.rng = np.random.default_rng([seed, 0])
        self.rows: Callable[[int], tuple[Tensor, Tensor]] = lambda count: (torch.empty(0), torch.empty(0))
        picker.begin(self)

    def loss(self, how: Any, batch: tuple[Tensor, Tensor], active: Any = None) -> Tensor:
        """The loss of a path or a mixture on a batch."""
        return self.criterion(self.net(batch[0], how, active).float(), batch[1])

    def draw(self) -> Architecture:
        """An architecture that satisfies the constraints, drawn choice by choice.

        Raises:
            EvaluationError: Where none of a thousand does.
        """
        for _ in range(TRIES):
            found = self.net.space.sample(self.rng)
            if self.feasible(found):
                return found
        raise EvaluationError(
            f"None of {TRIES} architectures of the space {self.net.space.name!r} satisfies the constraints, so the supernet has no path to train. Relax them."
        )

    def reward(self, architecture: Architecture, batch: tuple[Tensor, Tensor]) -> float:
        """How well a path does on a batch, with its own statistics: accuracy, or minus the squared error."""
        outputs = self.net(batch[0], architecture).detach().float()
        if self.kind == "classification":
            return float((joined(outputs, batch[1]).argmax(1) == batch[1]).float().mean())
        return -float(self.criterion(outputs, batch[1]))

    def extremes(self) -> tuple[Architecture, Architecture]:
        """The cheapest and the dearest feasible architecture of a few hundred; among these are those of all first, all last, all cheap and all dear options."""
        space, rng = self.net.space, np.random.default_rng([self.seed, 0xE])
        found = [space.fill(lambda _, count: count - 1), space.fill(lambda _, count: 0)]
        costs = self.option_costs()
        for best in (np.argmin, np.argmax):
            found.append(space.fill(lambda address, _, best=best: int(best(costs[address]))))  # type: ignore[misc]
        found += [space.sample(rng) for _ in range(EXTREMES)]
        kept = self._costs(found) or [(self.draw(), 0.0)]
        return min(kept, key=lambda pair: pair[1])[0], max(kept, key=lambda pair: pair[1])[0]

    def _costs(self, architectures: Sequence[Architecture]) -> list[tuple[Architecture, float]]:
        """The feasible ones with what they cost, where that is known."""
        found = []
        for architecture in architectures:
            with contextlib.suppress(ArchwrightError):
                if self.feasible(architecture):
                    found.append((architecture, self.cost(architecture)))
        return found

    def option_costs(self) -> dict[str, list[float]]:
        """What each option of each choice adds to the cost of a network, over the mean cost: 1 for an option of usual cost.

        The effects of a linear model of what random architectures cost, by least squares: exact where costs add up.
        """
        rng = np.random.default_rng([self.seed, 0xC])
        starts, columns = {}, 0
        for address, count in self.net.counts.items():
            starts[address], columns = columns, columns + count
        known = self._costs([self.net.space.sample(rng) for _ in range(max(EXTREMES, 2 * columns))])
        design, costs = np.zeros((len(known), columns)), np.array([cost for _, cost in known])
        for row, (architecture, _) in zip(design, known):
            row[[starts[address] + option for address, option in architecture.choices]] = 1.0
        mean = max(float(costs.mean()), 1e-12) if known else 1.0
        effects = np.linalg.lstsq(design, costs - mean, rcond=None)[0] / mean if known else np.zeros(columns)
        found = {}
        for address, start in starts.items():
            own = effects[start : start + self.net.counts[address]]
            found[address] = (1.0 + own - own.mean()).tolist()
        return found

    def likeliest(self, chances: Mapping[str, NDArray[np.floating[Any]]], count: int = 1) -> list[Architecture]:
        """The most probable architectures that satisfy the constraints."""
        return likeliest(
            self.net.space, self.edges, chances, self.feasible, np.random.default_rng([self.seed, 7]), count
        )

    def split(self, rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row numbers for the shared weights and for the picker; the same in every session."""
        order = np.random.default_rng([self.seed, 0xA1]).permutation(rows)
        count = round(self.picker.held * rows)
        return np.sort(order[count:]), np.sort(order[:count])

    def train(self, x: Tensor, y: Tensor, epochs: int, deadline: float | None = None) -> Iterator[Epoch]:
        """Trains, an epoch for each step of the iterator.

        Args:
            x: Training inputs ``(n, *shape)``.
            y: Targets ``(n,)``.
            epochs: Train until this many are done, counting those before.
            deadline: ``time.monotonic()`` at which to be done, with the schedule at its end.

        Raises:
            EvaluationError: Where the loss is not finite.
        """
        own, held = (torch.from_numpy(rows) for rows in self.split(len(y)))
        batches = Batches(x, self.recipe, channels_last=True)
        seen = held if len(held) else own
        mixed = np.random.default_rng([self.seed, 0xA2]).permutation(len(seen))  # they may be stored class by class
        seen = seen[torch.from_numpy(mixed)]
        self.rows = lambda count: (batches.take(seen[:count]), y.index_select(0, seen[:count]))
        while not self.ended and self.number < epochs:
            begun = time.monotonic()
            loss, rate, done = self._epoch(batches, y, own, held, epochs, deadline)
            now = time.monotonic()
            late = deadline is not None and now + LEAST_PART * (now - begun) >= deadline
            self.ended = late or self.number >= epochs
            self.picker.epoch(self)
            seconds = time.monotonic() - begun
            self.history.append({"epoch": self.number, "loss": loss, "shares": self.picker.shares(self)})
            part = done / steps_of(len(own), self.recipe)
            yield Epoch(self.number, loss, rate, seconds, done, part, self.ended)

    def _epoch(
        self, batches: Batches, y: Tensor, own: Tensor, held: Tensor, epochs: int, deadline: float | None
    ) -> tuple[float, float, int]:
        stream = np.random.SeedSequence([self.seed, self.number + 1])
        self.rng = np.random.default_rng(stream)
        generator = torch.Generator().manual_seed(int(stream.generate_state(1)[0]))
        steps = steps_of(len(own), self.recipe)
        size = len(own) // steps
        order = own[torch.randperm(len(own), generator=generator)]
        others = held[torch.randperm(len(held), generator=generator)] if len(held) else held
        began, start, total, done, rate = self.progress, time.monotonic(), torch.zeros(()), 0, 0.0
        span = (1.0 - began) / (epochs - self.number)
        self.net.train()
        with seeded(int(stream.generate_state(2)[1])):
            for step in range(steps):
                self.progress = began + span * step / steps
                if deadline is not None:
                    spent = (time.monotonic() - start) / max(deadline - start, 1e-9)
                    self.progress = min(1.0, max(self.progress, began + (1.0 - began) * spent))
                rate = self.recipe.rate(self.progress)
                index = order[step * size : (step + 1) * size]
                batch = batches.augment(index, generator), y.index_select(0, index)
                if len(others):
                    at = torch.arange(step * size, (step + 1) * size) % len(others)
                    index = others[at]
                    self.picker.learn(self, batch, (batches.take(index), y.index_select(0, index)))
                total += self.picker.step(self, batch)
                self.optimizer.step(rate)
                done += 1
                late = deadline is not None and time.monotonic() >= deadline
                looks = late or step % CHECK_EVERY == 0 or step == steps - 1
                if looks and not math.isfinite(total.item()):
                    raise EvaluationError(
                        f"The supernet's training diverged after {step + 1:,} steps of epoch {self.number + 1}, at a learning rate of {rate:.3g}. "
                        "Lower it, or share fewer weights."
                    )
                if late:
                    break
        self.number += 1
        self.progress = min(1.0, began + span) if deadline is None else max(self.progress, began + span)
        return float(total) / done, rate, done

    def to_bytes(self) -> bytes:
        """Everything that the training needs to go on, in the safetensors format."""
        tensors = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        tensors |= {f"sgd.{name}": value for name, value in self.optimizer.velocity.items()}
        tensors |= {f"picker.{name}": value for name, value in self.picker.state().items()}
        about = {
            "number": self.number,
            "progress": self.progress,
            "ended": self.ended,
            "history": self.history,
            "layout": self.net.layout(),
        }
        return save(
            {name: value.detach().contiguous() for name, value in tensors.items()}, {"about": json.dumps(about)}
        )

    def load(self, content: bytes) -> None:
        """Takes over what :meth:`to_bytes` gave.

        Raises:
            EvaluationError: Where it is of another supernet or another picker.
        """
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["about"])
        groups: dict[str, dict[str, Tensor]] = {"net": {}, "sgd": {}, "picker": {}}
        for name, value in tensors.items():
            group, _, rest = name.partition(".")
            groups[group][rest] = value
        try:
            self.net.restore(about["layout"])
            self.net.load_state_dict(groups["net"])
            self.picker.load(groups["picker"])
        except (ArchwrightError, RuntimeError, KeyError) as error:
            raise EvaluationError(f"The checkpoint is not one of this supernet with this picker: {error}") from error
        self.optimizer.velocity = groups["sgd"]
        self.number, self.progress, self.ended = about["number"], about["progress"], about["ended"]
        self.history = about["history"]
