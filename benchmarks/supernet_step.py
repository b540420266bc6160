"""What a training step on shared weights costs against one of the path's own network, and how well a supernet's memory is predicted.

CPU time on one thread, paths drawn at random and each seen once, so that the cost of putting a path together counts; the two are timed in turns.

    python benchmarks/supernet_step.py --paths 40
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

import archwright as aw
from archwright.evaluators.one_shot.evaluator import OneShot
from archwright.evaluators.one_shot.forecast import predicted, taken
from archwright.evaluators.one_shot.names import get_picker
from archwright.evaluators.one_shot.shared import Shared
from archwright.problem import Signature
from archwright.supernet import Supernet

SPACES = {
    "nas-bench-201": {"channels": 8, "cells": 1},
    "cnn": {},
    "darts": {"cells": 3, "channels": 8},
    "mobilenet": {},
    "vit": {},
}


def seconds(step: object) -> float:
    """CPU seconds of a call."""
    begun = time.process_time()
    step()  # type: ignore[operator]
    return time.process_time() - begun


def main() -> None:
    """Prints a line for each space."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=40)
    parser.add_argument("--batch", type=int, default=64)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    x = torch.randn(asked.batch, 1, 28, 28)
    y = torch.arange(asked.batch) % 10
    for name, options in SPACES.items():
        space = aw.get_space(name, **options)
        net = Supernet(space, Signature(((1, 28, 28),), (10,))).train()
        rng = np.random.default_rng(0)
        warm = [space.sample(rng) for _ in range(20)]
        for architecture in warm:
            net(x, architecture).sum().backward()
        shared, own = [], []
        for _ in range(asked.paths):
            architecture = space.sample(rng)
            network = net.extract(architecture)
            network(x).sum().backward()
            own.append(seconds(lambda network=network: network(x).sum().backward()))
            shared.append(seconds(lambda net=net, architecture=architecture: net(x, architecture).sum().backward()))
            net.zero_grad()
        rows = []
        for text in ("uniform", "gdas", "darts"):
            recipe = OneShot("", text).recipe(10_000)
            made = [
                Shared(Supernet(space, net.signature), get_picker(text), recipe, "classification", 0) for _ in range(2)
            ]
            foretold, _ = predicted(made[0], (x, y))
            rows.append(f"{text} {foretold / taken(made[1], (x, y))[0]:.3f}")
        print(
            f"{name}: a step on shared weights costs {sum(shared) / sum(own):.3f} of the path's own network "
            f"({1e3 * np.mean(own):.1f} ms); memory predicted / kept: {', '.join(rows)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
