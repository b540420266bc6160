"""The audit of searches with shared weights, on trials made by hand."""

from __future__ import annotations

import numpy as np
import pytest

import archwright as aw
from archwright.explain import agreement, audit
from archwright.space import OUTPUTS, chain, choice, op

ADDRESSES = tuple(f"edge{index}" for index in range(6))
SPACE = aw.Space(
    chain(
        *(choice(op("identity", name="skip"), op("dense", width=4, name="dense"), name=name) for name in ADDRESSES),
        op("linear", width=OUTPUTS),
    ),
    "edges",
)
PROBLEM = aw.Problem(
    SPACE, aw.Signature(((4,),), (2,)), (aw.Objective("accuracy"),), settings={"trains": False, "one_shot": {}}
)


def trial(number, choices, value, by, of=None, notes=None, epochs=(1,)):
    why = {"by": by} | ({} if of is None else {"of": of})
    architecture = aw.Architecture(tuple(zip(ADDRESSES, choices)))
    measured = tuple(
        aw.Measurement({"accuracy": v}, epoch, 1.0, {}, {"supernet": notes} if notes else {})
        for epoch, v in zip(epochs, np.atleast_1d(value))
    )
    return aw.Trial(number, aw.Proposal(architecture, why=why), "finished", measured, seconds=10.0)


def trials(best=(1,) * 6, shared=(0.1, 0.2, 0.3, 0.4, 0.5), alone=(0.5, 0.6, 0.7, 0.8, 0.9), scores=(0.1, 0.4)):
    notes = {"picker": "darts", "loss": 1.0, "entropy": 0.5, "free": 0.4}
    found = [trial(0, (0,) * 6, scores, "supernet", notes=notes, epochs=range(1, 1 + len(scores)))]
    for index, (one, two) in enumerate(zip(shared, alone)):
        choices = tuple(int(digit) for digit in f"{index:06b}")
        found.append(trial(len(found), choices, two, "baseline"))
        found.append(trial(len(found), choices, one, "audit", of=len(found) - 1))
    found.append(trial(len(found), best, 0.95, "evolution"))
    return found


def test_nothing_shared_nothing_audited():
    assert audit([trial(0, (0,) * 6, 0.5, "random")], PROBLEM) is None


def test_a_sound_search_raises_no_alarm():
    found = audit(trials(), PROBLEM)
    assert (found.tau, found.low, found.high) == (1.0, 1.0, 1.0)
    assert found.alarms == ()
    assert found.collapse.free == 0
    assert found.affordable == 1.0
    assert [row["score"] for row in found.history] == [0.1, 0.4]
    assert found.controls == (0.5, 0.6, 0.7, 0.8, 0.9)


def test_a_collapse_raises_an_alarm_that_says_what_to_do():
    found = audit(trials(best=(0,) * 6), PROBLEM)
    assert (found.collapse.free, found.collapse.choices) == (6, 6)
    assert found.collapse.expected == pytest.approx(3.0)
    assert found.collapse.chance == pytest.approx(0.5**6)
    assert "collapsed" in found.alarms[0]
    assert "darts-pt" in found.alarms[0]


def test_four_of_six_are_no_collapse():
    assert audit(trials(best=(0, 0, 0, 0, 1, 1)), PROBLEM).alarms == ()


def test_weights_that_rank_backwards_raise_an_alarm():
    found = audit(trials(alone=(0.9, 0.8, 0.7, 0.6, 0.5)), PROBLEM)
    assert found.tau == -1.0
    assert "do not rank" in found.alarms[0]


def test_weights_that_learned_nothing_raise_an_alarm():
    assert "no better after 2 epochs" in audit(trials(scores=(0.3, 0.3)), PROBLEM).alarms[0]


def test_too_few_pairs_give_no_number():
    found = audit(trials(shared=(0.1, 0.2)), PROBLEM)
    assert found.tau is None
    assert found.alarms == ()


def test_the_interval_holds_the_agreement_of_noisy_scores():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    tau, low, high = agreement([(float(t), float(t + n)) for t, n in zip(truth, rng.normal(size=200))])
    assert low < tau < high
    assert 0.4 < tau < 0.6
    assert agreement([(1.0, float(i)) for i in range(9)]) == (None, None, None)


def test_weights_that_saw_a_part_of_an_epoch_raise_an_alarm():
    notes = {"picker": "darts", "part": 0.02, "steps": 40}
    found = audit([trial(0, (0,) * 6, 0.1, "supernet", notes=notes), *trials()[1:]], PROBLEM)
    assert found.epochs == pytest.approx(0.02)
    assert "2% of an epoch only: 40 steps of 0.25 s each with the picker 'darts'" in found.alarms[0]


def test_epochs_of_a_training_that_was_gone_on_from_count():
    notes = {"picker": "uniform", "part": 0.25, "steps": 40}
    found = audit([trial(0, (0,) * 6, 0.1, "supernet", notes=notes, epochs=(4,)), *trials()[1:]], PROBLEM)
    assert found.epochs == pytest.approx(3.25)
    assert not any("of an epoch only" in alarm for alarm in found.alarms)
