from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from archwright.problem import Budget, Fidelity, Measurement, Objective, Problem, Proposal, Signature, Trial
from archwright.problem.final import Comparison, FinalRecord, Interval
from archwright.space import OUTPUTS, Space, chain, choice, integer, op, repeat

LAYER = op("dense", width=choice(8, 16, 32), activation=choice("relu", "tanh"), name="layer")
SPACE = Space(chain(repeat(LAYER, integer(1, 4, name="depth")), op("linear", width=OUTPUTS, name="head")), "tiny")


@pytest.fixture
def problem() -> Problem:
    """A small space, accuracy, five epochs."""
    signature = Signature(((4,),), (3,))
    return Problem(SPACE, signature, (Objective("accuracy"),), budget=Budget(trials=50), fidelity=Fidelity(5))


@pytest.fixture
def run(problem: Problem) -> Callable[..., tuple[Trial, ...]]:
    """Makes the trials of a run: mutations of the best, every fifth from the baseline, every ninth failed, promotions."""

    def make(count: int, metric: str = "accuracy", reason: str = "the loss became NaN at step 7") -> tuple[Trial, ...]:
        rng = np.random.default_rng(0)
        trials: list[Trial] = []
        for number in range(count):
            fidelity = Fidelity(5 if number % 5 == 1 or number % 4 == 3 else 2)
            finished = [one for one in trials if one.status == "finished"]
            parent = finished[int(rng.integers(len(finished)))] if finished else None
            why: dict[str, Any] = {"by": "random"}
            architecture = problem.space.sample(rng)
            if number % 5 == 1:
                parent, why = None, {"by": "baseline"}
            elif parent is not None and number % 4 == 3:
                why = {"by": "promotion", "rank": 1, "of": 4, "from_rung": 0, "rung": 1}
                architecture = parent.proposal.architecture
            elif parent is not None:
                why = {"by": "mutation"}
                architecture = problem.space.mutate(parent.proposal.architecture, rng)
            proposal = Proposal(architecture, fidelity, parent.id if parent else None, why)
            level = 0.5 + 0.1 * len([1 for address, _ in architecture.choices if "width" in address])
            curve = [
                Measurement({metric: level - 0.1 / epoch, "params": 100.0 + number, "flops": 300.0}, epoch=epoch)
                for epoch in range(1, fidelity.epochs + 1)
            ]
            trial = Trial(number, proposal, "finished", tuple(curve), f"f{number}", seconds=0.5 + number)
            if number % 9 == 8:
                trial = Trial(number, proposal, "failed", (), f"f{number}", reason, seconds=0.1)
            trials.append(trial)
        return tuple(trials)

    return make


@pytest.fixture
def final() -> Callable[..., FinalRecord]:
    """Makes the final record of a trial."""

    def make(trial: Trial, metric: str = "accuracy", **changes: Any) -> FinalRecord:
        fields: dict[str, Any] = {
            "trial": trial.id,
            "architecture": trial.proposal.architecture,
            "metric": metric,
            "test": {metric: Interval(0.9123, 0.8712, 0.9377)},
            "baseline_trial": 1,
            "baseline_test": {metric: Interval(0.8912, 0.85, 0.92)},
            "comparison": Comparison(metric, 0.0211, -0.005, 0.04, "tie"),
            "epochs": 5,
            "test_rows": 360,
            "recipe": {"learning_rate": 0.0234},
            "warnings": ("3 rows occur twice.",),
        }
        return FinalRecord(**fields | changes)

    return make
