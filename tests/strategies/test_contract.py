"""The contract of strategies, held by all that are built in; and the check of it, held to find what breaks it."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from archwright.errors import ArchwrightError
from archwright.problem import Budget, Constraint, Fidelity, Objective, Proposal
from archwright.strategies import Auto, Evolution, Halving, Random, get_strategy, list_strategies
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

BUDGETS = (Budget(trials=30), Budget(seconds=8.0), Budget(epochs=60.0), Budget(8.0, 30, 60.0))
QUICK = ("evolution", "genetic", "grid", "halving", "local", "nsga2", "random", "tournament")
STRATEGIES = [
    *(get_strategy(name) for name in QUICK),
    Evolution(4, 2, replacement=False),
    Halving(Random(), eta=2, rungs=4),
    Halving(Halving(Evolution(5, 2))),
    *(
        pytest.param(get_strategy(name), marks=pytest.mark.slow, id=name)
        for name in list_strategies()
        if name not in (*QUICK, "reference") and not hasattr(get_strategy(name), "picker")
    ),
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_built_in_strategies_keep_the_contract(strategy, budget):
    constraints = (Constraint.parse("params<=18k"),)
    problem = toy_problem(
        ToySpace(twins=True), fidelity=Fidelity(9), constraints=constraints, budget=budget, workers=2, seed=3
    )
    check_strategy(strategy, problem, trials=30)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_tiny_spaces_and_minimised_objectives(strategy):
    objectives = (Objective("params", "min"), Objective("accuracy"))
    check_strategy(strategy, toy_problem(ToySpace((2, 1)), objectives=objectives, fidelity=Fidelity(3)), trials=25)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_a_space_of_one_architecture(strategy):
    run = simulate(strategy, toy_problem(ToySpace((1, 1)), fidelity=Fidelity(9)), ToyEvaluator(), 30)
    assert len(run.trials) == (1 if strategy.name == "grid" else 30)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_a_long_search_folds_to_the_same_state(strategy):
    problem = toy_problem(ToySpace((5,) * 12), fidelity=Fidelity(9), budget=Budget(seconds=500.0))
    run = simulate(strategy, problem, ToyEvaluator(0.1), 1500, workers=4)
    state = strategy.init(problem)
    for trial in run.heard:
        state = strategy.tell(state, problem, trial)
    assert state == run.state


@dataclasses.dataclass(frozen=True)
class Broken(Random):
    """Random search with a fault."""

    fault: str = ""
    told: list = dataclasses.field(default_factory=list)

    def init(self, problem):
        return [] if self.fault == "mutates" else 0

    def tell(self, state, problem, trial):
        if self.fault == "mutates":
            state.append(trial.id)
            return state
        if self.fault == "counts calls":
            self.told.append(trial.id)
            return len(self.told)
        if self.fault == "reads objects":
            return id(trial)
        if self.fault == "fails on failures":
            return state + trial.value("accuracy") if trial.done else state
        return state + 1

    def ask(self, state, problem, rng):
        if self.fault == "stops":
            return None if state > 20 else super().ask(state, problem, rng)
        proposal = super().ask(state, problem, rng)
        changes = {
            "outside": {"architecture": ToySpace((9,)).architecture(7)},
            "too big": {"architecture": problem.space.architecture(4, 4, 4, 4, 4, 4)},
            "too long": {"fidelity": Fidelity(99)},
            "unknown parent": {"parent": 1000},
            "silent": {"why": {}},
            "no JSON": {"why": {"by": "x", "pair": (1, 2)}},
            "not finite": {"why": {"by": "x", "score": float("nan")}},
            "hidden randomness": {"architecture": problem.space.sample(np.random.default_rng())},
            "hidden memory": {"why": {"by": "x", "asked": self.told.append(0) or len(self.told)}},
        }
        return msgspec.structs.replace(proposal, **changes.get(self.fault, {}))


FAULTS = {
    "mutates": "tell changed the state",
    "counts calls": "the state folded from",
    "reads objects": "the state folded from",
    "fails on failures": "unsupported operand",
    "stops": "stopped after",
    "outside": "expected the choices",
    "too big": "breaks the constraints",
    "too long": "epochs=99",
    "unknown parent": "the parent 1000",
    "silent": "what a proposal is by",
    "no JSON": "not plain JSON",
    "not finite": "not JSON compliant",
    "hidden randomness": "for the same state and generator",
    "hidden memory": "for the same state and generator",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_finds_each_fault(fault):
    problem = toy_problem(constraints=(Constraint.parse("params<=29k"),), fidelity=Fidelity(3))
    check_strategy(Broken(), problem, trials=30)
    with pytest.raises((AssertionError, ArchwrightError, TypeError, ValueError), match=FAULTS[fault]):
        check_strategy(Broken(fault=fault), problem, trials=30)


def test_the_check_takes_other_evaluators():
    problem = toy_problem(objectives=(Objective("score"),))
    check_strategy(Evolution(4, 2), problem, lambda proposal, problem, seed: problem.space.value(proposal.architecture))
    check_strategy(Auto(), problem, lambda proposal, problem, seed: {"score": float("nan")}, trials=10)


def test_the_simulator_counts_like_the_loop():
    space = ToySpace((2, 2))
    problem = toy_problem(space, seed=5)
    run = simulate(Random(), problem, ToyEvaluator(start=1.0, epoch=2.0), 12, workers=2)
    assert [trial.id for trial in run.trials] == list(range(12))
    finished = [trial for trial in run.trials if trial.status == "finished"]
    assert len({trial.fingerprint for trial in finished}) >= 2
    for trial in run.trials:
        if trial.status == "duplicate":
            known = run.trials[trial.duplicate_of]
            assert (known.fingerprint, known.measurements) == (trial.fingerprint, trial.measurements)
        drawn = Random().ask((), problem, np.random.default_rng([5, trial.id]))
        assert trial.proposal == Proposal(drawn.architecture, why={"by": "random"})
    starts = [trial.id for trial in run.heard if not trial.measurements and not trial.done]
    assert starts == sorted(starts)
    assert run.seconds == 3.0 * np.ceil(len(finished) / 2)


def numbers(proposal, problem, seed):
    yield np.float32(0.25)
    yield {"accuracy": np.float64(0.5)}


@pytest.mark.parametrize(
    ("evaluator", "status", "values"),
    [
        (numbers, "finished", [0.25, 0.5]),
        (lambda proposal, problem, seed: np.float32(0.25), "finished", [0.25]),
        (lambda proposal, problem, seed: "good", "failed", []),
        (lambda proposal, problem, seed: {"accuracy": None}, "failed", []),
        (lambda proposal, problem, seed: None, "failed", []),
    ],
)
def test_the_simulator_takes_what_executors_take(evaluator, status, values):
    (trial,) = simulate(Random(), toy_problem(), evaluator, 1).trials
    assert trial.status == status
    assert [measurement.values["accuracy"] for measurement in trial.measurements] == values
    assert all(type(measurement.values["accuracy"]) is float for measurement in trial.measurements)
    assert (trial.reason is not None and "expected a number" in trial.reason) == (status == "failed")
