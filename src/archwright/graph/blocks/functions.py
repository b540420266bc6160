"""Operations without weights that are plain functions."""

from __future__ import annotations

import math
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor


def add(*xs: Tensor) -> Tensor:
    """The sum."""
    return reduce(torch.add, xs)


def mul(*xs: Tensor) -> Tensor:
    """The product."""
    return reduce(torch.mul, xs)


def mean(*xs: Tensor) -> Tensor:
    """The mean."""
    return reduce(torch.add, xs) / len(xs)


def concat(*xs: Tensor) -> Tensor:
    """Channels side by side."""
    return torch.cat(xs, 1)


def ensemble_mean(*xs: Tensor, weights: tuple[float, ...], logits: bool) -> Tensor:
    """The weighted mean of predictions; of logits, the logarithm of their mean probabilities."""
    if not logits:
        return reduce(torch.add, [weight * x for weight, x in zip(weights, xs, strict=True)])
    parts = [F.log_softmax(x, 1) + math.log(weight) for weight, x in zip(weights, xs, strict=True)]
    return torch.logsumexp(torch.stack(parts), 0)


def zeros(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Zeros of this shape, one for each row of x."""
    return x.new_zeros(x.shape[0], *shape)


def global_avg_pool(x: Tensor) -> Tensor:
    """The mean over the map."""
    return x.mean((2, 3))


def global_max_pool(x: Tensor) -> Tensor:
    """The maximum over the map."""
    return x.amax((2, 3))


def pad_to(x: Tensor, height: int, width: int) -> Tensor:
    """Zero-pads the map to (height, width), centred."""
    rows, columns = height - x.shape[2], width - x.shape[3]
    return F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))


def mean_tokens(x: Tensor) -> Tensor:
    """Mean over tokens."""
    return x.mean(2)


def expand(x: Tensor, height: int, width: int) -> Tensor:
    """A vector at every position of a map."""
    return x[:, :, None, None].expand(-1, -1, height, width)
