"""The contract of spaces finds spaces that break it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from archwright.errors import ArchitectureError
from archwright.problem import Architecture, Signature
from archwright.space import OUTPUTS, Space, chain, choice, op
from archwright.testing.space import check_space

SIGNATURE = Signature(((4,),), (2,))
EXPRESSION = chain(op("dense", width=choice(2, 3, 4)), choice(op("relu"), op("tanh")), op("linear", width=OUTPUTS))


class SameMutation(Space):
    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        return architecture


class ForeignCrossover(Space):
    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        return Architecture((("elsewhere", 0),))


class OwnNeighbour(Space):
    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        yield architecture


class ForgetfulDecode(Space):
    def decode(self, vector: np.ndarray) -> Architecture:
        return next(self.architectures())


class HiddenRandomness(Space):
    def sample(self, rng: np.random.Generator, uniform: bool = False) -> Architecture:
        return super().sample(np.random.default_rng())


class OtherSignature(Space):
    def graph(self, architecture: Architecture, signature: Signature) -> Any:
        return super().graph(architecture, Signature(signature.inputs, (7,)))


class SilentDescription(Space):
    def describe(self, architecture: Architecture) -> tuple[tuple[str, str], ...]:
        return ()


def test_a_good_space_passes() -> None:
    check_space(Space(EXPRESSION), SIGNATURE, other_process=False)


@pytest.mark.parametrize(
    ("cls", "said"),
    [
        (SameMutation, "changed nothing"),
        (ForeignCrossover, "crossed with itself|elsewhere"),
        (OwnNeighbour, "its own neighbour"),
        (ForgetfulDecode, "is another"),
        (HiddenRandomness, "different architectures"),
        (OtherSignature, "outputs of shapes"),
        (SilentDescription, "does not tell the choices"),
    ],
)
def test_a_broken_space_fails(cls: type[Space], said: str) -> None:
    with pytest.raises((AssertionError, ArchitectureError), match=said):
        check_space(cls(EXPRESSION), SIGNATURE, range(12), other_process=False)
