from __future__ import annotations

from collections.abc import Callable

import pytest

from archwright.explain import failures, progress, ranking
from archwright.problem import Architecture, Constraint, Fidelity, Problem, Trial, purpose

Make = Callable[..., Trial]


def test_ranking_puts_fidelity_before_score_and_leaves_out_what_cannot_be_chosen(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    a = architectures
    trials = [
        trial(0, a[0], 0.99, fidelity=Fidelity(1)),
        trial(1, a[1], 0.8),
        trial(2, a[2], 0.9),
        trial(3, a[3], None, status="failed", reason="NaN"),
        trial(4, a[4], float("nan")),
        trial(5, a[5], 0.95, why={"by": "final", "of": 2}),
    ]
    assert [one.id for one in ranking(trials, problem)] == [2, 1, 0]
    assert [purpose(one) for one in (trials[0], trials[5])] == ["search", "final"]
    bounded = Problem(problem.space, problem.signature, problem.objectives, (Constraint("params", "<=", 10.0),))
    assert ranking(trials, bounded) == []


def test_failures_are_grouped_by_reason_whatever_its_numbers(trial: Make, architectures: list[Architecture]) -> None:
    reasons = ["loss NaN at step 3", "loss NaN at step 41", "out of memory", None]
    trials = [trial(i, architectures[i], None, status="failed", reason=reason) for i, reason in enumerate(reasons)]
    trials.append(trial(9, architectures[9], 0.5, status="stopped", reason="out of memory"))
    groups = failures(trials)
    assert [(one.status, one.reason, one.trials) for one in groups] == [
        ("failed", "loss NaN at step N", (0, 1)),
        ("failed", "no reason was recorded", (3,)),
        ("failed", "out of memory", (2,)),
        ("stopped", "out of memory", (9,)),
    ]
    assert groups[0].example == "loss NaN at step 3"
    assert sum(len(one.trials) for one in groups) == 5


def test_progress_never_falls_and_each_arm_counts_its_own_effort(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    a = architectures
    trials = [
        trial(0, a[0], 0.5),
        trial(1, a[1], 0.7, why={"by": "baseline"}),
        trial(2, a[2], 0.4),
        trial(3, a[3], None, status="failed", reason="NaN"),
        trial(4, a[0], 0.5, status="duplicate", duplicate_of=0),
        trial(5, a[5], 0.9, status="running"),
        trial(6, a[6], 0.8),
        trial(7, a[7], 0.99, why={"by": "final", "of": 6}),
    ]
    found = progress(trials, problem)
    assert [(p.trial, p.evaluations, p.seconds, p.best) for p in found.search] == [
        (0, 1, 1.0, 0.5),
        (2, 2, 2.0, 0.5),
        (3, 3, 3.0, 0.5),
        (4, 3, 3.0, 0.5),
        (6, 4, 4.0, 0.8),
    ]
    assert [(p.trial, p.best) for p in found.baseline] == [(1, 0.7)]


def test_progress_of_a_minimised_metric_only_falls(
    problem: Problem, trial: Make, architectures: list[Architecture]
) -> None:
    from archwright.problem import Objective

    cheap = Problem(problem.space, problem.signature, (Objective("accuracy", "min"),))
    found = progress([trial(i, architectures[i], value) for i, value in enumerate((0.5, 0.7, 0.2))], cheap)
    assert [point.best for point in found.search] == [0.5, 0.5, 0.2]


@pytest.mark.parametrize("module", ["archwright.explain", "archwright.report"])
def test_explanations_do_not_import_torch(module: str) -> None:
    import subprocess
    import sys

    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
