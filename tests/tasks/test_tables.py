import numpy as np
import pandas as pd
import pytest

from archwright.errors import DataError, MissingExtraError
from archwright.tasks import load_task


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "rooms": rng.integers(1, 9, 100),
            "area": rng.lognormal(4, 0.5, 100),
            "town": rng.choice(["north", "south", "east"], 100),
            "price": rng.normal(200, 50, 100),
        }
    )
    frame.loc[::10, "area"] = np.nan
    frame.loc[5, "town"] = None
    return frame


def test_csv_parquet_and_frames_give_the_same_rows(tmp_path, frame):
    frame.to_csv(tmp_path / "houses.csv", index=False)
    frame.to_csv(tmp_path / "houses.csv.gz", index=False)
    frame.to_csv(tmp_path / "houses.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "semicolons.csv", index=False, sep=";")
    frame.to_parquet(tmp_path / "houses.parquet")
    first = load_task(frame, "price")
    assert first.kind == "regression"
    assert first.objective == "r2"
    for name in ("houses.csv", "houses.csv.gz", "houses.tsv", "semicolons.csv", "houses.parquet"):
        task = load_task(tmp_path / name, "price")
        assert (task.train.x == first.train.x).all()
        assert (task.train.y == first.train.y).all()
        assert task.preprocess["columns"] == first.preprocess["columns"]
    assert load_task(tmp_path / "houses.csv", "town").classes == ("east", "north", "south")


def test_columns_become_numbers_indicators_and_categories(frame):
    task = load_task(frame, "price")
    kinds = {column["name"]: column for column in task.preprocess["columns"]}
    assert kinds["rooms"]["kind"] == kinds["area"]["kind"] == "number"
    assert (kinds["rooms"]["missing"], kinds["area"]["missing"]) == (False, True)
    assert set(kinds["town"]["categories"]) >= {"east", "north", "south"}
    assert task.shape == (3 + len(kinds["town"]["categories"]),)


def test_the_layout_of_a_row_is_known(frame):
    task = load_task(frame, "price")
    towns = len(next(column for column in task.preprocess["columns"] if column["name"] == "town")["categories"])
    assert task.signature.columns == (1, 1, 1, towns)
    assert load_task("digits").signature.columns == ()
    assert load_task(frame, "price", scaling="standard").signature.columns == ()


def test_numbers_are_scaled_by_quartiles_and_clipped_smoothly():
    values = np.random.default_rng(0).lognormal(0, 3, 500)
    frame = pd.DataFrame({"a": values, "rare": np.arange(500) // 400 * 7.0, "y": values})
    task = load_task(frame, "y", kind="regression")
    x = np.concatenate([task.train.x, task.valid.x, task.test.x])
    assert np.abs(x).max() <= 3
    low, median, high = np.quantile(task.train.x[:, 0], [0.25, 0.5, 0.75])
    assert abs(median) < 0.01
    bent = 3 * np.array([low, high]) / np.sqrt(9 - np.array([low, high]) ** 2)
    assert np.ptp(bent) == pytest.approx(1, abs=0.02)
    assert np.ptp(x[:, 1]) == pytest.approx(2 / np.sqrt(1 + 4 / 9), abs=1e-6)
    order = np.argsort(values)
    assert (np.diff(task.apply({"a": values[order], "rare": np.zeros(500)})[:, 0]) >= 0).all()


def test_targets_are_standardised_by_the_training_rows(frame):
    task = load_task(frame, "price")
    assert abs(task.train.y.mean()) < 1e-5
    assert abs(task.train.y.std() - 1) < 1e-5
    assert task.train.y.dtype == np.float32
    values = task.predictions(np.concatenate([split.y for split in (task.train, task.valid, task.test)])[:, None])
    np.testing.assert_allclose(sorted(values), sorted(frame["price"]), rtol=1e-5)


def test_many_categories_share_other():
    rng = np.random.default_rng(0)
    names = np.array([f"c{i}" for i in range(60)])[np.minimum(rng.geometric(0.08, 600) - 1, 59)]
    task = load_task(pd.DataFrame({"c": names, "z": rng.normal(size=600), "y": rng.normal(size=600)}), "y")
    column = task.preprocess["columns"][0]
    assert len(column["categories"]) == 32
    assert column["other"]
    assert (task.apply({"c": ["never seen"], "z": [0.0]})[0, :33] == np.eye(33)[32]).all()


def test_rows_without_a_target_are_left_out(frame):
    frame.loc[3, "price"] = np.nan
    task = load_task(frame, "price")
    assert len(task.train) + len(task.valid) + len(task.test) == 99
    assert any("1 of 100 rows have no 'price'" in warning for warning in task.warnings)
    known = sorted(map(bytes, task.apply(frame.drop(index=3))))
    assert known == sorted(map(bytes, np.concatenate([task.train.x, task.valid.x, task.test.x])))


def test_useless_and_doubtful_columns_are_named(frame):
    rng = np.random.default_rng(1)
    task = load_task(
        frame.assign(
            same=1,
            nothing=None,
            row=np.arange(100) + 7,
            customer_id=rng.permutation(10_000)[:100],
            name=[f"house {i}" for i in range(100)],
            wild=np.where(np.arange(100) % 9 == 0, np.inf, rng.normal(size=100)),
        ),
        "price",
    )
    text = " ".join(task.warnings)
    for words in (
        "'same': the same",
        "'nothing': every cell is missing",
        "'row': it counts",
        "'customer_id' holds",
        "'name': a different text",
    ):
        assert words in text
    assert "infinite" in text
    kept = [column["name"] for column in task.preprocess["columns"]]
    assert {"customer_id", "wild"} <= set(kept)
    assert not {"same", "nothing", "row", "name"} & set(kept)
    assert all(np.isfinite(split.x).all() for split in (task.train, task.valid, task.test))


def test_a_column_that_counts_is_kept_unless_it_is_named_like_a_row_number(frame, tmp_path):
    task = load_task(frame[["price"]].assign(day=np.arange(100)), "price")
    assert [column["name"] for column in task.preprocess["columns"]] == ["day"]
    assert any("'day' holds a different whole number" in warning for warning in task.warnings)
    frame.to_csv(tmp_path / "with_index.csv")
    assert any(
        "'Unnamed: 0': it counts" in warning for warning in load_task(tmp_path / "with_index.csv", "price").warnings
    )


def test_a_few_cells_of_junk_are_missing_numbers(frame):
    frame["area"] = frame["area"].astype(object)
    frame.loc[[1, 2], "area"] = ["large", "broken"]
    task = load_task(frame, "price")
    assert next(column for column in task.preprocess["columns"] if column["name"] == "area")["kind"] == "number"


def test_dates_are_numbers(frame):
    frame["sold"] = pd.date_range("2020-01-01", periods=100).to_numpy()[np.random.default_rng(0).permutation(100)]
    written = frame.assign(sold=frame["sold"].astype(str))
    assert (load_task(frame, "price").train.x == load_task(written, "price").train.x).all()


def test_targets_must_be_named(tmp_path, frame):
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"rooms, area, town, price.*target='price'"):
        load_task(tmp_path / "t.csv")
    with pytest.raises(DataError, match="Did you mean 'price'"):
        load_task(tmp_path / "t.csv", "prize")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "No columns"),
        (b"a,y\n1,2\n3,4,5\n", "Could not read"),
        (b"a,y\n1,2,5\n3,4,5\n", "more cells"),
        (b"a,y\n\xff\xfe,2\n", "UTF-8"),
        (b"y\n1\n2\n", "no columns besides"),
        (b"a,y\n", "no rows"),
    ],
)
def test_bad_csv_files_are_refused(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_task(tmp_path / "t.csv", "y")


def test_bad_packed_files_are_refused(tmp_path, frame):
    for name in ("t.parquet", "t.csv.gz"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(DataError, match="Could not read"):
            load_task(tmp_path / name, "y")


def test_parquet_without_its_library_names_the_extra(tmp_path, frame, monkeypatch):
    frame.to_parquet(tmp_path / "t.parquet")

    def read(path):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd, "read_parquet", read)
    with pytest.raises(MissingExtraError, match=r"archwright\[data\]"):
        load_task(tmp_path / "t.parquet", "price")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.assign(lists=[[1, 2]] * 100), "holds a list"),
        (lambda frame: frame[["price"]].assign(a=1), "no usable column"),
        (lambda frame: frame.assign(price=pd.Timestamp("2020-01-01")), "dates as targets"),
        (lambda frame: frame.set_axis(["a", "a", "b", "price"], axis=1), "same name"),
    ],
)
def test_tables_that_cannot_be_learnt_from_are_refused(frame, change, words):
    with pytest.raises(DataError, match=words):
        load_task(change(frame), "price")


def test_numbers_too_large_are_refused_unless_they_are_clipped(frame):
    huge = frame.assign(big=np.where(frame.index % 2, 1e300, -1e300))
    assert np.abs(load_task(huge, "price").train.x).max() <= 3
    with pytest.raises(DataError, match="too large for float32"):
        load_task(huge, "price", scaling="standard")
