from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from archwright.graph.module import seeded
from archwright.problem import Fidelity, Objective, Problem, Signature
from archwright.space import OUTPUTS, Space, chain, choice, op
from archwright.tasks import Task, load_task

torch.set_num_threads(1)

CONV = op("conv_bn_relu", width=choice(4, 8), kernel=choice(1, 3))
IMAGES = Space(
    chain(CONV, op("conv_bn_relu", width=8, stride=2), op("global_avg_pool"), op("linear", width=OUTPUTS)),
    "tiny-images",
)
ROWS = Space(chain(op("dense", width=choice(8, 16), dropout=0.1), op("linear", width=OUTPUTS)), "tiny-rows")


@pytest.fixture(scope="session")
def digits() -> Task:
    return load_task("digits")


@pytest.fixture(scope="session")
def folder(digits: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits.store(tmp_path_factory.mktemp("digits"))


@pytest.fixture
def problem(digits: Task) -> Problem:
    return Problem(IMAGES, digits.signature, (Objective("accuracy"),), fidelity=Fidelity(4))


@pytest.fixture
def rows_problem() -> Problem:
    return Problem(ROWS, Signature(((10,),), (1,)), (Objective("r2"),), fidelity=Fidelity(2))


def small_net(seed: int = 0, channels: int = 1, outputs: int = 3, dropout: float = 0.0) -> nn.Module:
    with seeded(seed):
        return nn.Sequential(
            nn.Conv2d(channels, 8, 3, 1, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(32, outputs),
        )


@pytest.fixture
def net():
    return small_net


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.normal(size=(48, 1, 6, 6)).astype(np.float32)), torch.from_numpy(
        rng.integers(3, size=48)
    )
