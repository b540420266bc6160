"""How long an epoch takes, from a few steps."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import torch

from archwright.evaluators.batches import Batches
from archwright.evaluators.engine import criterion, steps_of
from archwright.evaluators.memory import check_memory, out_of_memory
from archwright.evaluators.numerics import rule
from archwright.evaluators.predict import predict
from archwright.evaluators.recipe import default_recipe
from archwright.evaluators.state import State
from archwright.evaluators.threads import using_threads
from archwright.graph.module import build, seeded

if TYPE_CHECKING:
    from archwright.graph import Graph
    from archwright.tasks import Splits

STEPS = 5
ROWS = 128


def time_epoch(graph: Graph, task: Splits, *, threads: int = 1) -> tuple[float, float]:
    """Seconds of training for an epoch of a network on a task, and seconds for the outputs of one row, estimated from a few steps.

    Raises:
        EvaluationError: Where the network needs more memory than there is.
    """
    recipe = default_recipe(task, len(task.train), epochs=1)
    check_memory(graph.cost, recipe.batch_size)
    with using_threads(threads), out_of_memory(graph.cost, recipe.batch_size), seeded(0):
        module = build(graph, 0)
        x, y = (
            torch.from_numpy(task.train.x[: 2 * recipe.batch_size]),
            torch.from_numpy(task.train.y[: 2 * recipe.batch_size]),
        )
        mode = rule(module, x[:1], recipe.batch_size)
        state = State.fresh(module, recipe, mode, 0)
        state.lay_out(mode.channels_last)
        batches, loss_of, generator = (
            Batches(x, recipe, mode.channels_last),
            criterion(task.kind, recipe),
            torch.Generator(),
        )
        seconds = []
        for _ in range(STEPS + 1):
            index = torch.randperm(len(y), generator=generator)[: recipe.batch_size]
            start = time.perf_counter()
            with mode.cast():
                outputs = module.train()(batches.augment(index, generator))
            loss = loss_of(outputs.float(), y.index_select(0, index))
            loss.backward()  # type: ignore[no-untyped-call]
            state.optimizer.step(1e-3)
            seconds.append(time.perf_counter() - start)
        rows = torch.from_numpy(task.valid.x[:ROWS])
        start = time.perf_counter()
        predict(module, rows, mode)
        row = (time.perf_counter() - start) / len(rows)
    return statistics.median(seconds[1:]) * steps_of(len(task.train), recipe), row
