"""What training a supernet takes, before it begins: memory and seconds of a step."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archwright.errors import EvaluationError, SupernetError
from archwright.evaluators.batches import Batches
from archwright.evaluators.one_shot.evaluator import OneShot
from archwright.evaluators.one_shot.shared import Shared
from archwright.evaluators.threads import using_threads
from archwright.space import Space
from archwright.supernet import Supernet
from archwright.tasks import Task
from archwright.tasks.checks import available_bytes

STEPS = 3
"""Steps that are tried, each with other paths."""


def forecast(space: Any, task: Task, evaluator: OneShot, seed: int) -> dict[str, Any]:
    """Parameters, bytes and seconds of a training step of a supernet, from a few steps on parts of a batch.

    The bytes are those of weights, gradients and momentum (12 a parameter) and of what is kept for the backward pass, which grows linearly with the
    batch.

    Args:
        space: What is searched.
        task: The data.
        evaluator: Says which picker, and how large a batch.
        seed: Of the supernet.

    Returns:
        ``parameters``, ``bytes``, ``step`` (seconds) and ``batch``.

    Raises:
        SupernetError: Where the space is no expression, nothing in it is chosen, or its options cannot be mixed as the picker does.
        EvaluationError: Where there is not as much memory.
    """
    if not isinstance(space, Space):
        raise SupernetError(
            f"The space {space.name!r} is no expression; weights are shared among the networks of an archwright.Space."
        )
    picker = evaluator.make_picker()
    recipe = evaluator.recipe(len(task.train), task.modality)
    net = Supernet(space, task.signature, seed=seed, transforms=picker.transforms, partial=picker.partial)
    shared = Shared(net, picker, recipe, task.kind, seed)
    y = torch.from_numpy(task.train.y[: recipe.batch_size])
    x = Batches(torch.from_numpy(task.train.x), recipe, channels_last=True).take(torch.arange(len(y)))
    with using_threads(1):
        kept, seconds = predicted(shared, (x, y))
    parameters = sum(parameter.numel() for parameter in net.parameters())
    needed = 12 * parameters + kept
    available = available_bytes()
    if needed > available:
        raise EvaluationError(
            f"The supernet of the space {space.name!r} is too large: a step of the picker {evaluator.picker!r} in batches of {len(x)} needs about "
            f"{needed / 1e9:.2f} GB ({parameters:,} parameters); {available / 1e9:.2f} GB are free. "
            "Use a picker of single paths such as 'uniform' or 'gdas', smaller batches ('uniform(batch_size=32)'), or a smaller space."
        )
    return {"parameters": parameters, "bytes": needed, "step": round(seconds, 4), "batch": len(x)}


def predicted(shared: Shared, batch: tuple[Tensor, Tensor]) -> tuple[int, float]:
    """The bytes that a training step on a batch keeps for its backward pass and its seconds, from steps on an eighth and a quarter of it: they grow linearly."""
    rows = len(batch[0])
    sizes = max(2, rows // 8), max(4, rows // 4)
    few, more = (taken(shared, (batch[0][:size], batch[1][:size])) for size in sizes)
    kept, seconds = (
        max(b, a + (b - a) * (rows - sizes[0]) / (sizes[1] - sizes[0])) for a, b in zip(few, more, strict=True)
    )
    return round(kept), seconds


def taken(shared: Shared, batch: tuple[Tensor, Tensor]) -> tuple[int, float]:
    """What a few training steps take: the most bytes that a forward pass keeps for its backward pass, weights aside, and the mean seconds of all but the first."""
    own = {parameter.untyped_storage().data_ptr() for parameter in shared.net.parameters()}
    kept: dict[int, int] = {}
    most, begun = 0, 0.0

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def begin(*_: Any) -> None:
        nonlocal most
        most = max(most, sum(kept.values()))
        kept.clear()

    handle = shared.net.register_forward_pre_hook(begin)
    shared.rng = np.random.default_rng([shared.seed, 0xF])
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            for step in range(STEPS):
                if step == 1:
                    begun = time.perf_counter()
                shared.picker.step(shared, batch)
        seconds = (time.perf_counter() - begun) / (STEPS - 1)
    finally:
        handle.remove()
        begin()
        for parameter in shared.net.parameters():
            parameter.grad = None
    return most, seconds
