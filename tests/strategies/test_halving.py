from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import StrategyError
from archwright.problem import Fidelity, Measurement, Objective, Proposal, Trial
from archwright.strategies import Evolution, Halving, Random
from archwright.testing.strategy import simulate
from archwright.testing.toy import ToyEvaluator, toy_problem

PROBLEM = toy_problem(fidelity=Fidelity(9))


def result(trial, score, params=1000.0, checkpoint="weights"):
    values = {"accuracy": score, "params": params}
    return msgspec.structs.replace(
        trial, status="finished", measurements=(Measurement(values, artifacts={"checkpoint": checkpoint}),)
    )


class Play:
    """Asks and answers by hand."""

    def __init__(self, strategy, problem=PROBLEM):
        self.strategy, self.problem, self.state, self.count = strategy, problem, strategy.init(problem), 0

    def tell(self, trial):
        self.state = self.strategy.tell(self.state, self.problem, trial)

    def ask(self):
        return self.strategy.ask(self.state, self.problem, np.random.default_rng([0, self.count]))

    def start(self):
        trial = Trial(self.count, self.ask())
        self.count += 1
        self.tell(trial)
        return trial

    def run(self, score, **given):
        trial = result(self.start(), score, **given)
        self.tell(trial)
        return trial


def test_it_promotes_exactly_the_best_third_of_a_rung():
    play = Play(Halving(Random(), eta=3, rungs=2))
    lower = [play.start() for _ in range(9)]
    scores = [0.3, 0.9, 0.1, 0.8, 0.2, 0.5, 0.7, 0.4, 0.6]
    for trial, score in zip(lower, scores, strict=True):
        play.tell(result(trial, score))
    promoted = [play.start() for _ in range(3)]
    assert [(trial.proposal.parent, trial.proposal.why["rank"]) for trial in promoted] == [(1, 1), (3, 2), (6, 3)]
    assert all(trial.proposal.fidelity == Fidelity(9) and trial.proposal.resume == "weights" for trial in promoted)
    assert [trial.proposal.architecture for trial in promoted] == [
        lower[index].proposal.architecture for index in (1, 3, 6)
    ]
    assert play.ask().why["by"] == "random"


def test_a_stream_of_ever_better_scores_does_not_promote_more():
    play = Play(Halving(Random(), rungs=2))
    trials = [play.run(number / 100) for number in range(40)]
    promoted = [trial for trial in trials if trial.proposal.why["by"] == "promotion"]
    assert len(promoted) == 10
    for trial in promoted:
        lower = [item for item in trials[: trial.id] if item.proposal.fidelity == Fidelity(3)]
        assert trial.proposal.parent == lower[-1].id, "the best that waits"
        assert len(lower) // 3 == sum(item.id <= trial.id for item in promoted)


def test_the_highest_rung_is_promoted_first():
    play = Play(Halving(Random(), eta=2, rungs=3))
    for score in (0.1, 0.2):
        play.run(score)
    assert play.run(0.3).proposal.why["from_rung"] == 0
    for score in (0.4, 0.5):
        play.run(score)
    trials = [play.run(0.6).proposal for _ in range(4)]
    first = next(
        proposal for proposal in trials if proposal.why["by"] == "promotion" and proposal.why["from_rung"] == 1
    )
    assert first.fidelity == PROBLEM.fidelity
    assert trials.index(first) <= 1


def test_ties_go_to_the_smaller_network():
    play = Play(Halving(Random(), rungs=2))
    running = [play.start() for _ in range(3)]
    for trial, params in zip(running, (500.0, 300.0, 400.0), strict=True):
        play.tell(result(trial, 0.1, params=params))
    assert play.ask().parent == 1


def test_a_failed_promotion_is_not_repeated_and_frees_nothing():
    play = Play(Halving(Random(), rungs=2))
    for trial in [play.start() for _ in range(3)]:
        play.tell(result(trial, trial.id / 10))
    promoted = play.start()
    assert promoted.proposal.parent == 2
    play.tell(msgspec.structs.replace(promoted, status="failed", reason="a worker died"))
    assert play.ask().why["by"] == "random"


def test_duplicates_take_no_place_on_a_rung():
    play = Play(Halving(Random(), rungs=2))
    for trial in [play.start() for _ in range(6)]:
        told = result(trial, 0.5)
        play.tell(told if trial.id < 2 else msgspec.structs.replace(told, status="duplicate", duplicate_of=0))
    assert play.state.rungs[0].results == 2
    assert play.ask().why["by"] == "random"


class Hearing(Random):
    """A proposer whose state is what it heard: ``(trial, status, score)``."""

    def tell(self, state, problem, trial):
        return (*state, (trial.id, trial.status, problem.score(trial)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_proposer_hears_promotions_on_the_scale_of_the_lowest_rung(sign):
    objective = Objective("accuracy", "max" if sign > 0 else "min")
    problem = toy_problem(fidelity=Fidelity(9), objectives=(objective,))
    play = Play(Halving(Hearing(), eta=3, rungs=2), problem)
    for trial in [play.start() for _ in range(9)]:
        play.tell(result(trial, sign * trial.id / 10))
    before = play.state.proposer
    assert before[9:] == tuple((number, "finished", number / 10) for number in range(9))
    promoted = [play.start() for _ in range(3)]
    assert [trial.proposal.parent for trial in promoted] == [8, 7, 6]
    assert play.state.proposer == before, "a running promotion is no news"
    play.tell(result(promoted[0], sign * 50.0))
    play.tell(result(promoted[2], sign * 99.0))
    play.tell(result(promoted[1], sign * 1.0))
    heard = [(number, score) for number, _, score in play.state.proposer[len(before) :]]
    assert heard == [(8, 0.8), (6, 0.8), (7, 0.6)]


def test_an_evolution_under_it_counts_each_architecture_once():
    trials = simulate(Halving(Evolution(8, 4)), PROBLEM, ToyEvaluator(0.05), 200, workers=3)
    members = trials.state.proposer.members
    assert len({member.trial for member in members}) == 8
    by = {trial.id: trial for trial in trials.trials}
    assert all(by[member.trial].proposal.fidelity == Fidelity(1) for member in members)
    assert all(0 <= member.score < 0.6 for member in members), "no score of a higher rung"


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**16), st.integers(2, 4), st.integers(1, 4), st.integers(1, 5))
def test_no_rung_ever_promotes_more_than_its_share(seed, eta, rungs, workers):
    problem = toy_problem(fidelity=Fidelity(30), seed=seed)
    evaluator = ToyEvaluator(0.1, failing=0.1, broken=0.1)
    run = simulate(
        Halving(eta=eta, rungs=rungs), problem, evaluator, 80, workers=workers, rng=np.random.default_rng(seed)
    )
    top = run.state.rungs[-1]
    assert not top.promoted
    for rung in run.state.rungs:
        assert len(rung.promoted) <= rung.results // eta
        keys = [entry.key for entry in rung.waiting]
        assert keys == sorted(keys)
        assert len(rung.scores) == len(rung.counts)
    epochs = {trial.proposal.fidelity.epochs for trial in run.trials}
    assert epochs <= {max(1, round(30 / eta**power)) for power in range(rungs)}
    for trial in run.trials:
        if trial.proposal.why["by"] == "promotion":
            lower = run.trials[trial.proposal.parent]
            assert lower.proposal.architecture == trial.proposal.architecture
            assert lower.proposal.fidelity < trial.proposal.fidelity
            assert trial.proposal.resume == lower.final.artifacts["checkpoint"]


def test_trials_of_others_and_of_other_fidelities_do_no_harm():
    strategy = Halving(rungs=2)
    state = strategy.init(PROBLEM)
    architecture = PROBLEM.space.sample(np.random.default_rng(0))
    for number, fidelity in enumerate((None, Fidelity(1), Fidelity(5), Fidelity(90))):
        state = strategy.tell(state, PROBLEM, result(Trial(number, Proposal(architecture, fidelity)), 0.5))
    orphan = Proposal(architecture, Fidelity(9), 77, {"by": "promotion", "from_rung": 0})
    state = strategy.tell(state, PROBLEM, result(Trial(9, orphan), 0.5))
    assert [rung.results for rung in state.rungs] == [1, 3]
    assert len(state.proposer.members) == 1


def test_one_epoch_makes_one_rung():
    problem = toy_problem(fidelity=Fidelity(1, 0.5))
    run = simulate(Halving(), problem, ToyEvaluator(), 20)
    assert {trial.proposal.fidelity for trial in run.trials} == {Fidelity(1, 0.5)}


@pytest.mark.parametrize("options", [{"eta": 1}, {"rungs": 0}, {"proposer": "evolution"}])
def test_bad_options_are_refused(options):
    with pytest.raises(StrategyError, match="expected"):
        Halving(**options)
