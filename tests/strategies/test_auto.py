from __future__ import annotations

import itertools
from collections import Counter

import msgspec
import numpy as np
import pytest

from archwright.problem import Budget, Fidelity, Measurement
from archwright.strategies import Auto, Evolution, Random
from archwright.strategies.auto import Pair, agreement
from archwright.testing.strategy import simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

SPACE = ToySpace((5,) * 10)


def search(
    budget, *, epochs=27, workers=2, trials=5000, evaluator=None, strategy=None, seed=0, space=SPACE, **settings
):
    problem = toy_problem(space, fidelity=Fidelity(epochs), budget=budget, workers=workers, seed=seed, **settings)
    limit = budget.trials if budget.trials is not None else trials
    measured = evaluator or ToyEvaluator(0.02, half=4.0, start=0.1, epoch=1 / 30)
    return simulate(strategy or Auto(), problem, measured, limit, workers=workers, seconds=budget.seconds)


def full(run, epochs=27):
    finished = [trial for trial in run.trials if trial.status == "finished"]
    return [trial for trial in finished if trial.proposal.fidelity in (None, Fidelity(epochs))]


def phases(run):
    return [trial.proposal.why["phase"] for trial in run.trials]


def test_two_minutes_of_one_second_trials():
    run = search(Budget(seconds=120.0), settings={"search_seconds": 90.0})
    done = [trial for trial in run.trials if trial.done]
    assert len(done) >= 100
    assert len(full(run)) >= 20
    assert phases(run)[:4] == ["probe"] * 4
    assert {"explore", "promote", "finish"} <= set(phases(run))
    numbers = run.trials[-1].proposal.why["plan"]
    assert numbers["start_seconds"] == pytest.approx(0.1)
    assert numbers["epoch_seconds"] == pytest.approx(1 / 30, rel=0.01)
    assert numbers["epochs"][-1] == 27


def test_the_expected_numbers_come_true():
    run = search(Budget(seconds=60.0))
    plan = run.state.plan
    explored = [trial for trial in run.trials if trial.proposal.why["phase"] == "explore"]
    assert sum(trial.status == "finished" for trial in explored) == pytest.approx(plan.candidates, rel=0.2)
    promoted = [trial for trial in full(run) if trial.proposal.why["phase"] == "promote"]
    assert len(promoted) == pytest.approx(plan.finalists, rel=0.35)


def test_the_best_that_wait_reach_the_top_at_the_end():
    run = search(Budget(seconds=30.0))
    finish = [index for index, phase in enumerate(phases(run)) if phase == "finish"]
    assert finish
    assert min(finish) > 0.8 * len(run.trials)
    last = [trial.proposal.fidelity.epochs for trial in run.trials if trial.proposal.why["phase"] == "finish"]
    assert set(last) == {27}


@pytest.mark.parametrize("count", [1, 2, 5, 10, 60])
def test_a_limit_in_trials_makes_full_trials_of_random_and_guided_proposals(count):
    run = search(Budget(trials=count))
    assert len(run.trials) == len(full(run)) == count
    kinds = [trial.proposal.why["by"] for trial in run.trials]
    assert "promotion" not in kinds
    assert bool({"mutation", "surrogate"} & set(kinds)) == (count >= 5)


def test_proposals_say_how_far_the_model_and_the_fidelities_are_trusted():
    run = search(Budget(seconds=30.0))
    guided = [trial.proposal.why for trial in run.trials if trial.proposal.why["by"] == "surrogate"]
    assert guided
    for why in guided:
        assert {"rank_correlation", "predicted", "uncertainty", "acquisition", "plan", "rung"} <= set(why)
    taus = [trial.proposal.why.get("fidelities_agree") for trial in run.trials]
    assert taus[0] is None
    assert taus[-1] == round(agreement(run.state.pairs), 3)
    assert -1 <= taus[-1] <= 1


def pairs(before, after):
    return tuple(Pair(0, 1, *scores) for scores in zip(before, after, strict=True))


def test_fidelities_agree_where_they_rank_alike():
    rising = [float(number) for number in range(10)]
    assert agreement(pairs(rising, rising)) == 1.0
    assert agreement(pairs(rising, rising[::-1])) == -1.0
    assert agreement(pairs(rising[:5], rising[:5])) is None
    upper = tuple(Pair(1, 2, pair.before, pair.after) for pair in pairs(rising, rising[::-1]))
    assert agreement(pairs(rising, rising) + upper) == 0.0, "steps of the ladder are not mixed"


def test_the_less_the_fidelities_agree_the_sooner_full_training_begins():
    problem = toy_problem(SPACE, fidelity=Fidelity(27), budget=Budget(seconds=30.0))
    run = search(Budget(seconds=30.0), workers=1)
    rising = [float(number) for number in range(10)]
    begins = []
    for after in (rising, rising[::-1]):
        for tenths in range(300):
            state = msgspec.structs.replace(
                run.state,
                pairs=pairs(rising, after),
                spent=msgspec.structs.replace(run.state.spent, seconds=tenths / 10),
            )
            if Auto().ask(state, problem, np.random.default_rng(0)).why["phase"] == "finish":
                begins.append(tenths / 10)
                break
    alike, crossing = begins
    assert crossing < alike < 30.0
    assert alike - crossing == pytest.approx(3.0, abs=0.5), "a tenth of the budget lies between the two"


def test_without_a_time_limit_nothing_depends_on_time():
    for budget in (Budget(trials=60), Budget(epochs=500.0), Budget(trials=60, epochs=300.0)):
        slow = search(budget, workers=1, trials=80, evaluator=ToyEvaluator(0.02, start=7.0, epoch=3.0))
        fast = search(budget, workers=1, trials=80, evaluator=ToyEvaluator(0.02, start=0.0, epoch=0.001))
        assert [trial.proposal for trial in slow.trials] == [trial.proposal for trial in fast.trials]
        assert "probe" not in phases(slow)


def test_a_limit_in_epochs_is_used_up_with_several_full_trials():
    run = search(Budget(epochs=540.0), workers=1, trials=400)
    spent, reached = 0.0, []
    for trial in run.trials:
        source = trial.proposal.parent if trial.proposal.resume else None
        spent += trial.proposal.fidelity.cost - (run.trials[source].proposal.fidelity.cost if source is not None else 0)
        if spent > 540:
            break
        reached.append(trial.proposal.fidelity.epochs)
    assert reached.count(27) >= 5
    assert len(reached) >= 100
    assert run.trials[len(reached) - 1].proposal.why["phase"] == "finish"


def test_a_time_too_short_for_full_trials_lowers_the_top():
    run = search(Budget(seconds=2.0), workers=1)
    assert run.state.plan.top < 3
    assert sum(trial.done for trial in run.trials) >= 8
    short = toy_problem(SPACE, fidelity=Fidelity(27), budget=Budget(seconds=2.0))
    assert Auto().highest(Auto().init(short), short) is None
    assert Auto().highest(run.state, short) == Fidelity(3**run.state.plan.top)


def test_a_cold_start_does_not_decide_the_plan():
    """The first trial of each worker takes 8 s more, as much as a fifteenth of the time."""

    def evaluate(proposal, problem, seed):
        cold = 8.0 if proposal.why["phase"] == "probe" and next(calls) < 2 else 0.0
        for measurement in ToyEvaluator(0.02, start=0.1, epoch=1 / 30)(proposal, problem, seed):
            yield msgspec.structs.replace(measurement, seconds=cold + measurement.seconds)

    calls = itertools.count()
    cold = search(Budget(seconds=50.0), evaluator=evaluate)
    warm = search(Budget(seconds=50.0))
    assert cold.trials[1].seconds > 8.0 > warm.trials[1].seconds
    assert cold.state.plan.speed.start == pytest.approx(0.1)
    assert cold.state.plan.candidates == pytest.approx(warm.state.plan.candidates)


def test_trials_that_take_no_time_make_full_ones():
    run = search(Budget(seconds=60.0), trials=60, evaluator=lambda proposal, problem, seed: 0.5)
    assert run.state.plan.entry == run.state.plan.top
    assert len(full(run)) >= 20


def test_it_goes_on_where_all_trials_fail():
    run = search(Budget(seconds=30.0), trials=50, evaluator=ToyEvaluator(failing=1.0))
    assert len(run.trials) == 50
    assert set(phases(run)) == {"probe"}


def test_it_beats_random_search_and_evolution_at_equal_time():
    def answer(strategy, seed):
        run = search(Budget(seconds=20.0), strategy=strategy, seed=seed)
        best = max(full(run), key=lambda trial: trial.value("accuracy"))
        return SPACE.value(best.proposal.architecture)

    kinds = (Auto(), Evolution(10, 5), Random())
    auto, evolution, drawn = (np.array([answer(strategy, seed) for seed in range(8)]) for strategy in kinds)
    assert np.mean(auto - drawn) > 0.05
    assert np.mean(auto - evolution) > 0.0


def slow_and_fast(proposal, problem, seed):
    """Options of the first choice make networks slower and, at equal epochs, slightly better."""
    taken = dict(proposal.architecture.choices)["choice0"]
    for epoch in range(1, (proposal.fidelity or problem.fidelity).epochs + 1):
        training = 0.02 * 3.0**taken
        values = {"accuracy": 1.0 - (0.2 - 0.01 * taken) * epoch**-0.2, "params": 10.0}
        yield Measurement(values, epoch, training * epoch, notes={"training": training})


@pytest.mark.parametrize(("settings", "prefers"), [({}, 4), ({"final": {"seconds": 10.0, "epochs": 60.0}}, 2)])
def test_where_time_is_short_a_fast_network_is_worth_more(settings, prefers):
    space = ToySpace((5, 4, 4), name="slow")
    run = search(
        Budget(seconds=15.0),
        epochs=8,
        evaluator=slow_and_fast,
        settings=settings,
        strategy=Auto(),
        space=space,
    )
    tops = [trial for trial in run.trials if trial.proposal.why["by"] == "promotion"]
    taken = Counter(dict(trial.proposal.architecture.choices)["choice0"] for trial in tops)
    assert taken.most_common(1)[0][0] == prefers
