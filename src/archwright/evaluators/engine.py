"""The training engine: one loop for trials and for the final training, on any module and tensors.

A training has a schedule and a progress along it, from 0 to 1. A fidelity is a point on the schedule of the full fidelity: a trial of a third
of the epochs runs its first third, and continuing it from there is, bit for bit, the same as never having stopped. What makes such an unfinished
training comparable is the moving average of the weights, which is measured in place of the last weights.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from archwright.errors import EvaluationError
from archwright.evaluators.batches import Batches
from archwright.evaluators.predict import predict
from archwright.evaluators.recipe import Recipe
from archwright.evaluators.schedule import ByClock, BySteps, Schedule
from archwright.evaluators.sizes import Sizes
from archwright.evaluators.state import State
from archwright.graph.module import seeded

CHECK_EVERY = 20
"""Steps between two looks at the loss."""
TIMED = 128
"""Validation rows by which the outputs for all of them are timed."""
AVERAGE_EVERY = 4
"""Steps between two updates of the moving average of the weights, after the first few."""


Loss = Callable[[Tensor, Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Epoch:
    """What is known after an epoch.

    Attributes:
        number: Epochs trained so far, counting those of a resumed state.
        loss: Mean training loss of the epoch.
        rate: Learning rate of its last step.
        outputs: Outputs for the validation inputs, ``(n, outputs)`` float32; ``None`` without any.
        training: Seconds of its training steps.
        predicting: Seconds that the outputs for the validation inputs took.
        last: Whether this is the last one: the target is reached or the time is over.
        state: Everything a continuation needs; valid until the next epoch begins.
    """

    number: int
    loss: float
    rate: float
    outputs: NDArray[np.float32] | None
    training: float
    predicting: float
    last: bool
    state: State


def fit(
    state: State,
    x: Tensor,
    y: Tensor,
    *,
    kind: str,
    epochs: int,
    valid: Tensor | None = None,
    last: Tensor | None = None,
    target: Fraction = Fraction(1),
    deadline: float | None = None,
) -> Iterator[Epoch]:
    """Trains a network, an epoch for each step of the iterator.

    When the iterator ends or is closed, the module holds the weights to use (the averaged ones, if the recipe averages), in evaluation mode and
    in the contiguous layout.

    Args:
        state: The network and how it is trained: ``State.fresh(module, recipe, mode, seed)``, or ``State.from_bytes`` to go on. Changed in place.
        x: Training inputs, float32 ``(n, *shape)``.
        y: Targets ``(n,)``: int64 classes or float32 values; of a text classes ``(n, steps)``.
        kind: ``"classification"`` (cross entropy) or ``"regression"`` (squared error).
        epochs: Train until this many are done, counting those before; with a deadline at most so many.
        valid: Validation inputs, for which the outputs are computed after each epoch.
        last: Those after the last of the `epochs`, where they are others and there is no deadline.
        target: Where on the schedule to be at the end.
        deadline: ``time.monotonic()`` at which to be done. The learning rate then goes by the clock, so that it has
            decayed when the time is over; an epoch that runs over is cut short.

    Raises:
        EvaluationError: Where the loss is not finite, or nothing is left to train.
    """
    if deadline is None and state.epoch >= epochs:
        raise EvaluationError(f"Got {epochs} epochs for a network already trained for {state.epoch}; expected more.")
    module = state.module
    state.lay_out(state.mode.channels_last)
    batches = Batches(x, state.recipe, state.mode.channels_last)
    loss_of = criterion(kind, state.recipe)
    sizes = Sizes.of(module, x, state.recipe)
    schedule: Schedule
    if deadline is None:
        schedule = BySteps(state.progress, target, state.epoch, epochs)
    else:
        end = deadline - _predicting(state, valid)
        schedule = ByClock(state.progress, end, state.epoch, epochs)
    try:
        while True:
            begun = time.monotonic()
            loss = _epoch(state, batches, y, loss_of, schedule, sizes)
            trained = time.monotonic()
            ends = schedule.ends(state.epoch)
            inputs = last if ends and last is not None and deadline is None else valid
            with state.averaged():
                outputs = None if inputs is None else predict(module, inputs, state.mode)
            predicted = time.monotonic() - trained
            rate = state.recipe.rate(float(state.progress))
            yield Epoch(state.epoch, loss, rate, outputs, trained - begun, predicted, ends, state)
            if ends:
                break
    finally:
        module.load_state_dict(state.weights())
        state.lay_out(False)
        module.eval()


def _predicting(state: State, valid: Tensor | None) -> float:
    """Return the seconds that outputs for the validation inputs will take, from some of them."""
    if valid is None or not len(valid):
        return 0.0
    rows = valid[:TIMED]
    predict(state.module, rows, state.mode)
    begun = time.monotonic()
    predict(state.module, rows, state.mode)
    return (time.monotonic() - begun) * len(valid) / len(rows)


def criterion(kind: str, recipe: Recipe) -> Loss:
    """The loss of a kind of task: outputs and targets to a scalar.

    Outputs of an ensemble in training have the members last; the loss is the mean of theirs.
    """
    if kind == "classification":
        return lambda outputs, y: functional.cross_entropy(
            outputs, _for_members(outputs, y), label_smoothing=recipe.label_smoothing
        )
    return lambda outputs, y: functional.mse_loss((rows := outputs.reshape(len(y), -1)), y[:, None].expand_as(rows))


def _for_members(outputs: Tensor, y: Tensor) -> Tensor:
    """The targets, once for each member of an ensemble."""
    return y[:, None].expand(-1, outputs.shape[2]) if outputs.dim() == y.dim() + 2 else y


def joined(outputs: Tensor, y: Tensor) -> Tensor:
    """Outputs as in evaluation; an ensemble in training gives those of each member."""
    if outputs.dim() < y.dim() + 2:
        return outputs
    if y.is_floating_point():
        return outputs.mean(2)
    return outputs.log_softmax(1).logsumexp(2) - math.log(outputs.shape[2])


def steps_of(rows: int, recipe: Recipe) -> int:
    """Steps in an epoch. Batches have equal sizes, at most half again as large as the recipe's; the few rows left over change every epoch."""
    return max(1, round(rows / recipe.batch_size))


def _epoch(state: State, batches: Batches, y: Tensor, loss_of: Loss, schedule: Schedule, sizes: Sizes) -> float:
    """Train for an epoch, or for what there is time for of it; return the mean loss."""
    module, optimizer, recipe = state.module.train(), state.optimizer, state.recipe
    steps = steps_of(len(y), recipe)
    size = len(y) // steps
    horizon = max(1.0, recipe.average * steps / AVERAGE_EVERY)
    stream = int(np.random.SeedSequence([state.seed, state.epoch]).generate_state(1)[0])
    generator = torch.Generator().manual_seed(stream)
    order = torch.randperm(len(y), generator=generator)
    total, done = torch.zeros(()), 0
    with seeded(stream):
        for step in range(steps):
            index = order[step * size : (step + 1) * size]
            place = schedule.place(state.epoch, step / steps)
            rate = recipe.rate(place)
            with state.mode.cast():
                outputs = module(batches.augment(index, generator, sizes.at(place)))
            loss = loss_of(outputs.float(), y.index_select(0, index))
            loss.backward()  # type: ignore[no-untyped-call]
            if recipe.clip is not None:
                nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
            optimizer.step(rate)
            state.steps += 1
            if recipe.average and (state.steps % AVERAGE_EVERY == 0 or state.steps < AVERAGE_EVERY):
                state.update_average(horizon)
            total += loss.detach()
            done += 1
            late = schedule.late()
            if (late or step % CHECK_EVERY == 0 or step == steps - 1) and not math.isfinite(total.item()):
                raise EvaluationError(
                    f"The training diverged: the loss is {loss.item()} after {state.steps:,} steps at a learning rate of {rate:.3g}."
                )
            if late:
                break
    state.epoch += 1
    state.progress = schedule.after(state.epoch)
    return float(total) / done
