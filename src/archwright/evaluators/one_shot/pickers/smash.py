"""Weights predicted from the architecture."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from archwright.evaluators.one_shot.picker import Picker
from archwright.graph.module import seeded
from archwright.problem import Architecture

if TYPE_CHECKING:
    from archwright.evaluators.one_shot.shared import Shared
    from archwright.space import Space
    from archwright.supernet.place import Place


class Hypernetwork(nn.Module):
    """Predicts the kernels and matrices of an architecture's network from its choices.

    A layer of its own predicts each tensor, linearly from a code of `rank` numbers: the sum of `rank` tensors, each times a number. Two hidden
    layers make the codes from the one-hot choices.

    Args:
        space: Encodes architectures.
        places: Where weights are shared.
        hidden: Units of the hidden layers.
        rank: Numbers in a code.
        seed: Of the weights.
    """

    def __init__(self, space: Space, places: tuple[Place, ...], hidden: int, rank: int, seed: int) -> None:
        super().__init__()
        self.space, self.rank, self.seed = space, rank, seed
        entries = len(space.encode(space.fill(lambda address, count: 0)))
        with seeded(seed):
            self.body = nn.Sequential(nn.Linear(entries, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
            self.codes = nn.Linear(hidden, rank * len(places))
        nn.init.constant_(self.codes.bias, rank**-0.5)
        self.number = {place.name: index for index, place in enumerate(places)}
        for place in places:
            assert place.block is not None
            for name, parameter in place.block.named_parameters():
                if parameter.dim() > 1:
                    self.register_parameter(self._name(place, name), nn.Parameter(self._fresh(place, name, parameter)))

    @staticmethod
    def _name(place: Place, name: str) -> str:
        return f"{place.name}|{name}".replace(".", "/")

    def _fresh(self, place: Place, name: str, like: Tensor) -> Tensor:
        digest = hashlib.blake2b(f"{self.seed}:{place.name}:{name}".encode(), digest_size=7).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
        return torch.randn(self.rank, *like.shape, generator=generator) * like.detach().std().clamp_min(1e-3)

    def at(self, architecture: Architecture) -> Callable[[Place, str, Tensor], Tensor]:
        """The tensors for an architecture; vectors, and places met since, are as they are learned."""
        given = torch.from_numpy(self.space.encode(architecture))
        codes = self.codes(self.body(given)).view(-1, self.rank)

        def tensor(place: Place, name: str, own: Tensor) -> Tensor:
            bases = self._parameters.get(self._name(place, name))
            if bases is None or bases.shape[1:] != own.shape:
                return own
            made: Tensor = torch.tensordot(codes[self.number[place.name]], bases, 1)
            return made

        return tensor


@dataclasses.dataclass(eq=False)
class Smash(Picker):
    """Random paths on weights that a hypernetwork predicts from the architecture (SMASH: Brock et al. 2018, arXiv 1708.05344).

    Attributes:
        hidden: Units of the hypernetwork's hidden layers.
        rank: Numbers from which it predicts a tensor.
    """

    hidden: int = 64
    rank: int = 4

    def begin(self, shared: Shared) -> None:
        """Puts the hypernetwork into the supernet, whose optimiser trains it."""
        hyper = Hypernetwork(shared.net.space, shared.net.places, self.hidden, self.rank, shared.seed)
        shared.net.generate_by(hyper)
