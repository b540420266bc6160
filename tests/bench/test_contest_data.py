from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from archwright.bench import get_suite
from archwright.bench.contest_data import digits, table
from archwright.errors import DataError

TASKS = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "tasks"


def test_digits_are_split_once_for_all(tmp_path):
    files = digits(None, tmp_path / "one")
    with np.load(files.train) as one, np.load(digits(None, tmp_path / "two").train) as two:
        assert all(np.array_equal(one[name], two[name]) for name in one.files)
        assert (len(one["x_train"]), len(one["x_test"])) == (1437, 360)
        assert one["x_train"].dtype == np.uint8
        assert one["x_train"].max() == 255


def test_a_table_is_split_without_what_is_left_out(tmp_path):
    rows = [f"{n},{n % 7 / 7},{'?' if n == 3 else 'uv'[n % 2]},{n % 3}" for n in range(50)]
    with gzip.open(tmp_path / "table_made.csv.gz", "wt") as file:
        file.write("\n".join(["id;x;k;y".replace(";", ","), *rows, rows[0]]))
    tmp_path.chmod(0o555)
    files = table("made", "y", without=("id",))(str(tmp_path), tmp_path.parent / "out")
    train, test = pd.read_csv(files.train), pd.read_csv(files.test)
    assert (len(train), len(test), list(train)) == (40, 11, ["x", "k", "y"])
    assert pd.concat([train, test])["k"].isna().sum() == 1
    fewer = table("made", "y", repeated=False)(str(tmp_path), tmp_path.parent / "fewer")
    assert len(pd.read_csv(fewer.train)) + len(pd.read_csv(fewer.test)) == 50
    tmp_path.chmod(0o755)


def test_missing_data_are_told(tmp_path):
    with pytest.raises(DataError, match=r"photos50_32x32\.npz"):
        get_suite("value").case("photos50").prepare(str(tmp_path), tmp_path)


@pytest.mark.skipif(not TASKS.is_dir(), reason="no real data: set ARCHWRIGHT_TEST_DATA to its folder")
@pytest.mark.parametrize(
    ("name", "count", "columns"),
    [
        ("adult", 32_561, 15),
        ("german-credit", 1_000, 21),
        ("wine-quality", 3_961, 12),
        ("california", 20_640, 10),
        ("bike", 17_379, 13),
    ],
)
def test_the_tables_have_the_rows_they_should(tmp_path, name, count, columns):
    files = get_suite("value").case(name).prepare(str(TASKS), tmp_path)
    train, test = pd.read_csv(files.train), pd.read_csv(files.test)
    assert len(train) + len(test) == count
    assert len(test) == -(-count // 5)
    assert len(train.columns) == columns
    assert files.target in train
