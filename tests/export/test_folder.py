from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from archwright.errors import ExportError
from archwright.export import Exported, checker, export, folder, onnx_file
from archwright.export.reading import read_safetensors
from archwright.graph.module import build


def outputs(trained: Any) -> np.ndarray:
    network = build(trained.graph, 1)
    network.load_state_dict(trained.state)
    with torch.inference_mode():
        found: np.ndarray = network.eval()(torch.from_numpy(trained.task.test.x)).numpy()
    return found


def test_an_export_holds_every_file_and_agrees_with_the_original(exported: Exported, trained: Any) -> None:
    assert {path.name for path in exported.folder.iterdir()} == set(folder.FILES)
    assert {path.name for path in exported.files} == set(folder.FILES)
    assert exported.checks is not None
    assert set(exported.checks.differences) == {"original and torch", "original and onnx", "torch and onnx"}
    assert max(exported.checks.differences.values()) <= 1e-4
    assert exported.checks.raw_difference <= 1e-4
    task = trained.task
    expected = float((outputs(trained).argmax(1) == task.test.y).mean())
    assert exported.checks.metrics["accuracy"] == pytest.approx(expected, abs=1.5 / len(task.test))
    assert exported.checks.rows == len(task.test)
    assert "torch, ONNX Runtime and the original agree" in exported.text()


def test_the_handed_over_network_needs_nothing_of_ours(exported: Exported, trained: Any) -> None:
    for name in ("model.py", "predict.py"):
        text = (exported.folder / name).read_text()
        assert "archwright" not in text, name
        assert not any(len(line) > 140 for line in text.splitlines())
    network = checker.load(exported.folder / "model.py").load()
    x = torch.from_numpy(trained.task.test.x[:50])
    with torch.inference_mode():
        np.testing.assert_allclose(network(x).numpy(), outputs(trained)[:50], atol=1e-5)


def test_safetensors_are_read_as_their_own_library_reads_them(exported: Exported, tmp_path: Path) -> None:
    path = exported.folder / "model.safetensors"
    ours, theirs = read_safetensors(path), load_file(path)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert torch.equal(ours[name], tensor)


def test_the_card_tells_what_is_known(exported: Exported, trained: Any) -> None:
    card = json.loads((exported.folder / "card.json").read_text())
    text = (exported.folder / "card.md").read_text()
    task = trained.task
    assert card["task"]["data_hash"] == task.data_hash
    assert card["preprocess"] == task.preprocess
    assert card["checks"]["differences"].keys() == exported.checks.differences.keys()
    assert card["network"]["params"] == trained.graph.cost.params
    assert card["origin"]["versions"]["torch"] == torch.__version__
    for part in (
        "archwright search digits --budget 2m",
        task.data_hash,
        "Not measured on the test split",
        "| width | 8 |",
    ):
        assert part in text


def test_predict_reads_images_and_arrays(
    exported: Exported, trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    task = trained.task
    pixels = np.rint((task.test.x[:3, 0] * task.preprocess["std"][0] + task.preprocess["mean"][0]) * 16).astype(
        np.uint8
    )
    expected = [task.classes[i] for i in outputs(trained)[:3].argmax(1)]
    predict = checker.load(exported.folder / "predict.py")
    answers = predict.predict(pixels)
    assert [answer["class"] for answer in answers] == expected
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)
    Image.fromarray(pixels[0]).save(tmp_path / "one.png")
    np.save(tmp_path / "two.npy", pixels[1:])
    assert predict.main([str(tmp_path / "one.png"), str(tmp_path / "two.npy")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in lines] == expected
    assert predict.main(["--json", str(tmp_path / "one.png")]) == 0
    assert json.loads(capsys.readouterr().out)["class"] == expected[0]
    assert predict.main([str(tmp_path / "missing.png")]) == 1
    assert "missing.png" in capsys.readouterr().err


def test_a_failed_check_leaves_nothing_behind(trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ExportError("no")

    monkeypatch.setattr(folder, "verify", fail)
    with pytest.raises(ExportError):
        export(tmp_path / "out", graph=trained.graph, state=trained.state, task=trained.task, onnx=False)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_onnx_is_left_out_and_the_card_says_so(
    trained: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "NEEDED", ("a_package_that_is_not_there",))
    found = export(tmp_path / "out", graph=trained.graph, state=trained.state, task=trained.task, check=False)
    assert "model.onnx" not in {path.name for path in found.files}
    assert not (tmp_path / "out" / "model.onnx").exists()
    assert "pip install" in found.notes[0]
    assert "pip install" in (tmp_path / "out" / "card.md").read_text()
    assert found.text().startswith("The files were not checked.")


def test_only_an_earlier_export_is_ever_replaced(trained: Any, tmp_path: Path) -> None:
    def again(name: str, **options: bool) -> None:
        export(
            tmp_path / name,
            graph=trained.graph, state=trained.state, task=trained.task, check=False, onnx=False, **options,
        )  # fmt: skip

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match=r"other files \(thesis.txt\)"):
        again("mine", overwrite=True)
    (tmp_path / "out").mkdir()
    again("out")
    with pytest.raises(ExportError, match="earlier export"):
        again("out")
    (tmp_path / "out" / "card.md").write_text("old")
    again("out", overwrite=True)
    assert (tmp_path / "out" / "card.md").read_text() != "old"
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="not a folder"):
        again("file", overwrite=True)
    with pytest.raises(ExportError, match="Could not write"):
        again("file/out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine", "out"]


def test_weights_of_another_network_and_unknown_facts_are_refused(trained: Any, tmp_path: Path) -> None:
    state = {**trained.state, "stranger": torch.zeros(1)}
    with pytest.raises(ExportError, match="do not belong to this network"):
        export(tmp_path / "out", graph=trained.graph, state=state, task=trained.task)
    with pytest.raises(ExportError, match="Expected keys: run, trial"):
        export(tmp_path / "out", graph=trained.graph, state=state, task=trained.task, card={"metricks": 1})


def test_exported_is_json(exported: Exported) -> None:
    assert msgspec.json.decode(msgspec.json.encode(exported.checks))["split"] == "test"
