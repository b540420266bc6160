"""Networks for tables and gradient boosting on the same validation rows.

python benchmarks/tables.py [--sets adult,wine] [--methods tabm,boosting] [--seconds 60] [--epochs 100] [--seeds 3]

A fifth of each set's rows (`train_test_split(random_state=0)`) is put away and never looked at. The others
are split into training and validation rows by each seed. `score` is accuracy or R2 after the last of `epochs`
epochs, `top` the highest after any, `best` the epoch of that, `seconds` those of one core. The tables come from
`$ARCHWRIGHT_TEST_DATA` or `../shared/data` beside the repository, the last two sets from scikit-learn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

from archwright.evaluators import FP32, State, fit
from archwright.evaluators.recipe import default_recipe
from archwright.graph.module import build, calibrate
from archwright.problem import Architecture
from archwright.space import get_space
from archwright.tasks import Task, load_task, metrics

FILES = {
    "adult": ("adult", "income"),
    "german": ("german_credit", "credit"),
    "wine": ("wine_quality_white", "quality"),
    "california": ("california_housing", "median_house_value"),
    "bike": ("bike_hourly", "cnt"),
}
BUNDLED = {"cancer": datasets.load_breast_cancer, "diabetes": datasets.load_diabetes}
REGRESSIONS = ("california", "bike", "diabetes")
ESTIMATORS = {
    "boosting": (HistGradientBoostingClassifier, HistGradientBoostingRegressor),
    "sklearn-mlp": (MLPClassifier, MLPRegressor),
}


class Outcome(NamedTuple):
    """One method on one split.

    Attributes:
        score: Accuracy or R2 on the validation rows, after the last epoch.
        top: The highest score after any epoch.
        best: The epoch of the highest score; 0 without epochs.
        epochs: Epochs trained; 0 without.
        seconds: Of one core, validation after every epoch included.
    """

    score: float
    top: float
    best: int
    epochs: int
    seconds: float


def rows_of(name: str) -> tuple[pd.DataFrame, str]:
    """The rows that may be looked at, and the target."""
    if name in BUNDLED:
        frame, target = BUNDLED[name](as_frame=True).frame, "target"
    else:
        folder = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
        file, target = FILES[name]
        path = folder / "tasks" / f"table_{file}.csv.gz"
        frame = pd.read_csv(path, sep=";" if name == "wine" else ",", na_values="?", skipinitialspace=True)
    if name == "wine":
        frame = frame.drop_duplicates()
    if name == "bike":
        frame = frame.drop(columns=["instant", "dteday", "casual", "registered"])
    return train_test_split(frame, test_size=0.2, random_state=0)[0].reset_index(drop=True), target


def estimator(name: str, task: Task, seed: int) -> Outcome:
    """A method of scikit-learn on the same prepared rows."""
    begun = time.process_time()
    made = ESTIMATORS[name][task.kind == "regression"](random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        made.fit(task.train.x, task.train.y)
    score = float(made.score(task.valid.x, task.valid.y))
    return Outcome(score, score, 0, 0, time.process_time() - begun)


def network(architecture: Architecture, task: Task, seed: int, epochs: int, seconds: float) -> Outcome:
    """A reference of the space, trained by the default recipe."""
    begun = time.process_time()
    x, y = torch.from_numpy(task.train.x), torch.from_numpy(task.train.y)
    module = build(get_space("mlp").graph(architecture, task.signature), seed)
    calibrate(module, x)
    state = State.fresh(module, default_recipe(task, len(x), epochs), FP32, seed)
    scores = []
    for epoch in fit(
        state,
        x,
        y,
        kind=task.kind,
        epochs=epochs,
        valid=torch.from_numpy(task.valid.x),
        deadline=time.monotonic() + seconds,
    ):
        assert epoch.outputs is not None
        scores.append(metrics(task.kind, task.valid.y, epoch.outputs)[task.objective])
    best = int(np.argmax(scores))
    return Outcome(scores[-1], scores[best], best + 1, len(scores), time.process_time() - begun)


def main(arguments: list[str]) -> None:
    references = get_space("mlp").references
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join([*FILES, *BUNDLED]))
    parser.add_argument("--methods", default=",".join([*ESTIMATORS, *references]))
    parser.add_argument("--seconds", type=float, default=60.0, help="for each training of a network, at most")
    parser.add_argument("--epochs", type=int, default=100, help="of each training, at most")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"{'set':12}{'method':16}{'score':>8}{'+-':>8}{'top':>8}{'best':>7}{'epochs':>8}{'seconds':>9}")
    for name in given.sets.split(","):
        frame, target = rows_of(name)
        kind = "regression" if name in REGRESSIONS else "classification"
        tasks = [load_task(frame, target, kind=kind, seed=seed, holdout=False) for seed in range(given.seeds)]
        for method in given.methods.split(","):
            found = [
                estimator(method, task, seed)
                if method in ESTIMATORS
                else network(references[method], task, seed, given.epochs, given.seconds)
                for seed, task in enumerate(tasks)
            ]
            print(row(name, method, found), flush=True)


def row(name: str, method: str, found: list[Outcome]) -> str:
    """One line: means over the seeds, the standard error of the score, medians of epochs."""
    columns: dict[str, Any] = {key: [getattr(one, key) for one in found] for key in Outcome._fields}
    score, top = statistics.mean(columns["score"]), statistics.mean(columns["top"])
    error = statistics.stdev(columns["score"]) / len(found) ** 0.5 if len(found) > 1 else float("nan")
    best, epochs = statistics.median(columns["best"]), statistics.median(columns["epochs"])
    seconds = statistics.mean(columns["seconds"])
    return f"{name:12}{method:16}{score:8.4f}{error:8.4f}{top:8.4f}{best:7.0f}{epochs:8.0f}{seconds:9.1f}"


if __name__ == "__main__":
    main(sys.argv[1:])
