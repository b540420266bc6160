"""How good a path is: its network, with batch-norm statistics of its own, on validation rows."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archwright.errors import EvaluationError
from archwright.evaluators.predict import predict
from archwright.evaluators.recipe import Recipe
from archwright.problem import Architecture
from archwright.supernet import Supernet
from archwright.tasks import Split, Splits, metrics

CALIBRATION = 8
"""Training batches from which the statistics of a path are taken."""

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@torch.no_grad()
def calibrate(module: nn.Module, x: Tensor, batch: int) -> None:
    """Takes the statistics of all batch norms afresh from some inputs: those of a supernet are of all paths, and of none.

    Args:
        module: The network; left in evaluation mode.
        x: Training inputs ``(n, *shape)``.
        batch: Rows of a batch.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, _NORMS)]
    module.eval()
    if not norms:
        return
    batch = min(batch, len(x))
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for start in range(0, len(x) - batch + 1, batch):
        module(x[start : start + batch])
    for layer, momentum in zip(norms, kept):
        layer.momentum = momentum
        layer.eval()


def score_path(
    net: Supernet, architecture: Architecture, splits: Splits, recipe: Recipe, valid: Split, rows: NDArray[np.int64]
) -> dict[str, float]:
    """The task's metrics of a path on validation rows.

    Args:
        net: The supernet.
        architecture: The path.
        splits: Training rows for the statistics, and what the task is.
        recipe: Says how large a batch is.
        valid: The rows to measure on.
        rows: Training rows for the statistics.

    Raises:
        EvaluationError: Where the outputs are not finite.
    """
    network = net.extract(architecture).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    calibrate(network, torch.from_numpy(splits.train.x[rows]), recipe.batch_size)
    outputs = predict(network, valid.x)
    if not np.isfinite(outputs).all():
        raise EvaluationError("The outputs of the path with the shared weights are not finite.")
    found = metrics(splits.kind, valid.y, outputs, scale=splits.target_std)
    return {name: value for name, value in found.items() if np.isfinite(value)}
