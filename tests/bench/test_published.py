from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from archwright.bench import published
from archwright.bench.published import hw_nas_bench_table, nas_bench_201_table, nas_bench_macro_table, zero_cost_table
from archwright.errors import DataError
from archwright.space.zoo.nas_bench_201 import architecture


def test_missing_data_say_how_to_get_them(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"ARCHWRIGHT_TABLES is not set.*github.com/D-X-Y/NATS-Bench.*--data FOLDER"):
        nas_bench_201_table()
    monkeypatch.setenv("ARCHWRIGHT_TABLES", str(tmp_path))
    with pytest.raises(DataError, match=r"has none of them.*github.com/GATECH-EIC"):
        hw_nas_bench_table()
    with pytest.raises(DataError, match=r"nas-bench-macro_cifar10.json.*github.com/xiusu"):
        nas_bench_macro_table(str(tmp_path / "absent"))
    (tmp_path / "nas-bench-macro.npz").write_text("no table")
    with pytest.raises(DataError, match="Could not read"):
        nas_bench_macro_table()


def few(tables: str, folder: Path, count: int) -> Path:
    """A file with the first cells only, so that their networks are built in no time."""
    with np.load(Path(tables) / "nas-bench-201.npz") as stored:
        whole = stored["ops"].shape[0]
        np.savez(
            folder / "nas-bench-201.npz",
            **{name: stored[name][:count] for name in stored.files if stored[name].shape[0] == whole},
        )
    return folder


def test_zero_cost_scores(tables, tmp_path):
    few(tables, tmp_path, 60)
    with pytest.raises(DataError, match="published scores are at"):
        zero_cost_table(str(tmp_path))
    with np.load(Path(tables) / "nas-bench-201-zero-cost.npz") as stored:
        np.savez(tmp_path / "nas-bench-201-zero-cost.npz", **{name: stored[name][:60] for name in stored.files})
    table = zero_cost_table(str(tmp_path), "c100")
    known = table.by_id({"synflow": "c100_freerea_logsynflow", "params": "c100_params"})
    first = next(iter(known.values()))
    assert first["params"] == table.column("c100_params")[0]
    assert first["synflow"] == pytest.approx(table.column("c100_freerea_logsynflow")[0])
    assert len(known) == 60


def test_nas_bench_201(tables, tmp_path):
    table = nas_bench_201_table(str(few(tables, tmp_path, 60)), "c100")
    first = architecture(
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    )
    row = table.space.row(first)
    assert row == 0
    assert table.column("c10_test_200ep")[0] == pytest.approx(0.8586, abs=1e-4)
    assert table.space.rows[0].cost.params == 135_156
    assert table.column("in16_train_seconds_200ep")[0] == pytest.approx(101.13 * table.column("train_seconds_12ep")[0])
    assert "isomorphism_class" in table.columns
    assert table.column("c10_params")[0] == 129_306


def test_hw_nas_bench(tables, tmp_path):
    folder = few(tables, tmp_path, 40)
    with np.load(Path(tables) / "hw-nas-bench.npz") as stored:
        np.savez(folder / "hw-nas-bench.npz", **{name: stored[name][:40] for name in stored.files})
    table = hw_nas_bench_table(str(folder))
    assert table.column("c10_edgegpu_latency")[0] == pytest.approx(5.8074, abs=1e-4)
    assert table.column("c10_test_200ep")[0] == pytest.approx(0.8586, abs=1e-4)
    (folder / "hw-nas-bench.npz").unlink()
    np.savez(folder / "hw-nas-bench.npz", fpga=np.zeros(40))
    published._devices.cache_clear()
    with pytest.raises(DataError, match="no array 'c10_edgegpu_latency'; it has fpga"):
        hw_nas_bench_table(str(folder))


def macro_rows(tables, count):
    with np.load(Path(tables) / "nas-bench-macro.npz") as stored:
        rows = np.linspace(0, 6560, count).astype(int)
        return {name: stored[name][rows] for name in stored.files}


def test_networks_of_nas_bench_macro_cost_what_was_published(tables, tmp_path):
    rows = macro_rows(tables, 40)
    np.savez(tmp_path / "nas-bench-macro.npz", **rows)
    table = nas_bench_macro_table(str(tmp_path))
    assert table.space.size == 6561
    assert [row.cost.params for row in table.space.rows] == rows["params"].tolist()
    assert [row.cost.flops for row in table.space.rows] == (2 * rows["flops"]).tolist()
    assert table.column("mean") == pytest.approx(rows["test_acc"].mean(axis=1) / 100)


def test_the_own_file_of_nas_bench_macro_gives_the_same(tables, tmp_path):
    rows = macro_rows(tables, 12)
    stored = {
        "".join(map(str, options)): {
            "test_acc": [float(value) for value in run],
            "mean_acc": 0.0,
            "std": 0.0,
            "params": 1,
            "flops": 1,
        }
        for options, run in zip(rows["arch"].tolist(), rows["test_acc"])
    }
    (tmp_path / "nas-bench-macro_cifar10.json").write_text(json.dumps(stored))
    table = nas_bench_macro_table(str(tmp_path))
    assert table.column("run2") == pytest.approx(rows["test_acc"][:, 2] / 100)
    assert [row.cost.params for row in table.space.rows] == rows["params"].tolist()
