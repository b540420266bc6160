"""Runs an exported folder where archwright cannot be imported: ``python -P checker.py FOLDER INPUTS.npz OUTPUTS.npz``.

It loads the folder as its receiver would and writes what it got; the process that started it compares. Uses only the
standard library and numpy, and what the exported files import themselves.

INPUTS holds ``x`` (preprocessed rows) and ``raw`` (some of them before preprocessing, as one object). OUTPUTS receives ``torch``
and, where there is a ``model.onnx``, ``onnx`` (the network's outputs for ``x``), and ``prepared`` and ``predicted`` (what
``predict.py`` makes of ``raw``: inputs and outputs of the network).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

_BATCH = 256


class Blocker:
    """A finder that refuses archwright, wherever it may be installed."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Raises for archwright and its modules; leaves every other name to the next finder."""
        if name.partition(".")[0] == "archwright":
            raise ModuleNotFoundError(f"{name} is blocked: an export must work without it", name=name)


def main(folder: Path, inputs: Path, outputs: Path) -> None:
    """Runs every exported form of the network on the inputs and saves the outputs."""
    sys.dont_write_bytecode = True
    block()
    data = np.load(inputs, allow_pickle=True)
    x = data["x"]
    raw = data["raw"].item()
    predict = load(folder / "predict.py")
    found: dict[str, Any] = {
        "torch": run_torch(folder, x),
        "prepared": predict.prepare(raw),
        "predicted": predict.outputs(raw),
    }
    if (folder / "model.onnx").exists():
        found["onnx"] = run_onnx(folder, x)
    np.savez(outputs, **found)


def block() -> None:
    """Makes archwright impossible to import, and makes sure of it.

    Raises:
        RuntimeError: Where it can be imported all the same.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] == "archwright"]:
        del sys.modules[name]
    sys.meta_path.insert(0, Blocker())
    try:
        importlib.import_module("archwright")
    except ModuleNotFoundError:
        return
    raise RuntimeError("archwright could be imported in the process that checks the export")


def run_torch(folder: Path, x: np.ndarray) -> np.ndarray:
    """Outputs of ``model.py`` with ``model.safetensors``."""
    import torch

    torch.set_num_threads(1)
    network = load(folder / "model.py").load(folder / "model.safetensors")
    with torch.inference_mode():
        parts = [network(torch.from_numpy(x[start : start + _BATCH])).numpy() for start in range(0, len(x), _BATCH)]
    return np.concatenate(parts)


def run_onnx(folder: Path, x: np.ndarray) -> np.ndarray:
    """Outputs of ``model.onnx`` in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: x[start : start + _BATCH]})[0] for start in range(0, len(x), _BATCH)]
    return np.concatenate(parts)


def load(path: Path) -> Any:
    """Imports a Python file by its path, leaving no compiled copy beside it."""
    spec = importlib.util.spec_from_file_location(f"exported_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
