"""Children that inherit their parents' weights against the same children trained from scratch, on real data and at equal time.

Random networks of the space `cnn` are trained, each is mutated once, and the child is trained from scratch and from its parent's weights (`--evaluator inherit`),
for as many epochs and for half as many. Reported are the mean differences in validation accuracy with 95% intervals, the CPU seconds of a training, and what a
search needs most: how well the accuracies rank the children, by Spearman's correlation with training from scratch for four times as long.

    python benchmarks/inherited_weights.py [--data digits] [--pairs 60] [--epochs 4] [--share 1.0]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time

import numpy as np
from scipy import stats

from archwright.evaluators import Inherit, Train
from archwright.problem import Fidelity, Measurement, Objective, Problem, Proposal
from archwright.space import Space
from archwright.space.zoo.cnn import cnn
from archwright.tasks import load_task

WIDTHS = ((4, 8, 16), (8, 16, 32), (16, 32, 64))


def train(evaluator: Train, proposal: Proposal, problem: Problem, seed: int) -> tuple[Measurement, float]:
    """The last measurement of a training, and its CPU seconds."""
    begun = time.process_time()
    return list(evaluator(proposal, problem, seed))[-1], time.process_time() - begun


def interval(differences: list[float]) -> str:
    """Mean and 95% interval (Student's t), in percentage points."""
    values = 100 * np.array(differences)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.2f} points [{values.mean() - half:+.2f}, {values.mean() + half:+.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--share", type=float, default=1.0, help="of the training rows")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    task, space = load_task(options.data), cnn(2, WIDTHS)
    with tempfile.TemporaryDirectory() as folder:
        report(task.store(f"{folder}/data"), f"{folder}/weights", task, space, options)


def report(data: object, artifacts: str, task: object, space: Space, options: argparse.Namespace) -> None:
    scratch, heir = Train(str(data), artifacts), Inherit(str(data), artifacts)
    metric, rng = task.objective, np.random.default_rng(options.seed)  # type: ignore[attr-defined]

    def problem(epochs: int) -> Problem:
        goal = (Objective(metric),)
        return Problem(space, task.signature, goal, fidelity=Fidelity(epochs, options.share), seed=options.seed)  # type: ignore[attr-defined]

    whole, half, long = problem(options.epochs), problem(max(1, options.epochs // 2)), problem(4 * options.epochs)
    scores: dict[str, list[float]] = {
        name: [] for name in ("scratch", "inherit", "inherit, half", "scratch, half", "long")
    }
    seconds = dict.fromkeys(scores, 0.0)
    kept = []
    for number in range(options.pairs):
        parent = space.sample(rng)
        child = space.mutate(parent, rng)
        left, _ = train(scratch, Proposal(parent), whole, 1000 + number)
        legacy = {"checkpoint": left.artifacts["checkpoint"], "choices": parent.choices}
        inheriting, alone = Proposal(child, parent=number, why={"inherit": legacy}), Proposal(child)
        for name, evaluator, proposal, place, seed in (
            ("scratch", scratch, alone, whole, number),
            ("inherit", heir, inheriting, whole, number),
            ("inherit, half", heir, inheriting, half, number),
            ("scratch, half", scratch, alone, half, number),
            ("long", scratch, alone, long, 2000 + number),
        ):
            found, took = train(evaluator, proposal, place, seed)
            scores[name].append(found.values[metric])
            seconds[name] += took / options.pairs
            if name == "inherit":
                kept.append(found.notes["inherited"]["parameters"] / found.notes["inherited"]["of"])
        row = "  ".join(f"{name} {values[-1]:.4f}" for name, values in scores.items())
        print(f"pair {number}: {kept[-1]:.0%} inherited, {row}", file=sys.stderr, flush=True)
    print(f"{options.data}, {options.pairs} pairs, {options.epochs} epochs on {options.share:.0%} of the training rows")
    print(f"parameters inherited: median {np.median(kept):.0%}, lower quartile {np.quantile(kept, 0.25):.0%}")
    for name, values in scores.items():
        rank = stats.spearmanr(values, scores["long"]).statistic
        print(
            f"{name:14s} mean {metric} {np.mean(values):.2%}, CPU seconds {seconds[name]:.2f}, rank agreement {rank:.2f}"
        )
    for first, second in (("inherit", "scratch"), ("inherit, half", "scratch"), ("inherit, half", "scratch, half")):
        print(f"{first} - {second}: {interval([a - b for a, b in zip(scores[first], scores[second])])}")


if __name__ == "__main__":
    main()
