from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.strategies.rewards import Ranks

SCORES = st.lists(st.one_of(st.none(), st.integers(-50, 50).map(lambda score: score / 10)), min_size=1, max_size=30)


def heard(scores):
    ranks = Ranks()
    for score in scores:
        ranks = ranks.heard(score)
    return ranks


@given(SCORES)
@settings(deadline=None)
def test_rewards_are_those_of_any_increasing_transformation(scores):
    plain = heard(scores)
    for change in (lambda score: 100 * score, lambda score: -np.exp(-score), lambda score: score**3):
        changed = [None if score is None else float(change(score)) for score in scores]
        other = heard(changed)
        assert [plain.normal(score) for score in scores] == [other.normal(score) for score in changed]
        assert [plain.share(score) for score in scores] == [other.share(score) for score in changed]


@given(SCORES)
@settings(deadline=None)
def test_rewards_keep_the_order_and_are_centred(scores):
    ranks = heard(scores)
    keys = [-np.inf if score is None else score for score in scores]
    rewards = [ranks.normal(score) for score in scores]
    assert np.isfinite(rewards).all()
    assert np.argsort(keys, kind="stable").tolist() == np.argsort(rewards, kind="stable").tolist()
    assert np.mean([ranks.share(score) for score in scores]) == pytest.approx(0.5)


def test_failures_come_last_and_alone_mean_nothing():
    assert heard([None, None]).normal(None) == 0.0
    ranks = heard([0.1, None, 0.2, 0.3])
    assert ranks.share(None) == 0.125
    assert ranks.normal(None) < ranks.normal(0.1) < 0 < ranks.normal(0.2) < ranks.normal(0.3)
    assert Ranks().share(0.3) == 0.5
    assert ranks.normal(9.0) == ranks.normal(0.3)
