"""Mini-batches as index selections of one tensor; augmentation as arithmetic on the indices, one gather for a whole batch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from archwright.evaluators.recipe import Recipe


class Batches:
    """A data set in memory, as it is and not copied, that hands out batches by row numbers.

    Args:
        x: Inputs ``(n, C, H, W)`` or ``(n, ...)``, float32.
        recipe: Says how images are augmented.
        channels_last: Whether batches of images come in the channels-last memory format.
    """

    def __init__(self, x: Tensor, recipe: Recipe, channels_last: bool) -> None:
        self.rows, self.recipe = x.contiguous(), recipe
        image = x.dim() == 4
        self.channels_last = channels_last and image
        self.augmented = image and bool(recipe.flip or recipe.crop or recipe.cutout)

    def take(self, index: Tensor) -> Tensor:
        """The rows as they are."""
        batch = self.rows.index_select(0, index)
        if not self.channels_last:
            return batch
        if batch.shape[1] == 1:
            return batch.view(len(batch), *batch.shape[2:], 1).permute(0, 3, 1, 2)
        return batch.contiguous(memory_format=torch.channels_last)

    def augment(self, index: Tensor, generator: torch.Generator, shrunk: tuple[int, int] | None = None) -> Tensor:
        """The rows, each mirrored, shifted and cut out at random.

        Args:
            index: Row numbers.
            generator: Of the augmentation.
            shrunk: Height and width to shrink the images to; ``None`` leaves them as they are.
        """
        batch = self._augmented(index, generator) if self.augmented else self.take(index)
        if shrunk is None:
            return batch
        batch = functional.interpolate(batch, size=shrunk, mode="bilinear", antialias=True)
        return batch.contiguous(memory_format=torch.channels_last) if self.channels_last else batch

    def _augmented(self, index: Tensor, generator: torch.Generator) -> Tensor:
        channels, height, width = self.rows.shape[1:]
        area = height * width
        pixels = positions(len(index), height, width, self.recipe.flip, self.recipe.crop, generator)
        pixels = pixels + (index * (channels * area)).view(-1, 1, 1)
        last = 3 if self.channels_last else 1
        planes = (torch.arange(channels) * area).view([-1 if axis == last else 1 for axis in range(4)])
        places = pixels.unsqueeze(last) + planes
        batch = self.rows.view(-1).index_select(0, places.flatten()).view(places.shape)
        if self.recipe.cutout:
            batch.masked_fill_(holes(len(index), height, width, self.recipe.cutout, generator).unsqueeze(last), 0.0)
        return batch.permute(0, 3, 1, 2) if self.channels_last else batch


def positions(count: int, height: int, width: int, flip: bool, crop: int, generator: torch.Generator) -> Tensor:
    """For each pixel of each augmented image the pixel of the original it shows, ``(count, height, width)``, row-major numbers."""
    rows, columns = torch.arange(height).view(1, -1), torch.arange(width).view(1, -1)
    if crop:
        shift = torch.randint(-crop, crop + 1, (2, count, 1), generator=generator)
        rows, columns = _reflected(rows + shift[0], height), _reflected(columns + shift[1], width)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    return ((rows * width).unsqueeze(2) + columns.unsqueeze(1)).expand(count, height, width)


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places along a side, those beyond its ends mirrored at them."""
    return (size - 1 - (size - 1 - places.abs()).abs()).clamp_(0, size - 1)


def holes(count: int, height: int, width: int, side: int, generator: torch.Generator) -> Tensor:
    """Mask ``(count, height, width)`` of one square for each image, its centre anywhere in the image."""
    centre = torch.rand(2, count, 1, generator=generator)
    top, left = ((centre * torch.tensor([height, width]).view(2, 1, 1)).floor() - side // 2).unbind()
    row, column = torch.arange(height).view(1, -1), torch.arange(width).view(1, -1)
    inside_rows, inside_columns = (row >= top) & (row < top + side), (column >= left) & (column < left + side)
    return inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)


def share_of(y: NDArray[np.generic], kind: str, share: float, seed: int) -> NDArray[np.int64]:
    """Row numbers of a fixed share of the data: every class in its proportion, and a smaller share within every larger one.

    Args:
        y: Targets, ``(n,)``; or ``(n, steps)`` of a text, which has no classes of rows.
        kind: ``"classification"`` or ``"regression"``.
        share: Fraction in (0, 1].
        seed: Of the order in which rows are taken.
    """
    if share >= 1.0:
        return np.arange(len(y))
    rng = np.random.default_rng([seed, len(y)])
    place = np.empty(len(y))
    groups = (
        [np.flatnonzero(y == label) for label in np.unique(y)]
        if kind == "classification" and y.ndim == 1
        else [np.arange(len(y))]
    )
    for rows in groups:
        place[rng.permutation(rows)] = (np.arange(len(rows)) + rng.random()) / len(rows)
    count = min(len(y), max(2, len(groups), round(share * len(y))))
    return np.sort(np.argsort(place, kind="stable")[:count]).astype(np.int64)
