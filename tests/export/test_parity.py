"""Exports of many kinds of networks agree with their originals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archwright.export import export
from archwright.graph.module import build
from archwright.space import get_space
from archwright.tasks import load_task

CASES = [
    ("digits", "cnn", 0),
    ("digits", "cnn", 4),
    ("digits", "nas-bench-201", 1),
    ("digits", "layers", 2),
    ("digits", "enas-macro", 1),
    ("digits", "memory-bank", 0),
    ("digits", "mobilenet", 2),
    ("digits", "vit", 3),
    ("wine", "mlp", 3),
    ("diabetes", "mlp", 0),
]


@pytest.mark.slow
@pytest.mark.parametrize(("data", "name", "seed"), CASES)
def test_parity(data: str, name: str, seed: int, tmp_path: Path) -> None:
    task, space = load_task(data), get_space(name)
    graph = space.graph(space.sample(np.random.default_rng(seed)), task.signature)
    found = export(tmp_path / "out", graph=graph, state=build(graph, seed).state_dict(), task=task)
    assert found.checks is not None
    assert len(found.checks.differences) == 3
    assert max(found.checks.differences.values()) <= 1e-4
