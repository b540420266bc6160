"""Optuna's samplers as strategies: faithful, pure, quiet."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Constraint, Fidelity, Measurement, Objective, Proposal, Trial
from archwright.space import Space, chain, choice, integer, op, repeat
from archwright.strategies import Random, optuna_sampler
from archwright.strategies.optuna_sampler import OptunaSampler
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

optuna = pytest.importorskip("optuna", reason="needs Optuna: pip install 'archwright[bench]'")

FAST = (
    "TPESampler",
    "NSGAIISampler",
    "NSGAIIISampler",
    "RandomSampler",
    "QMCSampler",
    "CmaEsSampler",
    "BruteForceSampler",
)


@pytest.mark.parametrize("sampler", FAST)
def test_samplers_keep_the_contract(sampler):
    constraints = (Constraint.parse("params<=18k"),)
    problem = toy_problem(ToySpace(twins=True), fidelity=Fidelity(2), constraints=constraints, workers=2)
    check_strategy(OptunaSampler(sampler), problem, trials=14)


@pytest.mark.slow
def test_its_gaussian_process_keeps_the_contract():
    check_strategy(OptunaSampler("GPSampler"), toy_problem(ToySpace((4, 3))), ToyEvaluator(0.1), trials=12)


def test_it_suggests_what_a_study_of_optuna_suggests():
    problem = toy_problem(ToySpace((6,) * 6))
    run = simulate(OptunaSampler("RandomSampler"), problem, ToyEvaluator(failing=0.2), 30, workers=3)
    strategy = OptunaSampler()
    state = strategy.init(problem)
    for trial in run.heard:
        state = strategy.tell(state, problem, trial)
    distributions = {
        f"choice{index}": optuna.distributions.CategoricalDistribution(tuple(range(6))) for index in range(6)
    }
    suggested = set()
    for number in range(5):
        proposal = strategy.ask(state, problem, np.random.default_rng(number))
        seed = int(np.random.default_rng(number).integers(2**31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            study = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in run.trials:
            value = trial.value("accuracy")
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE,
                    params=trial.proposal.architecture.as_dict(),
                    distributions=distributions,
                    value=value,
                )
            )
        theirs = study.ask(distributions).params
        assert proposal.architecture.as_dict() == theirs
        suggested.add(proposal.architecture)
    assert len(suggested) > 1


def test_it_learns():
    def reached(strategy, seed):
        problem = toy_problem(ToySpace((5,) * 6), seed=seed)
        run = simulate(strategy, problem, ToyEvaluator(), 100)
        return max(problem.space.value(trial.proposal.architecture) for trial in run.trials)

    found = [reached(OptunaSampler(), seed) for seed in range(3)]
    assert np.mean(found) > np.mean([reached(Random(), seed) for seed in range(3)]) + 0.02


def test_numbers_are_integers_and_only_active_choices_are_asked():
    layer = op("dense", width=choice(8, 16, 32), activation=choice("relu", "tanh"), name="layer")
    space = Space(chain(repeat(layer, integer(1, 3, name="depth"), name="tower")))
    kinds = {address: type(found).__name__ for address, found in optuna_sampler._parameters(space).items()}
    assert kinds["tower.depth"] == kinds["tower.layer1.width"] == "IntDistribution"
    assert kinds["tower.layer0.activation"] == "CategoricalDistribution"
    problem = toy_problem(space)
    strategy = OptunaSampler()
    state = strategy.init(problem)
    depths = set()
    for number in range(30):
        proposal = strategy.ask(state, problem, np.random.default_rng(number))
        space.validate(proposal.architecture)
        depths.add(proposal.architecture.as_dict()["tower.depth"])
        measured = Measurement({"accuracy": len(proposal.architecture.choices) / 7})
        state = strategy.tell(state, problem, Trial(number, proposal))
        state = strategy.tell(state, problem, Trial(number, proposal, "finished", (measured,)))
    assert depths == {0, 1, 2}


def test_several_objectives_make_a_multi_objective_study():
    objectives = (Objective("accuracy"), Objective("params", "min"))
    problem = toy_problem(ToySpace((6,) * 5), objectives=objectives, seed=2)
    run = simulate(OptunaSampler("NSGAIISampler"), problem, ToyEvaluator(), 160)
    assert {len(told.scores) for told in run.state.told} == {2}
    generations = [trial.proposal.why["trial_attributes"]["NSGAIISampler:generation"] for trial in run.trials]
    assert generations == [index // 50 for index in range(160)]
    first, last = run.trials[:50], run.trials[-50:]

    def typical(trials, sign):
        return np.mean([problem.scores(trial)[0] + sign * problem.scores(trial)[1] / 30_000 for trial in trials])

    assert typical(last, 1.0) > typical(first, 1.0)


def test_a_quasi_random_sequence_goes_on():
    run = simulate(OptunaSampler("QMCSampler"), toy_problem(ToySpace((4, 4))), ToyEvaluator(), 17)
    drawn = [trial.proposal.architecture for trial in run.trials[1:]]
    assert len(set(drawn)) == 16


def test_broken_constraints_and_missing_scores_are_failures():
    constraints = (Constraint.parse("accuracy>=0.15"),)
    problem = toy_problem(constraints=constraints)
    run = simulate(OptunaSampler(), problem, ToyEvaluator(broken=0.3), 30)
    states = {told.trial: told.state for told in run.state.told}
    for trial in run.trials:
        value = trial.value("accuracy")
        good = value is not None and value >= 0.15
        assert states[trial.id] == ("finished" if good else "failed")
    assert set(states.values()) == {"finished", "failed"}


def test_where_suggestions_break_the_constraints_a_draw_satisfies_them():
    problem = toy_problem(ToySpace((8,) * 6), constraints=(Constraint.parse("params<=14k"),))
    run = simulate(OptunaSampler("RandomSampler"), problem, ToyEvaluator(), 6)
    by = [trial.proposal.why for trial in run.trials]
    assert any(why["by"] == "random" and "20 suggestions" in why["reason"] for why in by)
    assert all(problem.feasible(trial.proposal.architecture) for trial in run.trials)


@pytest.mark.parametrize(("given", "named"), [("TPESampl", "TPESampler"), ("GridSampler", "TPESampler")])
def test_an_unknown_sampler_is_refused(given, named):
    with pytest.raises(StrategyError, match=f"'{given}'.*{named}"):
        OptunaSampler(given).init(toy_problem())


def test_without_optuna_it_says_how_to_get_it(monkeypatch):
    optuna_sampler._samplers.cache_clear()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(StrategyError, match=r"archwright\[bench\]"):
        OptunaSampler().init(toy_problem())


def test_spaces_without_choices_are_refused():
    class Edits:
        name, size = "edits", 9

    with pytest.raises(StrategyError, match="'edits' is not"):
        OptunaSampler().init(toy_problem(Edits()))


def test_optuna_is_silent_here_and_only_here(capfd):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for sampler in ("TPESampler", "QMCSampler", "CmaEsSampler"):
                simulate(OptunaSampler(sampler), toy_problem(ToySpace((3, 3))), ToyEvaluator(), 15)
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
        assert capfd.readouterr().err == ""
    finally:
        optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_a_trial_that_ends_first_is_kept_in_order():
    problem, strategy = toy_problem(), OptunaSampler()
    proposals = [Proposal(problem.space.sample(np.random.default_rng(seed))) for seed in range(3)]
    state = strategy.init(problem)
    for number in (0, 2, 1):
        state = strategy.tell(state, problem, Trial(number, proposals[number], "failed"))
    assert [told.trial for told in state.told] == [0, 1, 2]
