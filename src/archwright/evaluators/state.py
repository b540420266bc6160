"""The state of a training: weights, optimiser, average, and where it stands; as bytes, too."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from archwright.errors import EvaluationError
from archwright.evaluators.numerics import MODES, Mode
from archwright.evaluators.optimizers import Optimizer
from archwright.evaluators.recipe import Recipe

FORMAT = 1


@dataclasses.dataclass
class State:
    """Everything a training needs to go on.

    Attributes:
        module: The network with its last weights.
        optimizer: Its moments.
        recipe: Settings of the training.
        mode: Memory layout and numbers it trains in.
        seed: Of the order of the rows, augmentation and dropout; each epoch has its own stream.
        average: Moving average of all floating-point weights and buffers by name; empty without averaging.
        steps: Optimiser steps so far.
        epoch: Epochs so far.
        progress: Place on the schedule, in [0, 1].
        notes: What is to be known of how it began; JSON values only.
    """

    module: nn.Module
    optimizer: Optimizer
    recipe: Recipe
    mode: Mode
    seed: int
    average: dict[str, Tensor]
    steps: int = 0
    epoch: int = 0
    progress: Fraction = Fraction(0)
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    _present: list[Tensor] = dataclasses.field(default_factory=list, repr=False)
    _means: list[Tensor] = dataclasses.field(default_factory=list, repr=False)

    @classmethod
    def fresh(
        cls, module: nn.Module, recipe: Recipe, mode: Mode, seed: int, notes: dict[str, Any] | None = None
    ) -> State:
        """The state before the first step.

        Args:
            module: The network, freshly initialised.
            recipe: Settings of the training.
            mode: Memory layout and numbers to train in.
            seed: Of the order of the rows, augmentation and dropout.
            notes: What is to be known of how it began.

        Raises:
            EvaluationError: Where a setting is out of its range, or the network has no parameters.
        """
        recipe = recipe.checked()
        average = {name: value.detach().clone() for name, value in _floats(module)} if recipe.average else {}
        return cls(module, Optimizer.of(module, recipe), recipe, mode, seed, average, notes=notes or {})

    def lay_out(self, channels_last: bool) -> None:
        """Brings the network, its moments and its average into a memory layout."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.module.to(memory_format=layout)  # type: ignore[call-overload]
        self.optimizer.lay_out()
        if self.average:
            self._present = [value.detach() for _, value in _floats(self.module)]
            for (name, mean), value in zip(list(self.average.items()), self._present):
                self.average[name] = torch.empty_like(value).copy_(mean)
            self._means = list(self.average.values())

    def update_average(self, horizon: float) -> None:
        """Moves the average towards the present weights; early in a training it follows them more closely.

        Args:
            horizon: Updates after which a weight counts 1/e.
        """
        decay = min(math.exp(-1.0 / horizon), (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._means, self._present, 1.0 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the network has its averaged weights, if there are any."""
        if not self.average:
            yield
            return
        last = [value.clone() for value in self._present]
        try:
            torch._foreach_copy_(self._present, self._means)
            yield
        finally:
            torch._foreach_copy_(self._present, last)

    def weights(self) -> dict[str, Tensor]:
        """The weights to use, as a state dict: the averaged ones if there are any."""
        return {**self.module.state_dict(), **self.average}

    def to_bytes(self) -> bytes:
        """The state in the safetensors format, the rest as its metadata."""
        tensors = {f"weights.{name}": value for name, value in self.module.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= {f"optimizer.{name}": value for name, value in self.optimizer.tensors().items()}
        about = {
            "format": FORMAT,
            "recipe": msgspec.to_builtins(self.recipe),
            "mode": self.mode.name,
            "seed": self.seed,
            "steps": self.steps,
            "epoch": self.epoch,
            "progress": str(self.progress),
            "notes": self.notes,
        }
        copies = {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
        }
        return save(copies, {"archwright": json.dumps(about)})

    @classmethod
    def from_bytes(cls, content: bytes, module: nn.Module) -> State:
        """Loads a state into a network of the same architecture.

        Raises:
            EvaluationError: Where the bytes are no such state, or of another network.
        """
        about, tensors = _read(content)
        try:
            recipe = msgspec.convert(about["recipe"], Recipe)
            module.load_state_dict(_under("weights.", tensors))
            optimizer = Optimizer.of(module, recipe)
            optimizer.load(_under("optimizer.", tensors))
            stored = _under("average.", tensors)
            average = {name: stored[name] for name, _ in _floats(module)} if stored else {}
            state = cls(module, optimizer, recipe, MODES[about["mode"]], about["seed"], average)
            state.steps, state.epoch, state.progress = about["steps"], about["epoch"], Fraction(about["progress"])
            state.notes = about.get("notes", {})
        except (KeyError, ValueError, TypeError, RuntimeError, msgspec.ValidationError) as error:
            raise EvaluationError(
                f"The checkpoint does not fit the network: {error}. Train it from the start: propose it without `resume`."
            ) from error
        return state


def weights_of(content: bytes) -> dict[str, Tensor]:
    """The weights to use from a stored state, as a state dict.

    Raises:
        EvaluationError: Where the bytes are no such state.
    """
    _, tensors = _read(content)
    return _under("weights.", tensors) | _under("average.", tensors)


def as_checkpoint(weights: Mapping[str, Tensor]) -> bytes:
    """Return a state dict as bytes that :func:`weights_of` reads; no training goes on from them."""
    about = {"archwright": json.dumps({"format": FORMAT})}
    return save({f"weights.{name}": value.contiguous() for name, value in weights.items()}, about)


def _floats(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, value) for name, value in module.state_dict(keep_vars=True).items() if value.is_floating_point()]


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _read(content: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        size = int.from_bytes(content[:8], "little")
        about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["archwright"])
        tensors = load(content)
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise EvaluationError(f"Got {len(content):,} bytes that are no checkpoint of a training: {error!r}.") from error
    if about.get("format") != FORMAT:
        raise EvaluationError(
            f"Got a checkpoint of format {about.get('format')}; expected {FORMAT}. It was made by another version of archwright: train from the start."
        )
    return about, tensors
