from __future__ import annotations

import dataclasses

import pytest

from archwright.explain import NOTHING_MORE, controls, show_controls, weighed
from archwright.problem import BASELINE, FINAL, Fidelity
from archwright.space import Space

RANDOM = {"by": BASELINE}


@pytest.fixture
def known(problem, architectures):
    """The problem on a space that names two networks."""
    named = {name: dict(problem.space.describe(architectures[place])) for name, place in (("good", 0), ("other", 1))}
    space = Space(problem.space.expression, "tiny", named)
    assert list(space.references.values()) == architectures[:2]
    return dataclasses.replace(problem, space=space)


def test_the_best_of_each_control_after_the_training_that_the_answer_had(known, trial, architectures):
    answer = trial(4, architectures[5], 0.9)
    trials = [
        trial(0, architectures[0], 0.80),
        trial(1, architectures[1], 0.85),
        trial(2, architectures[2], 0.60, why=RANDOM),
        trial(3, architectures[3], 0.70, why=RANDOM),
        trial(5, architectures[6], 0.95),
        answer,
    ]
    reference, drawn = controls(trials, known, answer)
    assert (reference.kind, reference.trial, reference.name, reference.networks) == ("reference", 1, "other", 2)
    assert (drawn.kind, drawn.trial, drawn.name, drawn.networks) == ("random", 3, "", 2)
    assert {control.answer for control in (reference, drawn)} == {0.9}
    assert show_controls((reference, drawn)) == (
        "after 5 epochs on validation rows the answer had 90.00%, "
        "the best of 2 references (other) had 85.00%, the best of 2 random networks had 70.00%"
    )


def test_the_answer_is_no_control_of_its_own(known, trial, architectures):
    answer = trial(1, architectures[0], 0.9)
    trials = [answer, trial(2, architectures[1], 0.7), trial(3, architectures[0], 0.9, why=RANDOM)]
    (reference,) = controls(trials, known, answer)
    assert (reference.trial, reference.networks) == (2, 1)
    assert reference.text == "the reference (other) had 70.00%"
    assert controls([answer], known, answer) == ()


def test_only_equal_trainings_are_compared_at_the_longest_that_both_had(known, trial, architectures):
    answer = trial(9, architectures[5], 0.9)
    low, high = Fidelity(1), Fidelity(3)
    trials = [
        trial(0, architectures[0], 0.99),
        trial(1, architectures[1], 0.5, fidelity=low),
        trial(2, architectures[1], 0.6, fidelity=high),
        trial(3, architectures[2], 0.7, fidelity=high, why=RANDOM),
        trial(7, architectures[5], 0.3, fidelity=low),
        trial(8, architectures[5], 0.8, fidelity=high),
    ]
    reference, drawn = controls(trials, known, answer)
    assert (reference.trial, reference.value, reference.answer, reference.trained) == (2, 0.6, 0.8, "3 epochs")
    assert (drawn.trial, drawn.answer) == (3, 0.8)
    assert controls([*trials[:1], trials[4]], known, answer) == (), "the reference was not trained as the answer was"


def test_one_random_network_is_called_too_few(known, trial, architectures):
    answer = trial(1, architectures[5], 0.9)
    (drawn,) = controls([answer, trial(2, architectures[3], 0.95, why=RANDOM)], known, answer)
    assert "too few for a control" in drawn.text
    assert "the best of" not in show_controls([drawn])


@pytest.mark.parametrize("change", [{"status": "failed"}, {"status": "stopped"}, {"why": {"by": FINAL, "of": 1}}])
def test_what_did_not_finish_or_was_no_search_is_no_control(known, trial, architectures, change):
    answer = trial(1, architectures[5], 0.9)
    assert controls([answer, trial(2, architectures[0], 0.7, **change)], known, answer) == ()


def test_the_best_of_what_is_minimised_is_the_smallest(known, trial, architectures):
    from archwright.problem import Objective

    least = dataclasses.replace(known, objectives=(Objective("params", "min"),))
    answer = trial(1, architectures[5], 0.9)
    (found,) = controls([answer, trial(2, architectures[0], 0.5), trial(3, architectures[1], 0.5)], least, answer)
    assert (found.value, found.answer) == (100.0, 100.0)


def test_nothing_is_said_without_controls(known, trial, architectures):
    assert show_controls(()) == ""
    assert weighed([trial(1, architectures[5])], known, None) == ()


def test_a_race_says_what_it_weighed(known, trial, architectures):
    race = dataclasses.replace(known, settings={"race": {"epochs": 30, "start": "good"}})
    first = trial(0, architectures[0], why={"by": "reference"})
    (alone,) = weighed([first], race, NOTHING_MORE)
    assert alone == "Time: 30 epochs of good in all; a further network would have cost more than it gains."
    assert weighed([first], race, "the time is up") == (
        "Time: 30 epochs of good in all; there was time for no comparison.",
    )
    steps = [
        trial(number, architectures[number], why={"by": "mutation", "expected_gain": 0.02, "cost": 0.005})
        for number in (1, 2)
    ]
    trials = [first, *steps, trial(3, architectures[4], why={"by": FINAL, "of": 1})]
    (said,) = weighed(trials, race, NOTHING_MORE)
    assert said == (
        "Time: 30 epochs of good in all. 3 networks and 2 steps of the search were expected to lower the error by "
        "3.9% and cost the answer's training 1.0% of it; the next would have cost more than it gains."
    )
    assert weighed(trials, race, "the time is up")[0].endswith("1.0% of it.")
