"""The sizes of pictures during a training: smaller ones first, if the network takes them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from archwright.evaluators.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Which size pictures have when.

    Attributes:
        recipe: Says how they are shrunk.
        shape: Height and width of the pictures; ``None`` if they are never shrunk.
    """

    recipe: Recipe
    shape: tuple[int, int] | None = None

    @classmethod
    def of(cls, module: nn.Module, x: Tensor, recipe: Recipe) -> Sizes:
        """Return the sizes for a network; the full one throughout if it does not take pictures of each.

        A network whose layers were made for one size (positions of patches, dense layers on a map) is tried and found
        out by its outputs.

        Args:
            module: The network.
            x: Its inputs.
            recipe: Of the training.
        """
        if not recipe.small or x.dim() != 4:
            return cls(recipe)
        height, width = x.shape[2:]
        sizes = cls(recipe, (height, width))
        shrunk = {sizes.at(until - 1e-9) for until, _ in recipe.small} - {None}
        return sizes if shrunk and all(_takes(module, x[:1], size) for size in shrunk) else cls(recipe)

    def at(self, place: float) -> tuple[int, int] | None:
        """Return the height and width at a place on the schedule; ``None`` for the full size."""
        if self.shape is None:
            return None
        found = self.recipe.side(place, self.shape[0]), self.recipe.side(place, self.shape[1])
        return None if found == self.shape else found


def _takes(module: nn.Module, sample: Tensor, size: tuple[int, int] | None) -> bool:
    """Whether outputs for a picture of another size have the shape of those for its own."""
    assert size is not None
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            own = module(sample).shape
            try:
                shrunk = module(sample.new_zeros(*sample.shape[:2], *size)).shape
            except Exception:  # a user's module may refuse a size by any error; those at its own size are raised
                return False
            return bool(shrunk == own)
    finally:
        module.train(training)
