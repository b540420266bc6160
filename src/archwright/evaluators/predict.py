"""Outputs of a network for many inputs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archwright.evaluators.numerics import FP32, Mode

ROWS = 64
"""Rows of a batch without gradients: few, so that activations stay in the caches."""


def predict(module: nn.Module, x: Tensor | NDArray[np.float32], mode: Mode = FP32) -> NDArray[np.float32]:
    """Outputs in evaluation mode, ``(n, outputs)`` float32. The network's mode (training or not) is left as it was.

    Args:
        module: The network.
        x: Inputs ``(n, *shape)``.
        mode: Memory layout and numbers; by default float32 as the data lies.
    """
    inputs = torch.from_numpy(np.ascontiguousarray(x)) if isinstance(x, np.ndarray) else x
    device = next((parameter.device for parameter in module.parameters()), inputs.device)
    training = module.training
    module.eval()
    try:
        with torch.inference_mode(), mode.cast():
            parts = [
                module(_laid_out(inputs[start : start + ROWS].to(device), mode)).float()
                for start in range(0, len(inputs), ROWS)
            ]
    finally:
        module.train(training)
    return torch.cat(parts).cpu().numpy()


def _laid_out(batch: Tensor, mode: Mode) -> Tensor:
    return batch.contiguous(memory_format=torch.channels_last) if mode.channels_last and batch.dim() == 4 else batch
