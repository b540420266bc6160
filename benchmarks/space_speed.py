"""How long it takes to draw an architecture and know its graph, fingerprint and cost. Prints medians over fresh draws, in milliseconds of CPU time.

Run: python benchmarks/space_speed.py
"""

from __future__ import annotations

import time

import numpy as np

from archwright.problem import Signature
from archwright.space import Space, get_space

CASES = {
    "nas-bench-201, 15 cells (at most 1 ms)": (get_space("nas-bench-201"), (3, 32, 32)),
    "cnn of up to 20 layers (at most 5 ms)": (get_space("cnn", depth=6), (3, 32, 32)),
    "darts, 8 cells": (get_space("darts"), (3, 32, 32)),
    "nasnet, 8 cells": (get_space("nasnet"), (3, 32, 32)),
    "layers, 6": (get_space("layers"), (3, 32, 32)),
    "mlp": (get_space("mlp"), (30,)),
}


def measure(space: Space, shape: tuple[int, ...], warm: int = 200, draws: int = 300) -> dict[str, float]:
    """Median milliseconds of each step on architectures not seen before, after `warm` others."""
    signature, rng = Signature((shape,), (10,)), np.random.default_rng(0)
    for _ in range(warm):
        graph = space.graph(space.sample(rng), signature)
        _ = graph.fingerprint, graph.cost
    rows = []
    for _ in range(draws):
        ticks = [time.process_time()]
        architecture = space.sample(rng)
        ticks.append(time.process_time())
        space.mutate(architecture, rng)
        ticks.append(time.process_time())
        graph = space.graph(architecture, signature)
        ticks.append(time.process_time())
        _ = graph.fingerprint
        ticks.append(time.process_time())
        _ = graph.cost
        ticks.append(time.process_time())
        rows.append(np.diff(ticks))
    sample, mutate, graph_, fingerprint, cost = 1e3 * np.median(rows, axis=0)
    total = 1e3 * float(np.median([sum(row) - row[1] for row in rows]))
    return {
        "sample": sample,
        "mutate": mutate,
        "graph": graph_,
        "fingerprint": fingerprint,
        "cost": cost,
        "sample+graph+fingerprint+cost": total,
    }


def main() -> None:
    for name, (space, shape) in CASES.items():
        figures = measure(space, shape)
        print(f"{name:42}" + "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
