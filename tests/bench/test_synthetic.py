from __future__ import annotations

import numpy as np
import pytest

from archwright.bench.synthetic import HIGH, LOW, grid, synthetic_table


def shaped(table, choices, options):
    return table.column("value").reshape((options,) * choices)


def test_best_and_worst_are_known_and_the_seed_decides():
    one, again, other = (synthetic_table(4, 3, 1.0, 0.01, seed) for seed in (0, 0, 1))
    assert (one.column("value").min(), one.column("value").max()) == (pytest.approx(LOW), pytest.approx(HIGH))
    assert (one.column("observed") == again.column("observed")).all()
    assert (one.column("value") != other.column("value")).any()
    assert one.space is other.space


def test_rows_are_in_the_order_of_the_values():
    table = synthetic_table(3, 4, 0.0, 0.0, 5)
    value = shaped(table, 3, 4)
    for choices, row in table.space.index.items():
        assert table.column("value")[row] == value[tuple(option for _, option in choices)]


def test_without_interaction_effects_add():
    value = shaped(synthetic_table(3, 3, 0.0, 0.0, 2), 3, 3)
    assert value[1, 2, 0] - value[0, 2, 0] == pytest.approx(value[1, 0, 2] - value[0, 0, 2])


def test_interactions_have_the_share_they_are_given():
    """Of the variance, that part is additive which the mean effects of each option explain."""
    ratios = []
    for seed in range(40):
        value = shaped(synthetic_table(6, 4, 2.0, 0.0, seed), 6, 4)
        mains = [value.mean(axis=tuple(set(range(6)) - {place})) - value.mean() for place in range(6)]
        additive = sum((main**2).mean() for main in mains)
        ratios.append((value.var() - additive) / additive)
    # Pairs also lend something to the single effects, and lose it: each pair's mean over one of its choices.
    kept = (3 / 4) ** 2
    lent = 2 * (3 / 4) * (1 / 4)
    assert np.median(ratios) == pytest.approx(2 * kept / (3 / 4 + 2 * lent), rel=0.25)


def test_noise_has_its_standard_deviation():
    table = synthetic_table(8, 4, 0.5, 0.01, 3)
    noise = table.column("observed") - table.column("value")
    assert noise.std() == pytest.approx(0.01, rel=0.02)
    assert abs(noise.mean()) < 0.001


def test_the_grid_has_every_architecture():
    space = grid(5, 3)
    assert len(space.index) == space.size == 243
