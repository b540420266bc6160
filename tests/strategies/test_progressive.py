"""Progressive search: levels in order, equal shares, the best children first."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from archwright.errors import StrategyError
from archwright.problem import Budget, Constraint, Fidelity, Measurement
from archwright.space.zoo import get_space
from archwright.space.zoo.nas_bench_201 import to_ops
from archwright.strategies import Random
from archwright.strategies.levels import levels, root
from archwright.strategies.progressive import Progressive, encode, ensemble
from archwright.testing.strategy import check_strategy, simulate
from archwright.testing.toy import ToyEvaluator, ToySpace, toy_problem

TABLE = (
    Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "benchmarks"
    / "nas-bench-201.npz"
)


def by_level(run):
    found = {}
    for trial in run.trials:
        found.setdefault(trial.proposal.why["level"], []).append(trial)
    return found


@pytest.mark.parametrize("budget", [Budget(trials=20), Budget(seconds=4.0), Budget(epochs=60.0)], ids=str)
def test_it_keeps_the_contract(budget):
    constraints = (Constraint.parse("params<=14k"),)
    problem = toy_problem(
        ToySpace((5, 5, 4, 3), twins=True), fidelity=Fidelity(3), constraints=constraints, budget=budget, workers=2
    )
    check_strategy(Progressive(), problem, trials=20)


def test_tiny_spaces_run_on_after_all_is_known():
    check_strategy(Progressive(), toy_problem(ToySpace((2, 1))), trials=10)
    assert len(simulate(Progressive(), toy_problem(ToySpace((1, 1))), ToyEvaluator(), 10).trials) == 10


def test_levels_come_in_order_with_equal_shares():
    space = ToySpace((9, 9, 9, 9))
    run = simulate(Progressive(), toy_problem(space, budget=Budget(trials=60)), ToyEvaluator(), 60)
    found = by_level(run)
    assert list(found) == [1, 2, 3, 4]
    assert [len(trials) for trials in found.values()] == [9, 17, 17, 17]
    simple = root(space, levels(space)).as_dict()
    for level, trials in found.items():
        for trial in trials:
            later = trial.proposal.architecture.choices[level:]
            assert all(simple[address] == option for address, option in later)
    assert {trial.proposal.architecture.choices[0][1] for trial in found[1]} == set(range(9))


def test_a_time_limit_makes_its_share_by_the_measured_duration():
    problem = toy_problem(ToySpace((9, 9, 9)), budget=Budget(seconds=45.0), workers=2)
    run = simulate(Progressive(), problem, ToyEvaluator(start=0.5, epoch=1.0), 200, workers=2, seconds=45.0)
    counts = [len(trials) for trials in by_level(run).values()]
    assert len(counts) == 3
    assert counts[0] == 9
    assert abs(counts[1] - counts[2]) <= 3
    assert sum(counts) >= 58


def test_every_proposal_says_its_level_and_what_was_predicted():
    problem = toy_problem(ToySpace((5,) * 5), budget=Budget(trials=50))
    run = simulate(Progressive(), problem, ToyEvaluator(), 50)
    for trial in run.trials:
        why = trial.proposal.why
        assert why["block"] == f"choice{why['level'] - 1}"
        assert ("predicted" in why) == ("uncertainty" in why)
        if trial.proposal.parent is not None:
            assert list(why["edit"]) == [why["block"]]
            assert trial.proposal.parent < trial.id
    late = [trial for trial in run.trials if trial.id > 25]
    assert all("predicted" in trial.proposal.why and trial.proposal.parent is not None for trial in late)
    predicted = [trial.proposal.why["predicted"] for trial in late]
    assert np.median(np.abs(np.array(predicted) - [trial.value("accuracy") for trial in late])) < 0.1


def test_no_function_is_trained_twice():
    problem = toy_problem(ToySpace((6, 6, 4), twins=True), budget=Budget(trials=60))
    run = simulate(Progressive(), problem, ToyEvaluator(), 60, workers=3, rng=np.random.default_rng(1))
    assert len({trial.fingerprint for trial in run.trials}) == 60


def test_an_option_learned_in_one_block_counts_in_the_next():
    space = get_space("nas-bench-201")
    cells = [space.sample(np.random.default_rng(seed)) for seed in range(4)]
    rows = encode(space, cells)
    assert rows.shape == (4, 35)
    for row, cell in zip(rows, cells):
        ops = to_ops(cell)
        assert row[30:].tolist() == [ops.count(option) for option in range(5)]
    first = [space.architecture({**cells[0].as_dict(), "cell.edge0_1": option}) for option in range(5)]
    later = [space.architecture({**cells[0].as_dict(), "cell.edge2_3": option}) for option in range(5)]
    worth = np.array([-1.0, 0.0, 0.5, 2.0, -0.5])
    predicted = ensemble(encode(space, first * 3), np.tile(worth, 3), encode(space, later), np.random.default_rng(0))
    assert predicted.shape == (10, 5)
    assert int(predicted.mean(axis=0).argmax()) == 3


def test_it_beats_random_search_on_a_toy():
    def reached(strategy, seed):
        problem = toy_problem(ToySpace((5,) * 7), seed=seed, budget=Budget(trials=70))
        run = simulate(strategy, problem, ToyEvaluator(), 70)
        return max(problem.space.value(trial.proposal.architecture) for trial in run.trials)

    found = [reached(Progressive(), seed) for seed in range(3)]
    assert min(found) > max(reached(Random(), seed) for seed in range(3))


def test_failed_and_broken_trials_are_survived():
    problem = toy_problem(ToySpace((4, 4, 4)), budget=Budget(trials=30))
    failing = simulate(Progressive(), problem, ToyEvaluator(failing=1.0), 30)
    assert len(by_level(failing)) == 3

    def half(proposal, problem, seed):
        odd = proposal.architecture.choices[0][1] % 2
        return Measurement({"accuracy": float("nan") if odd else problem.space.value(proposal.architecture)})

    run = simulate(Progressive(), problem, half, 30)
    children = [trial.proposal.architecture.choices[0][1] for trial in by_level(run)[3]]
    assert np.mean([option % 2 for option in children]) < 0.3


class Edits:
    """A space that is not made of choices."""

    name, size = "edits", 9


def test_spaces_without_choices_and_wrong_options_are_refused():
    with pytest.raises(StrategyError, match="'edits' is not"):
        Progressive().init(toy_problem(Edits()))
    with pytest.raises(StrategyError, match="beam=0"):
        Progressive(0)


@pytest.mark.slow
@pytest.mark.parametrize(("data", "least"), [("c10", 94.0), ("c100", 73.1), ("in16", 46.3)])
def test_it_beats_random_search_on_nas_bench_201(data, least):
    if not TABLE.exists():
        pytest.skip(f"No {TABLE}: set ARCHWRIGHT_TEST_DATA to the folder of the test data.")
    with np.load(TABLE) as stored:
        noisy, test = stored[f"{data}_single_seed_200ep"].astype(float), stored[f"{data}_test_200ep"].astype(float)
        cells = {tuple(cell): index for index, cell in enumerate(stored["ops"].tolist())}

    def cell(architecture):
        return cells[tuple(to_ops(architecture))]

    def answer(seed):
        problem = toy_problem(get_space("nas-bench-201"), seed=seed, budget=Budget(trials=150))
        run = simulate(Progressive(), problem, lambda proposal, problem, seed: noisy[cell(proposal.architecture)], 150)
        return test[cell(max(run.trials, key=lambda trial: trial.value("accuracy")).proposal.architecture)]

    assert np.mean([answer(seed) for seed in range(5)]) > least
