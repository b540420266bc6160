from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.report.charts import Series, chart, x_axis, y_axis
from archwright.report.scales import Axis, focus, nice_step, span

LAW = settings(deadline=None, max_examples=60, derandomize=True)
numbers = st.floats(-1e6, 1e6, allow_nan=False)


@LAW
@given(st.lists(numbers, max_size=20), st.booleans())
def test_an_axis_holds_its_values_and_is_never_empty(values: list[float], log: bool) -> None:
    low, high = span(values, log=log)
    assert low < high
    assert all(low <= value <= high for value in values if value > 0 or not log)


@LAW
@given(numbers, st.floats(1e-3, 1e5), st.integers(3, 8))
def test_ticks_lie_inside_and_rise_evenly(low: float, width: float, most: int) -> None:
    axis = Axis(low, low + width, 0, 100)
    ticks = axis.ticks(most)
    assert 1 <= len(ticks) <= most + 1
    assert all(low - 1e-6 <= tick <= low + width + 1e-6 for tick in ticks)
    assert ticks == sorted(ticks)


@LAW
@given(st.floats(1e-4, 1e6), st.floats(1.5, 1e6))
def test_ticks_of_a_logarithmic_axis_lie_inside(low: float, ratio: float) -> None:
    ticks = Axis(low, low * ratio, 0, 100, log=True).ticks()
    assert len(ticks) <= 6
    assert all(low <= tick <= low * ratio for tick in ticks)


@LAW
@given(st.floats(1e-9, 1e9))
def test_a_step_is_round_and_not_below(rough: float) -> None:
    step = nice_step(rough)
    assert rough * (1 - 1e-9) <= step <= 10 * rough


@LAW
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_best_values_are_always_in_focus(values: list[float]) -> None:
    low, high = focus(values, "max")
    assert low <= max(values) <= high
    low, high = focus(values, "min")
    assert low <= min(values) <= high


@LAW
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=10))
def test_points_stay_on_the_chart(points: list[tuple[float, float]]) -> None:
    x, y = x_axis(span([a for a, _ in points])), y_axis((-1.0, 1.0))
    text = chart(x, y, [Series("search", points, mark="dots")], x_label="<x>", y_label="&", title='"t"')
    assert "<x>" not in text
    assert text.count("<circle") == len(points)
    for a, b in points:
        assert 0 <= x(a) <= 520
        assert 0 <= y(b) <= 300
