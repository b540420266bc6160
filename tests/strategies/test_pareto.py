from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import StrategyError
from archwright.strategies.pareto import crowding, front, fronts, hypervolume, survivors

LAW = settings(deadline=None, max_examples=60)


@st.composite
def tables(draw, rows=(1, 30), columns=(1, 4)):
    """Scores with many ties, and with few."""
    shape = draw(st.integers(*rows)), draw(st.integers(*columns))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    return rng.integers(0, 5, shape).astype(float) if draw(st.booleans()) else rng.random(shape)


def dominates(one, other, broken, others):
    if broken != others:
        return broken < others
    return broken == 0 and all(a >= b for a, b in zip(one, other)) and any(a > b for a, b in zip(one, other))


@LAW
@given(tables(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_fronts_follow_from_the_definition(table, kinds, random):
    broken = [random.choice([0.0, 0.5, 1.0, 2.0][: kinds + 1]) for _ in table]
    left, expected = set(range(len(table))), []
    while left:
        front = [j for j in left if not any(dominates(table[i], table[j], broken[i], broken[j]) for i in left)]
        expected.append(sorted(front))
        left -= set(front)
    assert [front.tolist() for front in fronts(table, broken)] == expected


@LAW
@given(tables(rows=(1, 60)))
def test_the_first_front_alone_is_the_same(table):
    assert front(table) == fronts(table)[0].tolist()
    assert front([]) == fronts([]) == []


@LAW
@given(tables(rows=(1, 40)))
def test_fronts_and_crowding_agree_with_pymoo(table):
    sorting = pytest.importorskip("pymoo.util.nds.non_dominated_sorting")
    metrics = pytest.importorskip("pymoo.operators.survival.rank_and_crowding.metrics")
    theirs = sorting.NonDominatedSorting().do(-table)
    ours = fronts(table)
    assert [sorted(one.tolist()) for one in theirs] == [one.tolist() for one in ours]
    for one in ours:
        if len(np.unique(table[one], axis=0)) > 1:
            without_repeats = metrics.FunctionalDiversity(metrics.calc_crowding_distance)
            expected = without_repeats.do(-table[one], n_remove=0)
            assert crowding(table[one]).tolist() == pytest.approx(expected.tolist())


@settings(deadline=None, max_examples=40)
@given(tables(rows=(2, 40), columns=(2, 3)), st.integers(1, 30), st.booleans(), st.integers(0, 1000))
def test_survivors_agree_with_pymoo(table, count, constrained, seed):
    pytest.importorskip("pymoo")
    from pymoo.core.individual import Individual
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

    rng = np.random.default_rng(seed)
    table = rng.permutation(np.unique(table, axis=0))
    broken = np.where(rng.random(len(table)) < 0.4, rng.random(len(table)), 0.0) * constrained
    individuals = [Individual(X=np.array([i]), F=-table[i], G=np.array([broken[i]])) for i in range(len(table))]
    problem = Problem(n_var=1, n_obj=table.shape[1], n_ieq_constr=1)
    theirs = RankAndCrowding().do(problem, Population.create(*individuals), n_survive=count, random_state=rng)
    expected = [int(individual.X[0]) for individual in theirs]
    ours = survivors(table, broken, count)
    assert len(ours) == len(set(ours)) == len(expected)
    places = {}
    for level, one in enumerate(fronts(table, broken)):
        places |= {int(i): (level, d) for i, d in zip(one, crowding(table[one]).round(9))}
    assert sorted(places[i] for i in ours) == sorted(places[i] for i in expected), "the same but for ties"


def test_crowding_on_a_front_made_by_hand():
    front = [[0.0, 10.0], [1.0, 6.0], [2.0, 5.0], [10.0, 0.0]]
    assert crowding(front).tolist() == pytest.approx([math.inf, (0.2 + 0.5) / 2, (0.9 + 0.6) / 2, math.inf])
    repeated = crowding([*front, front[1]])
    assert repeated[:4].tolist() == crowding(front).tolist()
    assert repeated[4] == 0
    assert survivors([*front, front[1]], None, 4) == [0, 3, 2, 1]


def test_feasibility_comes_first():
    scores = [[9.0, 9.0], [1.0, 1.0], [8.0, 8.0], [2.0, 0.0]]
    assert survivors(scores, [0.5, 0.0, 0.1, 0.0], 4) == [1, 3, 2, 0]


def by_inclusion_and_exclusion(points, reference):
    total = 0.0
    for count in range(1, len(points) + 1):
        for some in itertools.combinations(points, count):
            total -= (-1) ** count * np.prod(np.maximum(np.min(some, axis=0) - reference, 0))
    return total


@LAW
@given(tables(rows=(1, 8)), st.booleans())
def test_hypervolume_equals_inclusion_and_exclusion(table, inside):
    reference = np.full(table.shape[1], 0.3 if inside else -1.0)
    assert hypervolume(table, reference) == pytest.approx(by_inclusion_and_exclusion(table, reference), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(tables(rows=(1, 30), columns=(1, 5)), st.integers(0, 100))
def test_hypervolume_agrees_with_pymoo_and_does_not_depend_on_order(table, seed):
    hv = pytest.importorskip("pymoo.indicators.hv")
    reference = np.full(table.shape[1], -0.5)
    found = hypervolume(table, reference)
    assert found == pytest.approx(float(hv.HV(ref_point=-reference)(-table)))
    assert hypervolume(np.random.default_rng(seed).permutation(table), reference) == pytest.approx(found)
    assert hypervolume([*table, table[0] - 0.1], reference) == pytest.approx(found), "a dominated point adds nothing"


def test_hypervolume_of_nothing_and_of_what_does_not_beat_the_reference():
    assert hypervolume([], [0.0, 0.0]) == 0.0
    assert hypervolume([[1.0, 0.0], [-1.0, 5.0]], [0.0, 0.0]) == 0.0


def test_errors_say_what_was_expected():
    with pytest.raises(StrategyError, match=r"with NaN.*expected a row of numbers"):
        fronts([[1.0, math.nan]])
    with pytest.raises(StrategyError, match=r"shape \(3,\)"):
        crowding([1.0, 2.0, 3.0])
    with pytest.raises(StrategyError, match=r"for 2 objectives; expected one for each"):
        hypervolume([[1.0, 2.0]], [0.0])
    with pytest.raises(StrategyError, match=r"violations \[0.0\] for 2 rows"):
        fronts([[1.0], [2.0]], [0.0])
