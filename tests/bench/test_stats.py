from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from archwright.bench.stats import compare, summarise


def test_mean_and_interval_are_those_of_students_t():
    values = np.random.default_rng(0).normal(3.0, 2.0, 40)
    found = summarise(values)
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert (found.count, found.mean, found.std) == (40, pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)))


def test_one_value_has_no_spread():
    found = summarise(np.array([2.0]))
    assert found.mean == 2.0
    assert math.isnan(found.std)
    assert math.isnan(compare(np.array([2.0]), np.array([1.0])).low)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = [found.low <= 0 <= found.high for found in (summarise(rng.normal(size=8)) for _ in range(2000))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_a_comparison_counts_and_tests():
    mine, other = np.array([3.0, 1.0, 5.0, 2.0, 8.0, 2.0]), np.array([2.0, 1.0, 3.0, 4.0, 1.0, 1.5])
    found = compare(mine, other)
    assert (found.wins, found.ties, found.losses) == (4, 1, 1)
    assert found.difference == pytest.approx((mine - other).mean())
    assert found.sign == pytest.approx(stats.binomtest(4, 5).pvalue)
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(mine, other, zero_method="pratt").pvalue)
    assert found.verdict == "tie"


def test_verdicts():
    rng = np.random.default_rng(2)
    base = rng.normal(size=60)
    assert compare(base + 1.0, base).verdict == "better"
    assert compare(base - 1.0, base).verdict == "worse"
    assert compare(base, base).verdict == "tie"
    assert compare(base, base).wilcoxon == compare(base, base).sign == 1.0


def test_equal_strategies_are_rarely_called_different():
    rng = np.random.default_rng(3)
    verdicts = [compare(rng.normal(size=30), rng.normal(size=30)).verdict for _ in range(600)]
    assert np.mean([verdict != "tie" for verdict in verdicts]) == pytest.approx(0.05, abs=0.03)


def test_a_verdict_goes_with_the_ranks_and_not_with_the_count_of_wins():
    mine = np.concatenate([np.full(21, -0.1), np.linspace(1.0, 3.0, 20)])
    found = compare(mine + np.arange(41) * 1e-4, np.zeros(41))
    assert found.wins < found.losses
    assert found.wilcoxon < 0.05
    assert found.verdict == "better"
