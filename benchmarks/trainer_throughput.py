"""Trainer throughput against a plain eager float32 PyTorch loop: same network, batch and threads, paired in one run.

Each side runs in a process of its own, because the allocator settings of a worker belong to its process. The two take turns, segment by segment,
so that whatever else the machine does hits both. The plain side is what a user would write, on default settings. Judged by CPU time.

    python benchmarks/trainer_throughput.py [--rounds 7] [--only dense]

Exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from archwright.runtime import worker_environment

# network: (input shape, batch, steps in a segment, least ratio)
CASES: dict[str, tuple[tuple[int, ...], int, int, float]] = {
    "dense": ((3, 32, 32), 128, 6, 1.9),
    "depthwise": ((3, 32, 32), 128, 6, 1.9),
    "tiny-cnn": ((1, 8, 8), 32, 150, 0.97),
    "tiny-mlp": ((30,), 32, 300, 0.97),
}


def network(name: str) -> Any:
    from torch import nn

    def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

    def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
        depthwise = [
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
        ]
        pointwise = [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*depthwise, *pointwise)

    def head(width: int) -> list[nn.Module]:
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]

    if name == "dense":
        return nn.Sequential(
            conv(3, 32), conv(32, 32), conv(32, 64, 2), conv(64, 64), conv(64, 128, 2), conv(128, 128), *head(128)
        )
    if name == "depthwise":
        body = [
            separable(32, 64),
            separable(64, 64),
            separable(64, 128, 2),
            separable(128, 128),
            separable(128, 128, 2),
        ]
        return nn.Sequential(conv(3, 32), *body, *head(128))
    if name == "tiny-cnn":
        return nn.Sequential(conv(1, 8), conv(8, 16, 2), *head(16))
    return nn.Sequential(
        nn.Linear(30, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def plain(name: str) -> Callable[[], None]:
    """A segment of the loop of a tutorial."""
    import torch
    from torch.nn import functional

    module, x, y, batch, _ = setup(name)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    module.train()

    def segment() -> None:
        for index in torch.randperm(len(x)).split(batch):
            loss = functional.cross_entropy(module(x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return segment


def ours(name: str) -> Callable[[], None]:
    """A segment of the engine: an epoch, in the mode that the rule chooses."""
    from archwright.evaluators import Recipe, State, fit
    from archwright.evaluators.numerics import rule
    from archwright.runtime import tune_allocator

    tune_allocator()
    module, x, y, batch, _ = setup(name)
    recipe = Recipe(lr=0.05, batch_size=batch, average=0.5)
    mode = rule(module, x[:1], batch)
    print(mode.name, file=sys.stderr, flush=True)
    epochs = fit(State.fresh(module, recipe, mode, 0), x, y, kind="classification", epochs=10_000)
    return lambda: next(epochs) and None


def setup(name: str) -> Any:
    import torch

    torch.set_num_threads(1)
    shape, batch, steps, _ = CASES[name]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch * steps, *shape, generator=generator)
    y = torch.randint(0, 10, (batch * steps,), generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module = network(name)
    return module, x, y, batch, steps


def child(side: str, name: str) -> None:
    segment = (plain if side == "plain" else ours)(name)
    segment()
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        segment()
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)


def compare(name: str, rounds: int) -> list[tuple[float, float]]:
    """Ratios plain / ours of each round, as (wall, CPU)."""
    base = {key: value for key, value in os.environ.items() if key not in worker_environment()} | {
        "OMP_NUM_THREADS": "1"
    }
    sides = {
        side: subprocess.Popen(
            [sys.executable, __file__, "--child", side, "--only", name],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for side, environment in (("plain", base), ("ours", base | worker_environment(1)))
    }
    ratios = []
    try:
        for number in range(rounds + 1):
            seconds = {side: _segment(process) for side, process in sides.items()}
            if number:
                ratios.append((seconds["plain"][0] / seconds["ours"][0], seconds["plain"][1] / seconds["ours"][1]))
    finally:
        for process in sides.values():
            process.communicate()
    return ratios


def _segment(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"A side ended early: {process.args}")
    return list(json.loads(line))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--child", choices=("plain", "ours"))
    options = parser.parse_args()
    if options.child:
        child(options.child, options.only)
        return 0
    missed = 0
    for name in [options.only] if options.only else CASES:
        ratios = compare(name, options.rounds)
        wall, cpu = (sorted(pair[kind] for pair in ratios) for kind in (0, 1))
        ratio, target = statistics.median(cpu), CASES[name][3]
        missed += ratio < target
        print(
            f"{name:10s} {ratio:5.2f}x of the plain loop by CPU time (min {cpu[0]:.2f}, max {cpu[-1]:.2f}), {statistics.median(wall):.2f}x by the clock; "
            f"target {target}x: {'met' if ratio >= target else 'MISSED'}",
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
