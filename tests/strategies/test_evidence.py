from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from archwright.strategies.evidence import kendall, ranks, spearman

PAIRS = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=30)


@settings(deadline=None, max_examples=200)
@given(PAIRS)
def test_they_agree_with_scipy(pairs):
    first, second = np.array(pairs, float).T
    assert ranks(first).tolist() == stats.rankdata(first).tolist()
    if np.ptp(first) > 0 and np.ptp(second) > 0:
        assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-9)
        assert kendall(first, second) == pytest.approx(stats.kendalltau(first, second).statistic, abs=1e-9)


@pytest.mark.parametrize("correlation", [spearman, kendall])
def test_what_is_constant_agrees_with_nothing(correlation):
    assert correlation([1, 1, 1], [1, 2, 3]) == 0.0
    assert correlation([1, 2, 3], [4, 4, 4]) == 0.0


@pytest.mark.parametrize("correlation", [spearman, kendall])
def test_only_the_order_counts(correlation):
    values = np.random.default_rng(0).standard_normal(40)
    assert correlation(values, np.exp(3 * values)) == 1.0
    assert correlation(values, -values) == -1.0
