"""Exports of many kinds of networks agree with their originals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from archwright.export import export
from archwright.graph.module import build, calibrate
from archwright.space import get_space
from archwright.tasks import Task, load_task

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
    ("text", "rnn-cell", 0),
]


def load(data: str, folder: Path) -> Task:
    """A built-in data set, or a short text with symbols of all kinds."""
    if data != "text":
        return load_task(data)
    path = folder / "text.txt"
    path.write_text(
        "Zwölf Boxkämpfer jagen Viktor\n\tquer über den großen Sylter Deich, 1 2 3 4 5!\n" * 40 + "Ende." * 20
    )
    return load_task(path)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["wine", "diabetes"])
@pytest.mark.parametrize("name", get_space("mlp").references)
def test_parity_of_references_for_tables(data: str, name: str, tmp_path: Path) -> None:
    task, space = load_task(data), get_space("mlp")
    module = build(graph := space.graph(space.references[name], task.signature), 0)
    calibrate(module, torch.from_numpy(task.train.x))
    found = export(tmp_path / "out", graph=graph, state=module.state_dict(), task=task)
    assert found.checks is not None
    assert max(found.checks.differences.values()) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("data", "name", "seed"), CASES)
def test_parity(data: str, name: str, seed: int, tmp_path: Path) -> None:
    task, space = load(data, tmp_path), get_space(name)
    graph = space.graph(space.sample(np.random.default_rng(seed)), task.signature)
    found = export(tmp_path / "out", graph=graph, state=build(graph, seed).state_dict(), task=task)
    assert found.checks is not None
    assert len(found.checks.differences) == 3
    assert max(found.checks.differences.values()) <= 1e-4
