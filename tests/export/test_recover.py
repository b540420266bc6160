from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.export.recover import recover
from archwright.tasks import load_task, preprocess


@pytest.mark.parametrize("name", ["digits", "wine", "diabetes"])
def test_recovered_rows_are_prepared_to_the_same_inputs(name: str) -> None:
    task = load_task(name)
    x = task.test.x[:40]
    np.testing.assert_allclose(preprocess.apply(task.preprocess, recover(task.preprocess, x)), x, atol=1e-5)


def test_categories_and_missing_values_are_recovered() -> None:
    rng = np.random.default_rng(0)
    rows = 300
    frame = pd.DataFrame(
        {
            "size": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(5, 2, rows)),
            "colour": rng.choice(["red", "green", "blue", ""], rows),
            "price": rng.normal(0, 1, rows),
        }
    )
    task = load_task(frame, "price", kind="regression")
    x = task.test.x
    raw = recover(task.preprocess, x)
    np.testing.assert_allclose(preprocess.apply(task.preprocess, raw), x, atol=1e-5)
    assert {"red", "green", "blue"} <= set(raw["colour"])


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.sampled_from(["NHW", "NHWC", "NCHW"]),
    st.sampled_from(["uint8", "float32"]),
    st.sampled_from([1.0, 16.0, 255.0]),
    st.integers(0, 1000),
)
def test_images_of_every_layout_are_recovered(layout: str, dtype: str, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    channels = 1 if layout == "NHW" else 3
    record = {
        "modality": "image", "channels": channels, "size": [4, 5], "layout": layout, "dtype": dtype, "scale": scale,
        "mean": rng.random(channels).tolist(), "std": (0.2 + rng.random(channels)).tolist(),
    }  # fmt: skip
    pixels = rng.integers(0, 256, size=(3, channels, 4, 5)).astype(dtype)
    x = preprocess.normalise(record, pixels)
    raw = recover(record, x)
    assert raw.dtype == dtype
    np.testing.assert_allclose(preprocess.apply(record, raw), x, atol=1e-3)
    if dtype == "uint8":
        np.testing.assert_array_equal(preprocess.pixels(record, raw), pixels)
