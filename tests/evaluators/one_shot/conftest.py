from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from archwright.evaluators.one_shot.shared import Shared
from archwright.evaluators.recipe import Recipe
from archwright.problem import Signature
from archwright.space import OUTPUTS, Space, chain, choice, get_space, op
from archwright.supernet import Supernet

RECIPE = Recipe(lr=0.05, schedule="cosine", warmup=0.05, weight_decay=3e-4, clip=5.0, batch_size=16)
CELLS = get_space("nas-bench-201", cells=1, channels=4)
VECTORS = Space(
    chain(
        choice(
            op("dense", width=5, activation="tanh", name="small"),
            op("dense", width=7, activation="tanh", name="large"),
            op("identity", name="skip"),
            name="first",
        ),
        choice(
            op("dense", width=6, activation="tanh", name="tanh"),
            op("dense", width=6, activation="silu", name="silu"),
            name="second",
        ),
        op("linear", width=OUTPUTS),
    ),
    "vectors",
)
"""Choices without batch norm, on vectors of 6 features."""

Rows = tuple[torch.Tensor, torch.Tensor]


def share(picker: Any, space: Space = CELLS, **options: Any) -> Shared:
    """A small supernet with a picker, ready to be trained on what :func:`rows` gives."""
    recipe, kind = options.pop("recipe", RECIPE), options.pop("kind", "classification")
    shape = options.pop("shape", (6,) if space.name == "vectors" else (1, 8, 8))
    signature = Signature((shape,), (1 if kind == "regression" else 3,))
    partial = getattr(picker, "partial", 1)
    net = Supernet(space, signature, seed=1, transforms=picker.transforms, partial=partial)
    return Shared(net, picker, recipe, kind, 3, **options)


def rows(count: int = 48, shape: tuple[int, ...] = (1, 8, 8), kind: str = "classification") -> Rows:
    """Inputs in which the class, or the target, can be seen."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(3, (count,), generator=generator)
    x = torch.randn(count, *shape, generator=generator) + (y - 1).view(-1, *[1] * len(shape))
    return x, y if kind == "classification" else y.float()


@pytest.fixture(name="share")
def share_fixture() -> Callable[..., Shared]:
    return share


@pytest.fixture(name="rows")
def rows_fixture() -> Callable[..., Rows]:
    return rows


@pytest.fixture
def vectors() -> Space:
    return VECTORS


@pytest.fixture
def cells() -> Space:
    return CELLS
