"""A race for the answer's training: its laws, and what it does if things go wrong."""

from __future__ import annotations

import dataclasses
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import EvaluationError
from archwright.problem import Budget, Constraint, Fidelity, Measurement, Proposal, Trial
from archwright.strategies import Auto, race
from archwright.strategies.race import Candidate, RaceState, beliefs, leader
from archwright.strategies.terms import LEVELS, Terms
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem


@dataclasses.dataclass(frozen=True)
class Known(ToySpace):
    """A toy space some networks of which are known to be good."""

    @property
    def references(self):
        taken = {"small": (1, 1, 1, 1, 1, 1), "medium": (1, 3, 0, 2, 2, 1), "large": (2, 3, 1, 3, 4, 2)}
        return {name: self.architecture(*options) for name, options in taken.items()}


SPACE = Known()
EVALUATOR = ToyEvaluator(0.01, half=4.0, start=0.0, epoch=1.0)


def flops(name, space=SPACE):
    return toy_problem(space).costs(space.references[name])["flops"]


def terms(epochs=30, seconds=60.0, rows=1500, start="medium", spare=0.0, most=400):
    return Terms(start, flops(start), epochs, max(most, epochs), seconds, spare, 1.0, 0.0, rows)


def problem(about, space=SPACE, **changes):
    given = {"fidelity": Fidelity(about.epochs), "budget": Budget(seconds=1.2 * about.seconds), **changes}
    return toy_problem(space, settings={"race": msgspec.to_builtins(about)}, **given)


def run(about, evaluator=EVALUATOR, trials=400, workers=1, **changes):
    return simulate(Auto(), problem(about, workers=workers, **changes), evaluator, trials, workers=workers)


def networks(found):
    return {trial.proposal.architecture for trial in found.trials}


@pytest.mark.parametrize("epochs", [30, 4])
@pytest.mark.parametrize("space", [SPACE, Known(twins=True), ToySpace()], ids=["known", "twins", "no references"])
def test_it_keeps_the_contract_of_strategies(epochs, space):
    about = terms(epochs, 600.0)
    constraints = (Constraint.parse("params<=18k"),)
    check_strategy(Auto(), problem(about, space, constraints=constraints, workers=2, seed=3), trials=30, ends=True)


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_trials_that_take_no_time_or_say_nothing_of_it_are_survived(seconds):
    def instant(proposal, problem, seed):
        yield Measurement({"accuracy": problem.space.value(proposal.architecture)}, 1, seconds)

    check_strategy(Auto(), problem(terms(30, 600.0)), instant, trials=20, ends=True)


def test_it_begins_with_the_start_of_its_terms_and_goes_on_with_the_other_references():
    first = run(terms(start="large", seconds=2000.0)).trials
    by = [trial.proposal.why.get("reference") for trial in first]
    assert by[0] == "large"
    assert set(by) >= {"small", "medium", "large"}
    assert len(first) > 3
    entered = [trial.proposal for trial in first if trial.proposal.why["by"] != "promotion"]
    assert {proposal.fidelity for proposal in entered} == {terms().levels[0]}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("seconds", [8.0, 30.0, 60.0])
def test_it_ends_by_itself_and_leaves_most_of_the_time_to_the_answer(seconds, workers):
    about = terms(round(seconds), seconds)
    found = run(about, workers=workers)
    assert len(found.trials) < 400
    assert all(trial.done for trial in found.trials)
    assert found.seconds <= 0.4 * seconds
    given = problem(about, workers=workers)
    rng = np.random.default_rng([given.seed, len(found.trials)])
    assert Auto().ask(found.state, given, rng) is None
    assert Auto().answer(found.state, given) is not None


def test_with_more_time_at_least_as_many_networks_enter():
    counts = []
    for seconds in (5.0, 20.0, 60.0, 200.0, 600.0):
        entered = [len(networks(run(terms(60, seconds), seed=seed))) for seed in range(4)]
        counts.append(float(np.mean(entered)))
    assert counts == sorted(counts)
    assert counts[0] < 3 < counts[-1]


def test_if_a_trial_takes_all_the_time_none_follows_the_first():
    found = run(terms(30, 1.5))
    assert [trial.proposal.why["by"] for trial in found.trials] == ["reference"]
    assert Auto().answer(found.state, problem(terms(30, 1.5))) == 0


def test_a_reference_that_fails_is_replaced_by_the_next():
    def broken(proposal, given, seed):
        if proposal.architecture == SPACE.references["medium"]:
            raise EvaluationError("It diverged.")
        yield from EVALUATOR(proposal, given, seed)

    found = run(terms(30, 2.0), broken)
    assert [trial.proposal.why["reference"] for trial in found.trials[:2]] == ["medium", "small"]
    assert found.trials[0].status == "failed"
    assert found.trials[Auto().answer(found.state, problem(terms(30, 2.0)))].proposal.why["reference"] != "medium"


def test_if_all_references_fail_random_networks_follow():
    found = run(terms(30, 30.0), ToyEvaluator(failing=1.0), trials=8)
    assert [trial.proposal.why["by"] for trial in found.trials] == ["reference"] * 3 + ["random"] * 5
    assert Auto().answer(found.state, problem(terms(30, 30.0))) is None
    assert len(networks(found)) == 8


def test_references_that_break_a_constraint_do_not_enter():
    small = flops("small") / 2
    found = run(terms(30, 300.0), constraints=(Constraint.parse(f"params<={small:g}"),))
    assert {trial.proposal.why.get("reference") for trial in found.trials} <= {None, "small"}
    assert all(SPACE.graph(one, None).cost.params <= small for one in networks(found))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_promotion_is_a_longer_training_of_the_same_network(workers):
    found = run(terms(60, 600.0), workers=workers)
    levels = terms(60).levels
    promotions = [trial for trial in found.trials if trial.proposal.why["by"] == "promotion"]
    assert promotions
    for trial in promotions:
        before = found.trials[trial.proposal.parent]
        assert trial.proposal.resume is None
        assert trial.proposal.why["whole"]
        assert trial.proposal.architecture == before.proposal.architecture
        assert trial.proposal.fidelity == levels[levels.index(before.proposal.fidelity) + 1]
    assert len({(trial.proposal.architecture, trial.proposal.fidelity) for trial in found.trials}) == len(found.trials)


def test_steps_say_what_they_are_expected_to_gain_and_to_cost():
    steps = [trial.proposal.why for trial in run(terms(30, 300.0)).trials]
    assert "expected_gain" not in steps[0]
    assert len(steps) > 2
    assert all(why["expected_gain"] > 0 <= why["cost"] < why["expected_gain"] + 1e-4 for why in steps[1:])


def test_a_second_worker_works_from_the_start_if_networks_are_to_be_compared():
    given, auto = problem(terms(30, 6000.0), workers=2), Auto()
    state, rng = auto.init(given), np.random.default_rng(0)
    first = auto.ask(state, given, rng)
    state = auto.tell(state, given, Trial(0, first))
    beside = auto.ask(state, given, rng)
    assert beside.architecture != first.architecture
    state = auto.tell(state, given, Trial(1, beside))
    assert auto.ask(state, given, rng) is None
    measured = Measurement({"accuracy": 0.5, "params": 1.0}, 1, 1.0, {"checkpoint": "a"})
    state = auto.tell(state, given, Trial(0, first, "finished", (measured,), seconds=1.0))
    third = auto.ask(state, given, rng)
    assert third.architecture not in (first.architecture, beside.architecture)


def test_if_no_comparison_is_worth_its_time_the_answer_s_training_begins_at_once():
    given, auto = problem(terms(4, 4.0)), Auto()
    state, rng = auto.init(given), np.random.default_rng(0)
    first = auto.ask(state, given, rng)
    assert first.why["probe"]
    assert not first.why["whole"]
    measured = Measurement({"accuracy": 0.5, "params": 1.0}, 1, 1.0, {"checkpoint": "a"})
    state = auto.tell(state, given, Trial(0, first))
    assert auto.ask(state, given, rng) is None
    state = auto.tell(state, given, Trial(0, first, "finished", (measured,), seconds=0.1))
    assert auto.ask(state, given, rng) is None
    assert auto.answer(state, given) == 0


def test_time_that_the_answer_does_not_need_costs_nothing():
    few, many = (len(run(terms(30, 60.0, spare=spare)).trials) for spare in (0.0, 600.0))
    assert many > 3 * few
    top = terms().levels[-1]
    assert any(trial.proposal.fidelity == top for trial in run(terms(30, 60.0, spare=600.0)).trials)


def test_a_longer_training_that_was_no_better_ends_a_curve():
    given = problem(terms(60, 600.0))
    state = RaceState()
    for number, (level, accuracy) in enumerate(((0, 0.8), (1, 0.7))):
        why = {"by": "reference" if not level else "promotion", "level": level}
        proposal = Proposal(candidate(0, 0).architecture, terms(60).levels[level], number - 1 if level else None, why)
        measured = Measurement({"accuracy": accuracy}, 1, 1.0)
        state = race.tell(state, given, Trial(number, proposal))
        state = race.tell(state, given, Trial(number, proposal, "finished", (measured,), seconds=1.0))
    assert state.candidates[0].settled
    assert Auto().answer(state, given) == 0
    believed = beliefs(state, terms(60, 600.0), 1)[0]
    assert believed.mean == pytest.approx(math.log(0.2))


def test_two_workers_try_more_than_one():
    one, two = (len(run(terms(60, 200.0), workers=workers).trials) for workers in (1, 2))
    assert two > one


def candidate(number, error, trained=9.0, pace=1.0, parent=None, running=False):
    network = SPACE.architecture(*np.unravel_index(number, SPACE.options))
    return Candidate(network, number, parent, number, trained, error, pace=pace, running=running)


def test_the_luckiest_of_short_trainings_is_not_taken_for_the_best():
    """A network that is expected behind and was seen ahead by less than the noise does not lead; if rows are many it does."""
    state = RaceState((candidate(0, 0.200), *(candidate(number, 0.195) for number in range(1, 6))))
    assert leader(state, terms(rows=150), 1) == 0
    surely = RaceState((candidate(0, 0.20, 30.0), candidate(1, 0.15, 30.0)))
    assert leader(surely, terms(rows=100_000), 1) == 1


@settings(deadline=None)
@given(st.floats(0.01, 0.6), st.floats(0.01, 0.6), st.integers(50, 10**6), st.floats(0.2, 30.0))
def test_a_belief_lies_between_what_was_expected_and_what_was_seen(first, second, rows, trained):
    about = terms(rows=rows)
    state = RaceState((candidate(0, first, trained), candidate(1, second, trained)))
    found = beliefs(state, about, 1)
    alone = beliefs(RaceState((candidate(1, second, trained),)), about, 1)[0]
    expected = found[0].mean + race.OTHER[0]
    low, high = sorted((expected, alone.mean))
    assert low - 1e-9 <= found[1].mean <= high + 1e-9
    assert 0 < found[1].deviation <= alone.deviation
    more = beliefs(state, terms(rows=10 * rows), 1)[1]
    assert more.deviation <= found[1].deviation + 1e-12


@given(st.floats(1.0, 20.0))
def test_a_slow_network_is_expected_to_end_behind_a_fast_one_of_the_same_error(slower):
    found = beliefs(RaceState((candidate(0, 0.2, 1.0), candidate(1, 0.2, 1.0, slower))), terms(30), 1)
    alike = beliefs(RaceState((candidate(0, 0.2, 1.0), candidate(1, 0.2, 1.0))), terms(30), 1)
    assert found[1].mean >= alike[1].mean
    assert found[1].epochs == pytest.approx(max(1.0, alike[1].epochs / slower))


def test_a_mutant_is_expected_near_its_parent():
    state = RaceState((candidate(0, 0.5, 1.0), candidate(1, 0.2, 1.0), candidate(2, 0.2, 1.0, parent=1)))
    child = beliefs(state, terms(), 1)[2]
    stranger = beliefs(RaceState((*state.candidates[:2], candidate(2, 0.2, 1.0))), terms(), 1)[2]
    assert child.mean < stranger.mean


def promoted(status, **changes):
    """The state after a race of two whose leader's promotion ended so."""
    given = problem(terms(60, 600.0))
    state = RaceState()
    for number, error in enumerate((0.2, 0.4)):
        proposal = Proposal(candidate(number, 0).architecture, Fidelity(1), why={"by": "reference", "level": 0})
        measured = Measurement({"accuracy": 1 - error}, 1, 1.0, {"checkpoint": f"weights{number}"})
        state = race.tell(state, given, Trial(number, proposal))
        state = race.tell(state, given, Trial(number, proposal, "finished", (measured,), seconds=1.0))
    why = {"by": "promotion", "level": 1}
    further = Proposal(candidate(0, 0).architecture, Fidelity(3), 0, why, "weights0")
    state = race.tell(state, given, Trial(2, further))
    return race.tell(state, given, Trial(2, further, status, seconds=1.0, **changes)), given


def test_a_promotion_that_was_stopped_leaves_its_network_in_the_lead():
    state, given = promoted("stopped", reason="the time for searching is up")
    assert Auto().answer(state, given) == 0
    assert not state.candidates[0].running
    assert state.spent == pytest.approx(3.0)


def test_a_promotion_that_failed_takes_its_network_out_of_the_race():
    state, given = promoted("failed", reason="it diverged")
    assert Auto().answer(state, given) == 1


@given(st.integers(1, 400))
def test_levels_grow_to_the_whole_training(epochs):
    found = terms(epochs).levels
    costs = [level.cost for level in found]
    assert costs == sorted(set(costs))
    assert costs[-1] == epochs
    assert len(found) == LEVELS


@given(st.floats(10.0, 1e5), st.floats(0.0, 1e5), st.integers(1, 60))
def test_more_time_means_more_epochs_at_the_same_pace_and_then_time_to_spare(seconds, more, epochs):
    before = terms(epochs, seconds)
    after = before.with_seconds(more)
    wanted = epochs * (seconds + more) / seconds
    assert after.seconds + after.spare == pytest.approx(seconds + more, abs=2e-3)
    assert after.epochs == pytest.approx(min(before.most, wanted), abs=0.5 + 1e-6)
    assert (after.spare > 1e-2) <= (after.epochs == before.most)
    assert (after.start, after.flops, after.rows) == (before.start, before.flops, before.rows)


@given(st.floats(0.0, 3.0), st.floats(1e-6, 2.0))
def test_the_expected_improvement_is_what_the_normal_distribution_says(behind, deviation):
    draws = np.linspace(-8, 8, 20001)
    density = np.exp(-0.5 * draws**2) / math.sqrt(2 * math.pi)
    numeric = float(np.sum(np.maximum(0.0, deviation * draws - behind) * density) * (draws[1] - draws[0]))
    assert race._improvement(behind, deviation) == pytest.approx(numeric, abs=1e-5 * deviation + 1e-9)


def test_mutants_have_about_the_size_of_their_parents():
    found = run(terms(60, 2000.0))
    mutants = [trial for trial in found.trials if trial.proposal.why["by"] == "mutation"]
    assert mutants
    for trial in mutants:
        sizes = [
            SPACE.graph(one.proposal.architecture, None).cost.flops
            for one in (trial, found.trials[trial.proposal.parent])
        ]
        assert race.SIZES[0] <= sizes[0] / sizes[1] <= race.SIZES[1]
        assert trial.proposal.why["edit"]


def test_a_race_replayed_from_its_trials_proposes_the_same():
    about = terms(60, 600.0)
    found, given = run(about, workers=2), problem(about, workers=2)
    state = Auto().init(given)
    for number, heard in enumerate(found.heard):
        state = Auto().tell(state, given, msgspec.convert(msgspec.to_builtins(heard), Trial))
        if number in (3, 10, len(found.heard) - 1):
            again = msgspec.convert(msgspec.to_builtins(state), RaceState)
            asked = [Auto().ask(one, given, np.random.default_rng(number)) for one in (state, again)]
            assert asked[0] == asked[1]
    assert state == found.state


def test_with_more_time_a_race_that_ended_goes_on():
    about = terms(30, 60.0, spare=20.0, most=30)
    found = run(about)
    rng = np.random.default_rng(0)
    later = about.with_seconds(600.0)
    assert Auto().ask(found.state, problem(about), rng) is None
    assert isinstance(Auto().ask(found.state, problem(later), rng), Proposal)


def test_without_terms_there_is_no_race():
    given = toy_problem(SPACE)
    assert not isinstance(Auto().init(given), RaceState)
    assert Terms.of(given) is None
    assert Auto().answer(Auto().init(given), given) is None


def test_only_what_was_trained_for_as_long_as_any_can_lead():
    """Errors that fall less than the prior expects do not make a network lead that was only trained for less."""
    known = candidate(0, 0.168, 23.0)
    assert leader(RaceState((known, candidate(1, 0.167, 1.0, parent=0))), terms(23, 600.0), 1) == 0
    assert leader(RaceState((known, candidate(1, 0.12, 23.0, parent=0))), terms(23, 600.0), 1) == 1
    ended = msgspec.structs.replace(candidate(1, 0.05, 3.0, parent=0), settled=True)
    assert leader(RaceState((known, ended)), terms(23, 600.0, 10**6), 1) == 1


def test_curves_that_ended_for_two_others_end_that_of_a_third():
    def ended(number):
        return msgspec.structs.replace(candidate(number, 0.14, 5.0), settled=True)

    third = candidate(2, 0.13, 5.0)
    one, two = RaceState((ended(0), third)), RaceState((ended(0), ended(1), third))
    assert beliefs(one, terms(14, 600.0), 1)[1].epochs > 5
    assert beliefs(two, terms(14, 600.0), 1)[2].epochs == 5
    gained = (candidate(3, 0.1, 14.0), candidate(4, 0.1, 14.0))
    still = msgspec.structs.replace(two, candidates=(*two.candidates, *gained))
    assert beliefs(still, terms(14, 600.0), 1)[2].epochs > 5, "as many were better"


def test_with_much_more_time_the_beginning_of_the_answer_s_training_is_compared_like_others():
    short = terms(1, 20.0, most=60)
    long = short.with_seconds(4000.0)
    before, after = problem(short), problem(long)
    assert not race.worth_comparing(before, short)
    assert race.worth_comparing(after, long)
    state, rng = RaceState(), np.random.default_rng(0)
    first = race.ask(state, before, short, rng)
    assert first.why["probe"]
    measured = Measurement({"accuracy": 0.6}, 1, 1.0)
    for status, values in (("running", ()), ("finished", (measured,))):
        state = race.tell(state, before, Trial(0, first, status, values, seconds=1.0))
    assert race.ask(state, before, short, rng) is None
    again = race.ask(state, after, long, rng)
    assert (again.architecture, again.why["whole"], again.fidelity) == (first.architecture, True, long.levels[0])
    state = race.tell(state, after, Trial(1, again))
    assert (state.candidates[0].probe, state.candidates[0].error) == (False, None)
