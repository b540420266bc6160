"""Checks how well long trainings are predicted from short ones, and how often intervals hold them.

    python benchmarks/recipe.py --data fashion-mnist photos50 --seconds 15 45 135 --variants default --curves curves.jsonl
    python benchmarks/calibration.py curves.jsonl

Each training of a network predicts the longer ones of the same network, as
:class:`archwright.strategies.extrapolation.Curve` does in a race. Printed are, for each data set, the mean and the
deviation of what was missed (in the logarithm of the error) and the share of longer trainings inside their 80%
intervals; then the same for the constants that fit all other data sets best, so that no set is judged by constants
that it chose.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from scipy.optimize import minimize

from archwright.strategies.extrapolation import CURVE, Curve

INSIDE = 1.2816
"""Standard deviations within which a normal variable lies with 80%."""


class Point(NamedTuple):
    """A prediction to be made: epochs of a short and of a long training, and the logarithms of their errors."""

    trained: float
    epochs: float
    now: float
    end: float


def points(path: Path) -> dict[str, list[Point]]:
    """Read the ends of learning curves of a metric that is perfect at 1; the means of equal trainings."""
    ends: dict[tuple[str, str, str], dict[float, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for line in path.read_text().splitlines():
        record = json.loads(line)
        epochs, _, value = record["curve"][-1]
        key = record["data"], record["network"], record["variant"]
        ends[key][record["seconds"]].append((epochs, math.log(max(1e-6, 1.0 - value))))
    found = defaultdict(list)
    for (data, _, _), lengths in ends.items():
        means = sorted(tuple(float(mean) for mean in np.mean(some, axis=0)) for some in lengths.values())
        for short, long in combinations(means, 2):
            if long[0] > short[0]:
                found[data].append(Point(short[0], long[0], short[1], long[1]))
    return found


def missed(curve: Curve, some: list[Point]) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much predictions are too high, and the deviations that they state."""
    errors = [p.now - curve.gain(p.trained, p.epochs) - p.end for p in some]
    return np.array(errors), np.array([curve.deviation(p.trained, p.epochs) for p in some])


def fitted(some: list[Point]) -> Curve:
    """Return the constants of greatest likelihood."""
    names = ("power", "early", "steep", "noise", "drift")

    def loss(logs: np.ndarray) -> float:
        errors, deviations = missed(Curve(*np.exp(logs)), some)
        return float(np.sum(np.log(deviations) + 0.5 * (errors / deviations) ** 2))

    start = np.log([getattr(CURVE, name) for name in names])
    best = minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000, "adaptive": True})
    return Curve(*(round(float(value), 4) for value in np.exp(best.x)))


def report(name: str, curve: Curve, some: list[Point]) -> None:
    """Print a row."""
    errors, deviations = missed(curve, some)
    inside = np.mean(np.abs(errors) <= INSIDE * deviations)
    print(f"{name:20} {len(some):6} {errors.mean():+8.3f} {errors.std():8.3f} {inside:8.0%}")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path)
    found = points(parser.parse_args().curves)
    every = [point for some in found.values() for point in some]
    print(f"{'data':20} {'points':>6} {'missed':>8} {'spread':>8} {'inside':>8}")
    for name, some in found.items():
        report(name, CURVE, some)
    report("all", CURVE, every)
    if len(found) > 1:
        print("with the constants that fit all other data sets:")
        for name, some in found.items():
            report(name, fitted([p for other, part in found.items() if other != name for p in part]), some)
    print("constants that fit all best:", msgspec.to_builtins(fitted(every)))


if __name__ == "__main__":
    main()
