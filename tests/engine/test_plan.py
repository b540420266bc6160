from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.engine import plan
from archwright.engine.clock import Pace
from archwright.engine.plan import family, first_references, make_plan, openers, trained_controls
from archwright.problem import Constraint, Fidelity
from archwright.space import OUTPUTS, chain, choice, get_space, op
from archwright.strategies.terms import Terms
from archwright.tasks import load_task


@pytest.fixture(scope="module")
def digits():
    return load_task("digits")


def problem(task, budget, space="cnn", **changes):
    given = {"objectives": (aw.Objective("accuracy"),), "budget": aw.Budget.parse(budget), **changes}
    return aw.Problem(get_space(space) if isinstance(space, str) else space, task.signature, **given)


def timed(monkeypatch, epoch, row=0.0):
    """Makes all networks equally fast."""
    monkeypatch.setattr(plan, "pace_of", lambda *_: Pace(epoch, row))
    monkeypatch.setattr(plan, "typical_pace", lambda *_: Pace(epoch, row))


@pytest.mark.parametrize(
    ("budget", "epochs"),
    [("9 trials", 46), ("12 trials, 60 epochs", 6), ("200 epochs", 20), ("5 epochs", 1), ("10000 epochs", 46)],
)
@pytest.mark.parametrize("races", [False, True])
def test_budgets_without_a_time_limit_are_divided_by_the_size_of_the_data(digits, budget, epochs, races):
    found = make_plan(problem(digits, budget), digits, 0.0, 0.0, races=races)
    assert found == plan.Plan(Fidelity(epochs), Fidelity(epochs))
    asked = make_plan(problem(digits, budget), digits, 0.0, 0.0, Fidelity(3), races)
    assert asked == plan.Plan(Fidelity(3), Fidelity(3))


@given(st.floats(0.001, 100.0), st.floats(10.0, 1e5), st.integers(1, 4))
def test_with_a_time_limit_a_trial_is_long_enough_and_there_are_enough_of_them(digits, epoch, seconds, workers):
    with pytest.MonkeyPatch.context() as patched:
        timed(patched, epoch)
        given = problem(digits, f"{seconds}s", workers=workers)
        found = make_plan(given, digits, 0.0, 0.0)
    full = found.fidelity
    assert plan.LEAST_EPOCHS <= full.epochs <= plan.EPOCHS[1]
    assert plan.LEAST_SHARE <= full.share <= 1.0
    assert found.final.epochs >= full.epochs
    trials = 0.5 * seconds * workers / epoch / full.cost
    assert trials >= 0.9 * plan.LEAST_TRIALS or full.share == plan.LEAST_SHARE
    assert full.share < 1.0 or full.epochs in (plan.LEAST_EPOCHS, plan.EPOCHS[1]) or trials >= 0.9 * plan.MOST_TRIALS
    assert "race" not in found.notes


@pytest.mark.parametrize(("epoch", "race"), [(0.1, False), (10.0, True)])
def test_there_is_a_race_if_there_is_no_time_for_enough_whole_trainings(digits, monkeypatch, epoch, race):
    timed(monkeypatch, epoch)
    found = make_plan(problem(digits, "5m"), digits, 0.0, 0.0, races=True)
    assert ("race" in found.notes) is race
    if race:
        terms = Terms.of(dataclasses.replace(problem(digits, "5m"), settings=found.notes))
        assert found.fidelity == Fidelity(terms.epochs)
        assert terms.seconds <= 300.0
        assert found.final.epochs >= terms.epochs
        assert trained_controls(0.1, found.notes) == 0.0
    assert trained_controls(0.1, {}) == 0.1


@pytest.mark.parametrize(
    "changes",
    [
        {"races": False},
        {"fidelity": Fidelity(5)},
        {"space": aw.Space(chain(op("conv_bn_relu", width=choice(4, 8)), op("global_avg_pool"), op("linear", width=OUTPUTS)), "bare")},
        {"objectives": (aw.Objective("accuracy"), aw.Objective("params", "min"))},
        {"objectives": (aw.Objective("params", "min"),)},
        {"constraints": (aw.Constraint.parse("params<=10"),)},
    ],
    ids=["no racer", "own fidelity", "no references", "two objectives", "no error", "no reference fits"],
)  # fmt: skip
def test_else_there_is_none(digits, monkeypatch, changes):
    timed(monkeypatch, 10.0)
    settings = {name: changes.pop(name) for name in ("races", "fidelity") if name in changes}
    given = problem(digits, "5m", **changes)
    assert "race" not in make_plan(given, digits, 0.0, 0.0, **{"races": True, **settings}).notes


def test_a_race_starts_larger_if_there_is_time_for_more(digits, monkeypatch):
    starts = []
    monkeypatch.setattr(plan, "SEEN", 10_000)
    for epoch in (3.0, 20.0, 100.0):
        timed(monkeypatch, epoch)
        starts.append(make_plan(problem(digits, "10m"), digits, 0.0, 0.0, races=True).notes["race"])
    sizes = [start["flops"] for start in starts]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]
    assert len({family(start["start"]) for start in starts}) == 1


def sizes(given, found):
    return [given.costs(start.architecture)["flops"] for start in found]


@pytest.mark.parametrize("space", ["cnn", "mobilenet", "vit"])
def test_openers_are_references_one_of_each_family(digits, space):
    task = digits
    given = problem(task, "9 trials", space)
    found = openers(given, 100)
    names = {architecture: name for name, architecture in given.space.references.items()}
    assert [names[start.architecture] for start in found] == [start.why["reference"] for start in found]
    families = [family(start.why["reference"]) for start in found]
    assert len(set(families)) == len(families)
    assert set(families) == {family(name) for name in names.values()}
    assert openers(given, 2) == found[:2]
    assert openers(given, 0) == ()


def test_openers_keep_the_constraints(digits):
    free = problem(digits, "9 trials")
    bound = sorted(sizes(free, openers(free, 100)))[1]
    tight = problem(digits, "9 trials", constraints=(aw.Constraint.parse(f"flops<={bound:.0f}"),))
    found = openers(tight, 100)
    assert found
    assert max(sizes(tight, found)) <= bound
    assert openers(problem(digits, "9 trials", constraints=(aw.Constraint.parse("params<=10"),)), 9) == ()


def test_a_space_without_references_has_no_openers(digits):
    space = aw.Space(chain(op("conv_bn_relu", width=choice(4, 8)), op("global_avg_pool"), op("linear", width=OUTPUTS)))
    assert openers(problem(digits, "9 trials", space), 9) == ()


@given(st.integers(1, 1000), st.floats(1.0, 1000.0))
def test_references_take_a_quarter_of_the_trials_at_most(trials, epochs):
    assert first_references(aw.Budget(seconds=60.0)) == plan.REFERENCES
    for budget in (aw.Budget(trials=trials), aw.Budget(epochs=epochs), aw.Budget(trials=trials, epochs=epochs)):
        found = first_references(budget)
        assert 0 <= found <= plan.REFERENCES
        assert found <= 0.25 * (budget.trials or math.inf)
        assert found <= 0.25 * (budget.epochs or math.inf) / 10


@pytest.mark.parametrize(("bound", "races"), [("accuracy>=0.6", False), ("latency_ms<=5", True), ("params<=1e9", True)])
def test_short_trainings_cannot_race_for_an_accuracy_that_they_do_not_reach(digits, bound, races):
    given = dataclasses.replace(problem(digits, "60s"), constraints=(Constraint.parse(bound),))
    assert plan._can_race(given) is races


@given(st.floats(0.05, 30.0), st.floats(60.0, 3600.0))
def test_a_race_has_time_to_spare_only_if_longer_training_is_no_use(digits, epoch, seconds):
    with pytest.MonkeyPatch.context() as patched:
        timed(patched, epoch)
        patched.setattr(plan, "LEAST_EPOCHS", 10**6)
        found = make_plan(problem(digits, f"{seconds}s"), digits, 0.0, 0.0, races=True)
    terms = found.notes["race"]
    assert terms["spare"] == 0 or terms["epochs"] == terms["most"]
