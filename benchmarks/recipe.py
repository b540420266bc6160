"""Trains references under variants of the recipe for a given time, and prints what decides the defaults.

    python benchmarks/recipe.py --data fashion-mnist photos50 --seconds 60 180 --threads 1

Each row is a variant, each column a data set and a time; the numbers are the first objective on validation rows, mean
over the seeds. The clock of a training stands still in nothing: it ends after the seconds given, its learning rate
decayed. ``--curves FILE`` appends every learning curve as a line of JSON, for ``benchmarks/calibration.py``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import torch

from archwright.evaluators import Recipe, State, fit
from archwright.evaluators.numerics import rule
from archwright.evaluators.recipe import default_recipe
from archwright.evaluators.threads import using_threads
from archwright.graph.module import build, calibrate
from archwright.problem.final import show
from archwright.space import get_space
from archwright.tasks import Task, load_task, metrics

VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    "batch 64": {"batch_size": 64},
    "batch 256": {"batch_size": 256},
    "half the rate": {"lr": 0.5},
    "twice the rate": {"lr": 2.0},
    "warm-up 5%": {"warmup": 0.05},
    "cosine": {"schedule": "cosine"},
    "no augmentation": {"flip": False, "crop": 0},
    "cutout 8": {"cutout": 8},
    "no smoothing": {"label_smoothing": 0.0},
    "smoothing 0.2": {"label_smoothing": 0.2},
    "no averaging": {"average": 0.0},
    "averaging 2 epochs": {"average": 2.0},
    "full size throughout": {"small": ()},
    "sgd": {"optimizer": "sgd", "lr": None},
    "adamw": {"optimizer": "adamw", "lr": 3e-3, "weight_decay": 0.05},
    "muon": {"optimizer": "muon", "lr": 0.24},
}
"""Changes of the default recipe; a rate of the default's optimiser is a factor of its own."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A training: its value on validation rows, and its curve of ``(epochs, place on the schedule, value)``."""

    value: float
    curve: tuple[tuple[int, float, float], ...]


def recipe_of(task: Task, changes: Mapping[str, Any]) -> Recipe:
    """Return the default recipe of a long training with some changes."""
    default = default_recipe(task, len(task.train), epochs=60)
    made = dict(changes)
    if "lr" in made and "optimizer" not in made:
        made["lr"] *= default.lr
    if made.get("lr", 0.0) is None:
        made["lr"] = 0.2
    return msgspec.structs.replace(default, **made)


def train(task: Task, name: str, changes: Mapping[str, Any], seconds: float, threads: int, seed: int) -> Run:
    """Train a reference of the task's space for some seconds."""
    space = get_space(task.default_space)
    graph = space.graph(space.references[name], task.signature)
    x, y = torch.from_numpy(task.train.x), torch.from_numpy(task.train.y)
    recipe, module, curve = recipe_of(task, changes), build(graph, seed), []
    begun = time.monotonic()
    with using_threads(threads):
        calibrate(module, x[:: max(1, len(x) // 5000)])
        state = State.fresh(module, recipe, rule(module, x[:1], recipe.batch_size), seed)
        valid = torch.from_numpy(task.valid.x)
        for epoch in fit(state, x, y, kind=task.kind, epochs=10**6, valid=valid, deadline=begun + seconds):
            assert epoch.outputs is not None
            found = metrics(task.kind, task.valid.y, epoch.outputs, scale=task.target_std)
            curve.append((epoch.number, float(state.progress), found[task.objective]))
    return Run(curve[-1][2], tuple(curve))


def runs(options: argparse.Namespace) -> Iterator[tuple[str, str, str, float, list[Run]]]:
    """Train everything that was asked for."""
    for source in options.data:
        task = load_task(options.sources.get(source, source))
        references = list(get_space(task.default_space).references)
        for name in options.references or references[:1]:
            for seconds in options.seconds:
                for variant in options.variants or VARIANTS:
                    args = (task, name, VARIANTS[variant], seconds, options.threads)
                    yield source, name, variant, seconds, [train(*args, seed) for seed in range(options.seeds)]


def main() -> None:
    """Run the variants and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["fashion-mnist"], help="names or paths of data sets")
    parser.add_argument("--references", nargs="+", help="of the data's default space; default: its first")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), help="default: all")
    parser.add_argument("--seconds", nargs="+", type=float, default=[60.0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--curves", type=Path, help="file to append the learning curves to")
    options = parser.parse_args()
    shared = Path(__file__).parents[2] / "shared/data/tasks"
    options.sources = {"photos50": shared / "photos50_32x32.npz", "pneumonia": shared / "pneumoniamnist_rebuilt.npz"}
    for source, name, variant, seconds, found in runs(options):
        mean = statistics.fmean(run.value for run in found)
        epochs = statistics.fmean(run.curve[-1][0] for run in found)
        print(
            f"{source:16} {name:16} {seconds:6.0f} s  {variant:22} {show('accuracy', mean)}  {epochs:.0f} epochs",
            flush=True,
        )
        if options.curves:
            with options.curves.open("a") as file:
                for run in found:
                    record = {"data": source, "network": name, "seconds": seconds, "variant": variant}
                    file.write(json.dumps(record | {"curve": run.curve}) + "\n")


if __name__ == "__main__":
    main()
