from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from archwright.explain import importance
from archwright.problem import Architecture, Fidelity, Problem, Trial

Make = Callable[..., Trial]


@pytest.fixture
def address(problem: Problem, architectures: list[Architecture]) -> str:
    names = [name for name, _ in architectures[0].choices if name.endswith("depth")]
    assert len(names) == 1
    return names[0]


def test_the_choice_that_decides_is_found(
    problem: Problem, trial: Make, architectures: list[Architecture], address: str
) -> None:
    rng = np.random.default_rng(0)
    scores = [0.5 + 0.1 * one.as_dict()[address] + 0.005 * rng.normal() for one in architectures]
    trials = [trial(i, one, score) for i, (one, score) in enumerate(zip(architectures, scores))]
    found = importance(trials, problem)
    assert found.spearman > 0.8
    assert found.choices[0].address == address
    assert found.choices[0].importance > 10 * max(one.importance for one in found.choices[1:])
    options = found.choices[0].options
    assert [option.label for option in options] == ["4", "3", "2", "1"]
    assert sum(option.count for option in options) == len(architectures)
    assert found == importance(trials, problem)


def test_noise_is_not_explained(problem: Problem, trial: Make, architectures: list[Architecture]) -> None:
    rng = np.random.default_rng(1)
    found = importance([trial(i, one, rng.normal()) for i, one in enumerate(architectures)], problem)
    assert found.choices == ()
    assert "Not enough evidence: a random forest ranks" in found.verdict


def test_too_few_or_equal_trials_claim_nothing(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    few = importance([trial(i, one, i / 10) for i, one in enumerate(architectures[:5])], problem)
    assert (few.choices, few.trials) == ((), 5)
    assert "20 are needed" in few.verdict
    same = importance([trial(i, one, 0.5) for i, one in enumerate(architectures)], problem)
    assert "scored the same" in same.verdict
    assert "0 different networks" in importance([], problem).verdict


def test_only_trials_of_one_fidelity_are_compared(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    rng = np.random.default_rng(2)
    low = [trial(i, one, rng.random(), fidelity=Fidelity(1)) for i, one in enumerate(architectures)]
    high = [trial(100 + i, one, rng.random()) for i, one in enumerate(architectures[:45])]
    few = [trial(200 + i, one, rng.random(), fidelity=Fidelity(9)) for i, one in enumerate(architectures[:3])]
    answer = [trial(300, architectures[0], 0.9, why={"by": "final", "of": 0})]
    found = importance([*low, *high, *few, *answer], problem)
    assert (found.fidelity, found.trials) == (problem.fidelity, 45)
