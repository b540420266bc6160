from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import BudgetError
from archwright.problem import Budget, Constraint, Objective

budgets = st.builds(
    Budget,
    seconds=st.none() | st.integers(1, 10**6).map(float),
    trials=st.none() | st.integers(1, 10**6),
    epochs=st.none() | st.integers(1, 10**4).map(float),
).filter(lambda budget: (budget.seconds, budget.trials, budget.epochs) != (None, None, None))


@given(budgets)
def test_a_budget_reads_back_what_it_writes(budget):
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("2m", Budget(120.0)),
        ("1h30m", Budget(5400.0)),
        ("90 s", Budget(90.0)),
        ("1.5h", Budget(5400.0)),
        ("50 trials", Budget(trials=50)),
        ("2m and 50 trials", Budget(120.0, 50)),
        ("10 epochs, 3 trials", Budget(trials=3, epochs=10.0)),
        (45, Budget(45.0)),
        (0.5, Budget(0.5)),
        ("45", Budget(45.0)),
    ],
)
def test_budgets_as_people_write_them(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    "text",
    ["", "soon", "0s", "-3m", "2m 5", "5 apples", "2 mm", "1h x", "0 trials", float("nan"), -1, True, "0.5 trials"],
)
def test_budgets_that_make_no_sense_are_refused(text):
    with pytest.raises(BudgetError):
        Budget.parse(text)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), st.sampled_from(["<=", ">="]), st.integers(0, 10**12))
def test_a_constraint_reads_back_what_it_writes(metric, relation, bound):
    constraint = Constraint(metric, relation, float(f"{bound:g}"))
    assert Constraint.parse(str(constraint)) == constraint


@pytest.mark.parametrize("text", ["params<200", "params", "<=3", "params<=", "params<=3x", "params==3"])
def test_constraints_that_make_no_sense_are_refused(text):
    with pytest.raises(BudgetError, match="METRIC"):
        Constraint.parse(text)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_constraint_and_its_opposite_cover_everything(value, bound):
    assert Constraint("params", "<=", bound).holds(value) or Constraint("params", ">=", bound).holds(value)


def test_suffixes():
    assert Constraint.parse("params<=200k").bound == 200_000
    assert Constraint.parse("flops <= 1.5M").bound == 1_500_000


def test_objectives():
    assert Objective.parse("accuracy") == Objective("accuracy", "max")
    assert Objective.parse("log_loss") == Objective("log_loss", "min")
    assert Objective.parse("min:my_metric") == Objective("my_metric", "min")
    assert Objective.parse("max:params").score(3.0) == 3.0
    assert Objective.parse("params").score(3.0) == -3.0
    for text in ("", "most:accuracy", "Accuracy!", "min:"):
        with pytest.raises(BudgetError):
            Objective.parse(text)
