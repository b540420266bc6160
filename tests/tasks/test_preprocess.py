import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from archwright.tasks import load_task
from archwright.tasks import preprocess as module

RECORD = {
    "modality": "tabular",
    "width": 3,
    "columns": [
        {"name": "a", "index": 0, "kind": "number", "median": 2.0, "mean": 1.0, "std": 2.0, "missing": True},
        {"name": "b", "index": 2, "kind": "category", "categories": ["blue", "red"], "other": False},
    ],
}
EXPECTED = np.array([[1.0, 0, 1, 0], [0.5, 1, 0, 1], [-0.5, 0, 0, 0]], dtype=np.float32)


@pytest.mark.parametrize(
    "raw",
    [
        pd.DataFrame({"b": ["blue", "red", "green"], "a": [3.0, np.nan, 0.0]}),
        {"a": ["3", "", "0.0"], "b": [" blue", "red ", None]},
        [{"a": 3, "b": "blue"}, {"b": "red"}, {"a": False, "b": "?"}],
        np.array([[3, "x", "blue"], [None, "y", "red"], ["0", "z", "violet"]], dtype=object),
        pd.DataFrame({"a": pd.array([3, None, 0], dtype="Int64"), "b": pd.Categorical(["blue", "red", "green"])}),
        {"a": np.array([3.0, np.inf, 0.0]), "b": np.array(["blue", "red", "x"])},
    ],
)
def test_tables_come_in_many_forms(raw):
    found = module.apply(RECORD, raw)
    assert found.dtype == np.float32
    assert (found == EXPECTED).all()


def test_numbers_of_present_records_are_clipped():
    column = {"name": "a", "index": 0, "kind": "number", "median": 2.0, "centre": 2.0, "scale": 4.0, "missing": False}
    found = module.apply({"modality": "tabular", "width": 1, "columns": [column]}, {"a": [2, "", 6, 1e300, -1e300]})
    np.testing.assert_allclose(found[:, 0], [0, 0, 3 / np.sqrt(10), 3, -3], rtol=1e-6)


def test_rare_and_unknown_categories_share_other():
    record = {"modality": "tabular", "width": 1, "columns": [{**RECORD["columns"][1], "index": 0, "other": True}]}
    assert module.apply(record, {"b": ["red", "green", ""]}).tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]


def test_what_does_not_fit_a_table_is_named():
    with pytest.raises(ValueError, match="expected also b"):
        module.apply(RECORD, {"a": [1]})
    with pytest.raises(ValueError, match="rows of 3 columns"):
        module.apply(RECORD, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="rows of 3 columns"):
        module.apply(RECORD, np.zeros(3))


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None, max_examples=50)
def test_a_number_is_the_same_typed_or_written(value):
    assert module.numbers([repr(value)])[0] == module.numbers(np.array([value]))[0] == value


def test_dates_are_the_same_typed_or_written():
    written = ["2024-02-29", "", "1969-12-31 23:59:59.5"]
    expected = np.array([1709164800.0, np.nan, -0.5])
    np.testing.assert_array_equal(module.numbers(written), expected)
    np.testing.assert_array_equal(module.numbers(np.array([*written[:1], "NaT", *written[2:]], "M8[ms]")), expected)
    np.testing.assert_array_equal(
        module.numbers(pd.to_datetime(pd.Series(written), format="ISO8601", utc=True)), expected
    )


def image_record(layout, channels, size, **more):
    record = {
        "modality": "image",
        "channels": channels,
        "size": size,
        "layout": layout,
        "dtype": "uint8",
        "scale": 255.0,
    }
    return {**record, "mean": [0.5] * channels, "std": [0.25] * channels, **more}


def test_layouts_agree():
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)
    first = module.apply(image_record("NCHW", 3, [5, 6]), images)
    assert (first == module.apply(image_record("NHWC", 3, [5, 6]), images.transpose(0, 2, 3, 1))).all()
    assert first.shape == (4, 3, 5, 6)
    np.testing.assert_allclose(first, (images / 255 - 0.5) / 0.25, atol=1e-6)
    grey = module.apply(image_record("NHW", 1, [5, 6]), images[:, 0])
    assert grey.shape == (4, 1, 5, 6)
    assert (grey == module.apply(image_record("NCHW", 1, [5, 6]), images[:, :1])).all()


def test_one_image_is_a_batch_of_one():
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    record = image_record("NHWC", 3, [5, 6])
    assert (module.apply(record, image) == module.apply(record, image[None])).all()


def test_whole_numbers_of_any_type_agree():
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9), dtype=np.uint8)
    record = image_record("NHW", 1, [4, 4])
    assert (module.apply(record, images) == module.apply(record, images.astype(np.int64))).all()
    assert (module.apply(record, images) == module.apply(record, images.tolist())).all()


def test_images_of_the_wrong_form_are_refused():
    record = image_record("NHWC", 3, [5, 6])
    with pytest.raises(ValueError, match="NHWC"):
        module.apply(record, np.zeros((5, 6)))
    with pytest.raises(ValueError, match="channels"):
        module.apply(record, np.zeros((2, 5, 6, 4)))


def test_files_and_pictures_agree_and_modes_are_handled(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(array)
    picture.save(tmp_path / "a.png")
    record = image_record("NHWC", 3, [8, 8])
    from_array = module.apply(record, array[None])
    for raw in (tmp_path / "a.png", str(tmp_path / "a.png"), picture, [picture], [tmp_path / "a.png"]):
        assert (module.apply(record, raw) == from_array).all()
    grey = image_record("NHW", 1, [8, 8])
    deep = Image.fromarray(array[..., 0].astype(np.uint16) * 257)
    assert (module.pixels(grey, deep) == array[..., 0]).all()
    clear = Image.fromarray(np.dstack([array, np.zeros((8, 8), np.uint8)]), "RGBA")
    assert (module.pixels(record, clear) == 255).all()


@pytest.mark.parametrize(("scale", "dtype"), [(16.0, "uint8"), (65535.0, "float32"), (1.0, "float32")])
def test_pictures_are_brought_to_the_scale_of_the_training_data(tmp_path, scale, dtype):
    array = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    picture = Image.fromarray(array)
    picture.save(tmp_path / "a.png")
    record = image_record("NHW", 1, [8, 8], scale=scale, dtype=dtype)
    own_units = module.apply(record, array.astype(np.float32) * scale / 255)
    for raw in (tmp_path / "a.png", picture, [picture]):
        np.testing.assert_allclose(module.apply(record, raw), own_units, atol=1e-5)
    np.testing.assert_allclose(own_units[0, 0], (array / 255 - 0.5) / 0.25, atol=1e-5)


def test_a_digit_saved_as_a_picture_is_the_digit(tmp_path):
    task = load_task("digits")
    digit = np.round((task.test.x[0, 0] * task.preprocess["std"][0] + task.preprocess["mean"][0]) * 255)
    Image.fromarray(digit.astype(np.uint8)).save(tmp_path / "digit.png")
    np.testing.assert_allclose(alone(tmp_path, task, tmp_path / "digit.png"), task.test.x[:1], atol=0.01)


@pytest.mark.parametrize("mean", [97.5, -0.2])
def test_pictures_are_refused_where_the_training_data_were_in_units_of_their_own(mean):
    record = image_record("NHW", 1, [8, 8], scale=1.0, dtype="float32", mean=[mean])
    picture = Image.fromarray(np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match=rf"not in 0 to 1: their mean is {mean}.*Expected arrays in the same units"):
        module.apply(record, picture)
    assert (module.apply(record, np.asarray(picture)) == np.float32(-mean / 0.25)).all()


def test_pictures_are_turned_upright(tmp_path):
    array = np.zeros((4, 8), np.uint8)
    array[:, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(array).save(tmp_path / "a.png", exif=exif)
    found = module.pixels(image_record("NHW", 1, [8, 4]), tmp_path / "a.png")[0, 0]
    assert (found[0] == 255).all()
    assert (found[1:] == 0).all()


def test_predictions_are_names_or_own_units():
    classes = {"target": {"kind": "classification", "classes": ["no", "yes"]}}
    assert module.predictions(classes, np.array([[0, 1], [2, 1]])).tolist() == ["yes", "no"]
    numbers = {"target": {"kind": "regression", "mean": 10.0, "std": 2.0}}
    assert module.predictions(numbers, np.array([[0.0], [1.5]], dtype=np.float32)).tolist() == [10.0, 13.0]


SCRIPT = """
import json, sys
sys.modules["archwright"] = sys.modules["pandas"] = None
space = {"__name__": "preprocess"}
exec(compile(open(sys.argv[1]).read(), "preprocess.py", "exec"), space)
import numpy as np
record = json.load(open(sys.argv[2]))
np.save(sys.argv[4], space["apply"](record, space["read"](record, sys.argv[3])))
"""


def alone(tmp_path, task, path):
    (tmp_path / "record.json").write_text(json.dumps(task.preprocess))
    arguments = [module.__file__, str(tmp_path / "record.json"), str(path), str(tmp_path / "out.npy")]
    subprocess.run([sys.executable, "-I", "-c", SCRIPT, *arguments], check=True, cwd=tmp_path)
    return np.load(tmp_path / "out.npy")


def test_it_stands_alone_and_reads_csv_as_the_loader_does(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.lognormal(size=60),
            "colour": rng.choice(["red", "blue; dark", "green", ""], 60),
            "sold": rng.choice(["true", "false", "NA"], 60),
            "day": pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")[rng.permutation(60)],
            "price": rng.normal(size=60),
        }
    )
    frame.loc[3, "size"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    task = load_task(tmp_path / "t.csv", "price")
    everything = alone(tmp_path, task, tmp_path / "t.csv")
    assert everything.dtype == np.float32
    stored = np.concatenate([task.train.x, task.valid.x, task.test.x])
    assert sorted(map(bytes, everything)) == sorted(map(bytes, stored))


def test_it_stands_alone_and_reads_images_as_the_loader_does(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            size = (int(rng.integers(60, 90)), int(rng.integers(60, 90)), 3)
            Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(tmp_path / "photos" / name / f"{i}.jpg")
    task = load_task(tmp_path / "photos")
    everything = alone(tmp_path, task, tmp_path / "photos")
    stored = np.concatenate([task.train.x, task.valid.x, task.test.x])
    assert sorted(map(bytes, everything)) == sorted(map(bytes, stored))


def test_the_file_imports_nothing_of_the_package():
    assert "archwright" not in Path(module.__file__).read_text().split('"""', 2)[2]
