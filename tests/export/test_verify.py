from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from archwright.errors import ExportError
from archwright.export import checker, verify

ROWS = np.arange(20)


def judge(folder: Path, trained: Any, **options: float) -> None:
    """Verifies the folder against outputs of the untouched export."""
    import torch

    from archwright.graph.module import build

    network = build(trained.graph, 0)
    network.load_state_dict(trained.state)
    task = trained.task
    with torch.inference_mode():
        original = network.eval()(torch.from_numpy(task.test.x[ROWS])).numpy()
    verify(folder, task, original, ROWS, **options)


def test_changed_weights_are_found_and_measured(copy: Path, trained: Any) -> None:
    path = copy / "model.safetensors"
    state = load_file(path)
    name = next(name for name in state if name.endswith("weight"))
    state[name] = state[name] + 0.05
    save_file(state, path)
    with pytest.raises(ExportError, match=r"the outputs of original and torch differ by \d"):
        judge(copy, trained)


def test_other_preprocessing_is_found(copy: Path, trained: Any) -> None:
    card = json.loads((copy / "card.json").read_text())
    card["preprocess"]["mean"] = [card["preprocess"]["mean"][0] + 0.01]
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(ExportError, match=r"what predict.py makes of raw values differ"):
        judge(copy, trained)


def test_an_export_that_needs_archwright_is_found(copy: Path, trained: Any) -> None:
    source = (copy / "model.py").read_text()
    (copy / "model.py").write_text(source + "\nimport archwright.graph\n")
    with pytest.raises(ExportError, match=r"does not run without archwright.*archwright.* is blocked"):
        judge(copy, trained)


def test_a_check_that_hangs_ends(copy: Path, trained: Any) -> None:
    with pytest.raises(ExportError, match="did not end within"):
        judge(copy, trained, timeout=0.05)


def test_archwright_is_really_blocked_where_it_is_installed(tmp_path: Path) -> None:
    script = tmp_path / "try.py"
    script.write_text(
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('checker', sys.argv[1])\n"
        "checker = importlib.util.module_from_spec(spec); spec.loader.exec_module(checker)\n"
        "import archwright.errors\n"
        "checker.block()\n"
        "for name in ('archwright', 'archwright.errors'):\n"
        "    try: __import__(name)\n"
        "    except ModuleNotFoundError as error: print(error)\n"
    )
    command = [sys.executable, "-I", str(script), checker.__file__]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""})
    assert done.stdout.count("is blocked") == 2


def test_a_block_that_does_not_hold_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker.Blocker, "find_spec", lambda *_: None)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    with pytest.raises(RuntimeError, match="could be imported"):
        checker.block()
