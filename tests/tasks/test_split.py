import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.tasks.split import TEST, TRAIN, UNASSIGNED, VALID, split

labels = st.lists(st.integers(0, 6), min_size=5, max_size=200).map(np.array)


def free(count):
    return np.full(count, UNASSIGNED)


@given(labels, st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_every_row_gets_one_split_and_classes_keep_their_shares(y, seed):
    part = split(y, "classification", free(len(y)), seed)
    assert set(part.tolist()) <= {TRAIN, VALID, TEST}
    for label in np.unique(y):
        counts = np.bincount(part[y == label], minlength=3)
        total = counts.sum()
        assert counts[TRAIN] >= 1
        assert abs(counts[VALID] - total / 5) <= 1
        assert abs(counts[TEST] - total / 5) <= 1
        if total >= 3:
            assert counts.min() >= 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=200).map(np.array), st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_numbers_are_dealt_evenly_along_their_range(y, seed):
    part = split(y, "regression", free(len(y)), seed)
    order = np.argsort(y, kind="stable")
    if len(np.unique(y)) == len(y):
        for start in range(0, len(y) - 4, 5):
            assert sorted(part[order[start : start + 5]]) == [TRAIN] * 3 + [VALID, TEST]
    counts = np.bincount(part, minlength=3)
    assert counts.min() >= 1
    assert abs(counts[TEST] - len(y) / 5) <= 1


def test_equal_seeds_give_equal_splits_and_others_differ():
    y = np.arange(300) % 3
    for kind in ("classification", "regression"):
        first = split(y, kind, free(300), 7)
        assert (first == split(y, kind, free(300), 7)).all()
        assert (first != split(y, kind, free(300), 8)).any()


def test_official_splits_are_kept():
    y = np.arange(100) % 2
    official = np.repeat([TRAIN, TEST], [80, 20])
    part = split(y, "classification", official, 0)
    assert (part[80:] == TEST).all()
    assert np.bincount(part[:80], minlength=3).tolist() == [64, 16, 0]
    official[:10] = VALID
    assert (split(y, "classification", official, 0) == official).all()
    only_validation = np.repeat([TRAIN, VALID], [80, 20])
    part = split(y, "classification", only_validation, 0)
    assert (part[80:] == VALID).all()
    assert np.bincount(part[:80], minlength=3).tolist() == [64, 0, 16]


def test_without_holdout_no_row_is_for_the_test():
    y = np.arange(100) % 2
    for kind in ("classification", "regression"):
        part = split(y, kind, free(100), 0, holdout=False)
        assert np.bincount(part, minlength=3).tolist() == [80, 20, 0]
