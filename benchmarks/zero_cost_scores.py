"""Zero-cost scores against the published ones of NAS-Bench-201 (NAS-Bench-Suite-Zero, arXiv 2210.03230), by Spearman's rank correlation.

Needs `nas-bench-201-zero-cost.npz` and `nas-bench-201.npz` (see --data). Parameters and FLOPs are compared on every cell that has published scores, synflow on
--cells of them, the rest, which need batches of images, on --few. The published networks had PyTorch's default weights; ours are Kaiming-normal. So each
score is taken twice: as archwright builds the network, and with weights drawn as theirs were; the second time also with other images. How well
these two agree says what agreement can be expected of anybody's. The last columns are the correlations with the test accuracy on CIFAR-10.

The published images are CIFAR-10's, which cannot be had everywhere; here it is Fashion-MNIST (32x32 by zero-padding, three equal channels) or, where that is not
there, noise.

    python benchmarks/zero_cost_scores.py [--cells 300] [--few 60] [--only synflow zen] [--data ../shared/data]

Exits with 1 where a score without data agrees less than 0.95.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from archwright.errors import ArchwrightError
from archwright.evaluators import score
from archwright.graph.module import build, seeded
from archwright.problem import Signature
from archwright.space.zoo.nas_bench_201 import from_ops, nas_bench_201
from archwright.tasks import load_task

SIGNATURE = Signature(((3, 32, 32),), (10,))
PUBLISHED = {
    "params": "c10_params",
    "flops": "c10_flops",
    "synflow": "c10_synflow",
    "jacob_cov": "c10_jacov",
    "naswot": "c10_nwot",
    "snip": "c10_snip",
    "grad_norm": "c10_grad_norm",
    "grasp": "c10_grasp",
    "fisher": "c10_fisher",
    "zen": "c10_zen",
}
LEAST = {"params": 0.95, "flops": 0.95, "synflow": 0.95}
ROWS = 64
SENTINEL = -1e7
"""Published scores below it stand for 'could not be computed'."""


def images(seed: int) -> tuple[str, torch.Tensor, torch.Tensor]:
    """A batch, ``(64, 3, 32, 32)``, and its classes."""
    rng = np.random.default_rng(seed)
    try:
        train = load_task("fashion-mnist").train
    except ArchwrightError:
        x = rng.normal(size=(ROWS, 3, 32, 32)).astype(np.float32)
        return "noise", torch.from_numpy(x), torch.from_numpy(rng.integers(0, 10, ROWS))
    rows = rng.choice(len(train), ROWS, replace=False)
    padded = np.pad(train.x[rows], ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=float(train.x[rows].min()))
    return "Fashion-MNIST", torch.from_numpy(padded.repeat(3, axis=1)), torch.from_numpy(train.y[rows])


def as_published(network: nn.Module, seed: int) -> nn.Module:
    """The network with weights drawn by PyTorch's defaults."""
    with seeded(seed):
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.reset_parameters()
    return network


def agreement(first: list[float], second: np.ndarray) -> float:
    """Spearman's correlation where both are known."""
    ours = np.array(first)
    known = np.isfinite(ours) & np.isfinite(second) & (second > SENTINEL)
    return float(spearmanr(ours[known], second[known]).statistic)


def try_score(name: str, network: nn.Module, batch: tuple[torch.Tensor, torch.Tensor], seed: int) -> float:
    try:
        return score(name, network, *batch, "classification", seed)
    except ArchwrightError:
        return float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("ARCHWRIGHT_TEST_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that has benchmarks/*.npz")
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--few", type=int, default=60)
    parser.add_argument("--only", nargs="*", choices=PUBLISHED, default=[*PUBLISHED], metavar="SCORE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = options.data / "benchmarks"
    if not (folder / "nas-bench-201-zero-cost.npz").exists():
        print(f"There is no {folder / 'nas-bench-201-zero-cost.npz'}: name the folder with --data.", file=sys.stderr)
        return 2
    table, published = np.load(folder / "nas-bench-201.npz"), np.load(folder / "nas-bench-201-zero-cost.npz")
    space, accuracy = nas_bench_201(), table["c10_test_200ep"]
    listed = np.flatnonzero(np.isfinite(published["c10_synflow"]) & (published["c10_synflow"] > 0))
    chosen = np.random.default_rng(0).permutation(listed)
    graphs = [space.graph(from_ops(table["ops"][cell].tolist()), SIGNATURE) for cell in listed]
    costs = {
        "params": [float(graph.cost.params) for graph in graphs],
        "flops": [float(graph.cost.flops) for graph in graphs],
    }
    equal = np.sum(np.array(costs["params"]) == table["c10_params"][listed])
    what, x, y = images(1)
    other = images(2)[1:]
    print(
        f"{len(listed):,} cells have published scores; {equal:,} of them have exactly the published number of parameters (others have"
    )
    print(f"convolutions that compute nothing, which ours leaves out). Images: {what}, {ROWS} a batch.\n")
    print("score      cells  agreement  with their weights  ours with itself  accuracy: ours  published  seconds each")
    missed = 0
    for name in options.only:
        column = PUBLISHED[name]
        if name in costs:
            theirs = published[column][listed].astype(float)
            found = agreement(costs[name], theirs)
            right = [agreement(costs[name], accuracy[listed]), agreement(list(theirs), accuracy[listed])]
            print(
                f"{name:10s} {len(listed):5d} {found:10.4f} {'-':>19s} {'-':>17s} {right[0]:15.2f} {right[1]:10.2f} {'-':>13s}"
            )
        else:
            cells = chosen[: options.cells if name in LEAST else options.few]
            ours, again, begun = [], [], time.process_time()
            for cell in cells:
                network = build(space.graph(from_ops(table["ops"][cell].tolist()), SIGNATURE), seed=int(cell))
                ours.append(try_score(name, network, (x, y), 0))
                again.append(try_score(name, as_published(network, int(cell) + 1), other, 1))
            seconds = (time.process_time() - begun) / (2 * len(cells))
            theirs = published[column][cells].astype(float)
            found, like = agreement(ours, theirs), agreement(again, theirs)
            right = [agreement(ours, accuracy[cells]), agreement(list(theirs), accuracy[cells])]
            print(
                f"{name:10s} {len(cells):5d} {found:10.4f} {like:19.4f} {agreement(ours, np.array(again)):17.4f} "
                f"{right[0]:15.2f} {right[1]:10.2f} {seconds:13.2f}",
                flush=True,
            )
        missed += found < LEAST.get(name, -1.0)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
