"""The official files are large and not here: these tests write small ones in the form that the benchmarks' own readers document."""

from __future__ import annotations

import bz2
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from archwright.bench import official
from archwright.bench.published import hw_nas_bench_table, nas_bench_201_table
from archwright.errors import DataError

CELLS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|",
    "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
]
PARTS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


def training(data_set, seed, epochs, level):
    """What is stored of one training: accuracies that end at ``level`` plus a hundredth of the seed, in percent."""
    names = [(part, epoch) for part in PARTS[data_set] for epoch in range(epochs)]
    last = {part: level + number for number, part in enumerate(PARTS[data_set])}
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": dict.fromkeys(range(epochs), 50.0),
        "train_acc5es": None,
        "train_losses": dict.fromkeys(range(epochs), 1.0),
        "train_times": OrderedDict((epoch, 10.0 + seed / 1000) for epoch in range(epochs)),
        "arch_config": {"channel": 16, "num_cells": 5, "class_num": 10},
        "params": 0.5,
        "flop": 70.0,
        "seed": seed,
        "epochs": epochs,
        "latency": [np.float64(0.01)],
        "eval_names": list(PARTS[data_set]),
        "eval_acc1es": {
            f"{part}@{epoch}": np.float64(last[part] + seed / 100 - (epochs - 1 - epoch)) for part, epoch in names
        },
        "eval_times": {f"{part}@{epoch}": 2.0 for part, epoch in names},
        "eval_losses": {f"{part}@{epoch}": 0.5 for part, epoch in names},
    }


def results(cell, epochs, seeds, level):
    return {
        "arch_index": cell,
        "arch_str": CELLS[cell],
        "all_results": {
            (name, seed): training(name, seed, epochs, level + 10 * cell) for name in PARTS for seed in seeds
        },
        "dataset_seed": {name: list(seeds) for name in PARTS},
        "clear_net_done": True,
    }


def stored(cell, names=("12", "200")):
    return {names[0]: results(cell, 3, (777,), 40.0), names[1]: results(cell, 5, (777, 888), 60.0)}


def pack(value, path):
    path.write_bytes(bz2.compress(pickle.dumps(value, protocol=4)))
    return path


def folder(path):
    pack({"meta_archs": CELLS, "total_archs": len(CELLS), "evaluated_indexes": {0, 1, 2}}, path / "meta.pickle.pbz2")
    for cell in range(len(CELLS)):
        pack(stored(cell), path / f"{cell:06d}.pickle.pbz2")
    return path


def whole(names=("12", "200")):
    infos = {cell: stored(cell, names) for cell in range(len(CELLS))}
    return {"meta_archs": CELLS, "arch2infos": infos, "evaluated_indexes": {0, 1, 2}}


FORMS = {
    "folder": lambda path: folder(path),
    "pbz2": lambda path: pack(whole(), path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"),
}


@pytest.mark.parametrize("form", FORMS)
def test_means_over_seeds_and_what_the_protocol_pays(form, tmp_path):
    check(*official.read(FORMS[form](tmp_path)))


def test_a_file_of_nas_bench_201_has_less_and_full(tmp_path):
    plain = whole(("less", "full"))
    for one in plain["arch2infos"].values():
        for kind in one.values():
            for trial in kind["all_results"].values():
                trial["latency"] = [0.01]
                trial["eval_acc1es"] = {name: float(value) for name, value in trial["eval_acc1es"].items()}
    plain["evaluated_indexes"] = [0, 1, 2]
    file = tmp_path / "NAS-Bench-201-v1_1-096897.pth"
    torch.save(plain, file)
    check(*official.read(file))


def check(cells, columns):
    assert cells == CELLS
    mean = (777 + 888) / 2 / 100
    assert columns["c10_valid_12ep"] == pytest.approx([(40 + 10 * cell + 7.77) / 100 for cell in range(3)])
    assert columns["c10_test_200ep"] == pytest.approx([(60 + 10 * cell + mean) / 100 for cell in range(3)])
    assert columns["c100_test_200ep"] == pytest.approx([(61 + 10 * cell + mean) / 100 for cell in range(3)])
    assert columns["in16_single_seed_200ep"] == pytest.approx([(60 + 10 * cell + 7.77) / 100 for cell in range(3)])
    assert columns["train_seconds_12ep"] == pytest.approx([3 * 10.777 + 2.0] * 3)


def test_it_is_a_table_for_suites(tmp_path):
    place = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    place.mkdir()
    folder(place)
    table = nas_bench_201_table(str(tmp_path))
    assert (len(table), table.space.size) == (3, 15_625)
    assert table.column("c10_test_200ep")[1] == pytest.approx(0.7 + 0.08325)
    metrics = {measure: [1.0, -1.0, 3.0] for measure in ("edgegpu_latency", "fpga_energy")}
    hardware = {name: {**metrics, "config": [{}] * 3} for name in ("cifar10", "cifar100", "ImageNet16-120")}
    (tmp_path / "HW-NAS-Bench-v1_0.pickle").write_bytes(pickle.dumps({"nasbench201": hardware, "fbnet": {}}))
    column = hw_nas_bench_table(str(tmp_path)).column("c100_fpga_energy")
    assert (column[0], column[2]) == (1.0, 3.0)
    assert np.isnan(column[1])


def test_cells_without_a_result_are_nan(tmp_path):
    some = whole()
    some["arch2infos"][1]["200"]["dataset_seed"]["cifar100"] = []
    columns = official.read(pack(some, tmp_path / "some.pickle.pbz2"))[1]
    assert np.isnan(columns["c100_test_200ep"]).tolist() == [False, True, False]


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("reader", [official.read, official.devices])
def test_code_in_a_file_is_not_run(reader, tmp_path, capsys):
    value = {"meta_archs": CELLS, "arch2infos": Evil(), "nasbench201": Evil()}
    file = tmp_path / "evil.pickle.pbz2"
    pack(value, file) if reader is official.read else file.write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match="only plain values and arrays are read"):
        reader(file)
    assert capsys.readouterr().out == ""


def test_another_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="Could not read"):
        official.read(pack({"meta_archs": CELLS}, tmp_path / "other.pickle.pbz2"))
    (tmp_path / "cut.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(whole(), protocol=4))[:-50])
    with pytest.raises(DataError, match="Fetch it again"):
        official.read(tmp_path / "cut.pickle.pbz2")
