"""Measures what the operations of a space take on this machine: a latency table."""

from __future__ import annotations

import itertools
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from archwright.errors import ArchwrightError, SpaceError
from archwright.evaluators.threads import using_threads
from archwright.graph.latency import entry
from archwright.graph.measure import make_block
from archwright.graph.module import seeded
from archwright.graph.shapes import Call
from archwright.problem import Signature
from archwright.space import Space
from archwright.space.covering import covering

DRAWN, MOST = 1000, 20_000
"""Architectures are drawn at random, besides those that take every option, until so many in a row have no new operation, or so many in all."""
WARM, RUNS = 3, 15
"""Runs of an operation before it is timed, and timed ones, of which the median counts."""


def operations(space: Space, signature: Signature) -> list[Call]:
    """The operations on inputs of their shapes that networks of a space have.

    Raises:
        SpaceError: Where no architecture gives a network.
    """
    rng = np.random.default_rng(0)
    found: dict[str, Call] = {}
    idle = 0
    for architecture in itertools.chain(covering(space, rng), (space.sample(rng) for _ in range(MOST))):
        before = len(found)
        try:
            graph = space.graph(architecture, signature)
        except ArchwrightError:
            continue
        for _, node in graph.operations():
            found.setdefault(entry(node.call), node.call)
        idle = idle + 1 if len(found) == before else 0
        if idle >= DRAWN:
            break
    if not found:
        raise SpaceError(f"No architecture of the space {space.name!r} gives a network for {signature}.")
    return list(found.values())


def measure_table(
    space: Space, signature: Signature, threads: int = 1, tick: Callable[[int, int], None] = lambda done, count: None
) -> dict[str, Any]:
    """A latency table of a space on this machine: one sample at a time, in evaluation mode, float32.

    Args:
        space: Whose operations.
        signature: Input shapes and output sizes of the networks.
        threads: That torch may use.
        tick: Called with the number of operations done and of all.

    Returns:
        ``device``, ``threads``, and ``entries``: from operation to milliseconds.
    """
    calls, entries = operations(space, signature), {}
    with using_threads(threads):
        for done, call in enumerate(calls):
            entries[entry(call)] = _milliseconds(call)
            tick(done + 1, len(calls))
    return {"device": platform.processor() or platform.machine(), "threads": threads, "entries": entries}


def _milliseconds(call: Call) -> float:
    with seeded(0):
        block = make_block(call.spec, call.attrs, call.inputs)
        inputs = [torch.rand(1, *shape) for shape in call.inputs]
    attrs = {} if isinstance(block, nn.Module) else dict(call.attrs)
    if isinstance(block, nn.Module):
        block.eval()
    times = []
    with torch.inference_mode():
        for _ in range(WARM + RUNS):
            begun = time.perf_counter()
            block(*inputs, **attrs)
            times.append(time.perf_counter() - begun)
    return round(1e3 * statistics.median(times[WARM:]), 6)
