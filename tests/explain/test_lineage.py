from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archwright.errors import ArchwrightError
from archwright.explain import why
from archwright.explain.lineage import edits
from archwright.problem import Architecture, Fidelity, Objective, Problem, Trial

Make = Callable[..., Trial]


def test_a_lineage_tells_edit_reason_and_gain_of_each_step(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    first = architectures[0]
    second = problem.space.mutate(first, np.random.default_rng(1))
    low, full = Fidelity(2), Fidelity(5)
    trials = [
        trial(0, first, 0.7, fidelity=low),
        trial(1, second, 0.8, fidelity=low, parent=0, why={"by": "mutation"}),
        trial(2, architectures[5], 0.9, fidelity=low, parent=0, why={"by": "mutation"}),
        trial(
            3, second, 0.95, fidelity=full, parent=1,
            why={"by": "promotion", "rank": 2, "of": 3, "from_rung": 0, "rung": 1},
        ),
    ]  # fmt: skip
    found = why(trials, 3, problem)
    assert [step.trial for step in found.steps] == [0, 1, 3]
    assert [step.kind for step in found.steps] == ["start", "edit", "promotion"]
    assert [step.gain for step in found.steps] == [None, pytest.approx(0.1), pytest.approx(0.15)]
    assert [step.same_fidelity for step in found.steps] == [False, True, False]
    assert (found.rank, found.peers) == (1, 1)
    assert why(trials, 1, problem).siblings == 1
    text = found.text()
    assert str(found.steps[1].edits[0]) in text
    assert "rank 2 of 3 at rung 0" in text
    assert "mostly longer training" in text


def test_what_was_not_trained_has_no_epochs(problem: Problem, trial: Make, architectures: list[Architecture]) -> None:
    scored = dataclasses.replace(problem, settings={"trains": False})
    trials = [
        trial(0, architectures[0], 0.7),
        trial(1, architectures[0], 0.9, fidelity=Fidelity(8), why={"by": "final", "of": 0}),
    ]
    assert "epoch" not in why(trials[:1], 0, scored).text()
    assert "5 epochs" in why(trials[:1], 0, problem).text()
    assert "8 epochs" in why(trials, 1, scored).text(), "the final training is one"


@settings(deadline=None, max_examples=20, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000))
def test_edits_turn_the_parent_into_the_child(problem: Problem, trial: Make, seed: int) -> None:
    rng = np.random.default_rng(seed)
    old = problem.space.sample(rng)
    new = problem.space.mutate(old, rng)
    words = dict(problem.space.describe(old))
    changed = edits(problem.space, trial(0, old), trial(1, new))
    assert changed
    for edit in changed:
        assert words.get(edit.address) == edit.before
        assert edit.before != edit.after
        words.pop(edit.address, None)
        if edit.after is not None:
            words[edit.address] = edit.after
    assert words == dict(problem.space.describe(new))
    assert edits(problem.space, trial(0, old), trial(1, old)) == ()


def test_a_gain_is_positive_where_less_of_the_metric_is_better(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    cheap = Problem(problem.space, problem.signature, (Objective("accuracy", "min"),))
    trials = [trial(0, architectures[0], 0.7), trial(1, architectures[1], 0.5, parent=0)]
    gain = why(trials, 1, cheap).steps[1].gain
    assert gain == pytest.approx(0.2)


def test_a_final_training_continues_the_lineage_of_what_it_trains(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    trials = [
        trial(0, architectures[0], 0.7),
        trial(1, architectures[1], 0.8, parent=0),
        trial(2, architectures[1], 0.9, parent=1, why={"by": "final", "of": 1}),
    ]
    found = why(trials, 2, problem)
    assert [step.kind for step in found.steps] == ["start", "edit", "final"]
    assert found.rank is None


def test_failed_missing_and_looping_parents_are_survived(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    one, two = architectures[:2]
    trials = [trial(0, one, None, status="failed", reason="NaN"), trial(1, two, 0.5, parent=0)]
    assert why(trials, 1, problem).steps[1].gain is None
    assert "failed" in why(trials, 1, problem).text()
    assert "has no result" in why(trials, 0, problem).text()
    assert len(why([trial(4, one, 0.5, parent=3)], 4, problem).steps) == 1
    loop = [trial(0, one, 0.5, parent=1), trial(1, two, 0.5, parent=0)]
    assert [step.trial for step in why(loop, 1, problem).steps] == [0, 1]


def test_an_unknown_trial_is_refused_with_the_known_ones(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    with pytest.raises(ArchwrightError, match="Got the trial 9; expected one of 0 to 0"):
        why([trial(0, architectures[0])], 9, problem)
    with pytest.raises(ArchwrightError, match="a run that has trials"):
        why([], 0, problem)
