"""Texts: cut without leaks, windows and next symbols, errors, preprocessing, metrics."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import DataError
from archwright.evaluators.batches import share_of
from archwright.export.recover import recover
from archwright.problem import Objective, Signature
from archwright.problem.final import Interval
from archwright.tasks import Task, load_task, metrics, open_splits, text
from archwright.tasks.intervals import compare, intervals
from archwright.tasks.preprocess import apply, code_points, numbered, predictions, read, shown

DATA = Path(os.environ.get("ARCHWRIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
SHAKESPEARE = DATA / "tasks" / "tinyshakespeare.txt.gz"
VERSE = "The quick brown fox jumps over the lazy dog.\nPack my box with five dozen liquor jugs!\n"


@pytest.fixture
def verses(tmp_path: Path) -> Path:
    """A text of 6,000 symbols."""
    path = tmp_path / "verses.txt"
    path.write_text((VERSE * 80)[:6000])
    return path


def written(task: Task, split: str) -> str:
    """The text of a split's windows, one after the other."""
    names = np.array(["?", *task.preprocess["symbols"]])
    return "".join(names[getattr(task, split).x.astype(int).ravel()])


def test_the_parts_cover_the_text_in_order_without_overlap(verses: Path) -> None:
    task, content = load_task(verses), verses.read_text()
    bounds = [0, 4800, 5400, 6000]
    for name, begin, end in zip(("train", "valid", "test"), bounds, bounds[1:]):
        windows = (end - begin - 1) // text.STEPS
        assert written(task, name) == content[begin : begin + windows * text.STEPS]
        assert end - begin - windows * text.STEPS <= text.STEPS, "less than a window is left"
        part = getattr(task, name)
        np.testing.assert_array_equal(part.x[:, 1:], part.y[:, :-1])
        np.testing.assert_array_equal(part.x[1:, 0], part.y[:-1, -1])
        assert begin + windows * text.STEPS < end, "the last target is in the same part"
        assert part.x.dtype == np.float32
        assert part.y.dtype == np.int64


def test_what_is_known_of_a_text(verses: Path) -> None:
    task = load_task(verses, seed=3)
    assert (task.modality, task.kind, task.default_space) == ("text", "classification", "rnn-cell")
    assert task.metrics == ("perplexity", "accuracy", "log_loss")
    assert task.objective == "perplexity"
    assert Objective.parse(task.objective).goal == "min"
    assert task.signature == Signature(((32,),), (len(task.classes),), (32,))
    assert set(task.classes[1:]) == set(VERSE)
    facts = dict(task.describe())
    assert facts["windows"] == "149 train, 18 validation, 18 test"
    assert facts["classes"].startswith("33: (other), '\\n', ' ', '!', '.', P, T")
    other = load_task(str(verses))
    assert other.data_hash == task.data_hash
    assert np.array_equal(other.train.x, task.train.x)
    splits = open_splits(task.store(verses.parent / "stored"))
    assert splits.signature == task.signature
    assert np.array_equal(splits.valid.y, task.valid.y)


def test_without_a_holdout_a_fifth_is_validation(verses: Path) -> None:
    task = load_task(verses, holdout=False)
    assert len(task.test) == 0
    assert len(task.valid) == (1200 - 1) // 32


def test_symbols_that_occur_once_or_later_are_one_class(tmp_path: Path) -> None:
    path = tmp_path / "rare.txt"
    path.write_text("ab" * 400 + "Z" + "ab" * 200 + "Q" + "ab" * 100)
    task = load_task(path)
    assert task.classes == ("(other)", "a", "b")
    assert (task.train.y == 0).sum() == 1
    assert (np.concatenate([task.valid.y, task.test.y]) == 0).sum() <= 1


def test_packed_texts_marks_and_line_breaks(tmp_path: Path, verses: Path) -> None:
    packed, windows = tmp_path / "verses.txt.gz", tmp_path / "windows.TXT"
    packed.write_bytes(gzip.compress(verses.read_bytes()))
    windows.write_bytes(b"\xef\xbb\xbf" + verses.read_bytes().replace(b"\n", b"\r\n"))
    for path in (packed, windows):
        assert load_task(path).data_hash == load_task(verses).data_hash
    assert load_task(packed).name == "verses"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Got 0 symbols .* expected at least 1,000"),
        (b"To be" * 100, "Got 500 symbols"),
        (b"caf\xe9" * 1000, "not UTF-8: .* at byte 3. Save it in UTF-8"),
        (b"a" * 2000, "1 symbol.s. that occur more than once"),
    ],
)
def test_texts_that_cannot_be_used(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_task(path)


def test_other_mistakes(tmp_path: Path, verses: Path) -> None:
    cut = tmp_path / "cut.txt.gz"
    cut.write_bytes(gzip.compress(verses.read_bytes())[:-20])
    with pytest.raises(DataError, match="Could not read"):
        load_task(cut)
    with pytest.raises(DataError, match=r"target='x'.*the next symbol is predicted"):
        load_task(verses, target="x")
    with pytest.raises(DataError, match="kind='regression'"):
        load_task(verses, kind="regression")
    with pytest.raises(DataError, match=r"Did you mean 'verses\.txt'"):
        load_task(tmp_path / "verse.txt")


def test_more_windows_than_memory_holds_outputs_for(verses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "EVALUATED", 33 * 32 * 7)
    task = load_task(verses)
    assert len(task.valid) == len(task.test) == 7
    assert len(task.train) == 149
    assert all("7 are used, evenly spread" in warning for warning in task.warnings)
    assert len(task.warnings) == 2


def test_preprocessing_reads_pads_and_answers(verses: Path) -> None:
    task = load_task(verses)
    record = task.preprocess
    assert record["symbols"][record["padding"] - 1] == "\n"
    (long, short, none) = apply(record, [VERSE, "fox", ""])
    np.testing.assert_array_equal(long, numbered(record["symbols"], VERSE[-32:]))
    np.testing.assert_array_equal(short, [record["padding"]] * 29 + numbered(record["symbols"], "fox").tolist())
    assert (none == record["padding"]).all()
    np.testing.assert_array_equal(apply(record, "fox"), [short])
    np.testing.assert_array_equal(apply(record, read(record, verses)), apply(record, verses.read_text()))
    outputs = np.zeros((2, len(task.classes), 32))
    outputs[0, 5, -1] = outputs[1, 7, -1] = outputs[:, 3, 0] = 9.0
    assert predictions(record, outputs).tolist() == [task.classes[5], task.classes[7]]
    with pytest.raises(DataError, match="Got a int; expected a text"):
        task.apply([1, 2])


@given(st.lists(st.characters(), min_size=1, unique=True), st.text())
def test_numbers_of_symbols(symbols: list[str], given_text: str) -> None:
    expected = [symbols.index(symbol) + 1 if symbol in symbols else 0 for symbol in given_text]
    assert numbered(symbols, given_text).tolist() == expected
    assert code_points(given_text).tolist() == list(map(ord, given_text))


def test_windows_are_recovered_from_their_numbers(verses: Path) -> None:
    task = load_task(verses)
    x = task.test.x.copy()
    x[0, 5] = 0
    np.testing.assert_array_equal(apply(task.preprocess, recover(task.preprocess, x)), x)


def outputs_for(y: np.ndarray, classes: int, seed: int = 0) -> np.ndarray:
    """Logits that lean to the truth, window by window more or less."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(y), classes, y.shape[1]))
    lean = rng.uniform(0, 3, size=(len(y), 1, 1))
    return logits + lean * (np.arange(classes)[:, None] == y[:, None, :])


def test_metrics_are_those_of_all_positions() -> None:
    y = np.random.default_rng(1).integers(5, size=(30, 8))
    logits = outputs_for(y, 5)
    found = metrics("classification", y, logits)
    flat = metrics("classification", y.ravel(), logits.transpose(0, 2, 1).reshape(-1, 5))
    assert list(found) == ["perplexity", "accuracy", "log_loss"]
    assert found["accuracy"] == pytest.approx(flat["accuracy"])
    assert found["log_loss"] == pytest.approx(flat["log_loss"])
    assert found["perplexity"] == pytest.approx(np.exp(flat["log_loss"]))
    assert metrics("classification", y, np.zeros((30, 5, 8)))["perplexity"] == pytest.approx(5.0)
    assert np.isnan(list(metrics("classification", y, np.full((30, 5, 8), np.nan)).values())).all()
    for wrong in (np.zeros((30, 8, 5)), np.zeros((30, 5))):
        with pytest.raises(DataError, match="one row of outputs"):
            metrics("classification", y, wrong)


def test_intervals_draw_whole_windows() -> None:
    y = np.random.default_rng(1).integers(5, size=(60, 8))
    logits = outputs_for(y, 5)
    found = intervals("classification", y, logits)
    plain = metrics("classification", y, logits)
    for name, interval in found.items():
        assert interval.value == pytest.approx(plain[name])
        assert interval.low < interval.value < interval.high
    # positions of a window that say the same are no more evidence than one of them
    again = intervals("classification", np.repeat(y, 4, axis=1), np.repeat(logits, 4, axis=2))
    assert again == {name: Interval(*map(pytest.approx, (i.value, i.low, i.high))) for name, i in found.items()}
    right = intervals("classification", y, 50.0 * (np.arange(5)[:, None] == y[:, None, :]))
    assert right["accuracy"].high == 1.0
    assert 0.9 < right["accuracy"].low < 0.96, "60 windows, not 480 symbols"


def test_a_lower_perplexity_is_better() -> None:
    y = np.random.default_rng(1).integers(5, size=(60, 8))
    good, bad = outputs_for(y, 5), np.zeros((60, 5, 8))
    comparison = compare("classification", "perplexity", y, good, bad)
    assert comparison.verdict == "better"
    assert comparison.difference > 0
    assert "perplexity" in comparison.text()


def test_a_share_of_windows() -> None:
    y = np.zeros((50, 4), dtype=np.int64)
    small, large = share_of(y, "classification", 0.2, 0), share_of(y, "classification", 0.6, 0)
    assert len(small) == 10
    assert len(large) == 30
    assert set(small) < set(large)


def test_names_of_classes_for_people() -> None:
    assert [shown(name) for name in ("cat", "7", "\n", ",", "é", "a\tb")] == [
        "cat",
        "7",
        "'\\n'",
        "','",
        "é",
        "'a\\tb'",
    ]


@pytest.mark.skipif(not SHAKESPEARE.exists(), reason="needs the shared test data (ARCHWRIGHT_TEST_DATA)")
def test_shakespeare() -> None:
    task = load_task(SHAKESPEARE)
    assert (len(task.train), len(task.valid), len(task.test)) == (27_884, 3_485, 3_485)
    assert len(task.classes) == 65
    assert not task.warnings
