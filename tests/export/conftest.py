from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from archwright.export import Exported, export
from archwright.graph.graph import Graph
from archwright.graph.module import build
from archwright.space import OUTPUTS, Expression, Space, chain, op, parallel
from archwright.tasks import Task, load_task

torch.set_num_threads(1)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network with weights whose batch norms have seen data."""

    graph: Graph
    state: dict[str, torch.Tensor]
    task: Task


def train(expression: Expression, task: Task, seed: int = 0) -> Trained:
    """Builds the only network of an expression and runs a few training batches through it."""
    space = Space(expression, "one")
    graph = space.graph(space.sample(np.random.default_rng(0)), task.signature)
    network = build(graph, seed)
    network.train()
    with torch.no_grad():
        for start in (0, 32, 64):
            network(torch.from_numpy(task.train.x[start : start + 32].copy()))
    return Trained(graph, network.state_dict(), task)


@pytest.fixture(scope="session")
def digits() -> Task:
    return load_task("digits")


@pytest.fixture(scope="session")
def trained(digits: Task) -> Trained:
    """A small network with two branches."""
    body = parallel(op("conv_bn_relu", width=8), op("max_pool"), merge="concat")
    return train(chain(body, op("sep_conv_bn", width=8), op("global_avg_pool"), op("linear", width=OUTPUTS)), digits)


@pytest.fixture(scope="session")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A full export, made once."""
    folder = tmp_path_factory.mktemp("export") / "out"
    card = {
        "run": "evening",
        "trial": 17,
        "seed": 3,
        "command": "archwright search digits --budget 2m",
        "choices": {"width": "8"},
        "valid": {"accuracy": 0.5},
    }
    return export(folder, graph=trained.graph, state=trained.state, task=trained.task, card=card)


@pytest.fixture
def copy(exported: Exported, tmp_path: Path) -> Path:
    """A copy of the export to damage."""
    import shutil

    return Path(shutil.copytree(exported.folder, tmp_path / "copy"))
