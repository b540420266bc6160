from __future__ import annotations

import archwright as aw
from archwright.engine.forecast import choose

FULL = aw.Fidelity(8)


def problem(*objectives: str) -> aw.Problem:
    from archwright.testing.toy import toy_problem

    return toy_problem(objectives=tuple(map(aw.Objective.parse, objectives)), fidelity=FULL)


def trial(number: int, fidelity: aw.Fidelity = FULL, **values: float) -> aw.Trial:
    measured = (aw.Measurement(values, fidelity.epochs),)
    return aw.Trial(number, aw.Proposal(aw.Architecture(()), fidelity), "finished", measured)


def test_with_equal_training_the_best_score_wins():
    trials = [trial(0, accuracy=0.8), trial(1, accuracy=0.9), trial(2, accuracy=0.85)]
    assert choose(trials, problem("accuracy"), lambda trial: 10.0) is trials[1]


def test_a_fast_network_a_little_worse_wins_where_the_time_is_short():
    slow, fast = trial(0, accuracy=0.87), trial(1, accuracy=0.86)
    assert choose([slow, fast], problem("accuracy"), lambda trial: 8.0 if trial is fast else 2.0) is slow
    assert choose([slow, fast], problem("accuracy"), lambda trial: 80.0 if trial is fast else 10.0) is fast


def test_lower_fidelities_and_unknown_metrics_do_not_count():
    short = trial(0, aw.Fidelity(1), accuracy=0.99)
    assert choose([short, trial(1, accuracy=0.5)], problem("accuracy"), lambda trial: 10.0).id == 1
    trials = [trial(0, score=5.0), trial(1, score=6.0)]
    assert choose(trials, problem("score"), lambda trial: 80.0 if trial.id == 0 else 8.0) is trials[1]
    assert choose([], problem("accuracy"), lambda trial: 1.0) is None


def test_the_bests_of_two_searches_compare_over_fidelities():
    brief, full = trial(0, aw.Fidelity(2), accuracy=0.78), trial(1, accuracy=0.79)
    slow = {0: 8.0, 1: 8.0}
    assert choose([brief, full], problem("accuracy"), lambda trial: slow[trial.id], across=True) is brief
    assert choose([brief, full], problem("accuracy"), lambda trial: 8.0) is full
    scored = trial(2, aw.Fidelity(1, 1e-4), accuracy=0.9)
    assert choose([scored, full], problem("accuracy"), lambda trial: 8.0, across=True) is full
