"""Verifies an exported folder in a separate process that cannot import archwright."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from archwright.errors import ExportError
from archwright.export import checker
from archwright.export.recover import recover

if TYPE_CHECKING:
    from archwright.tasks import Split, Task

TOLERANCE = 1e-4
"""Largest difference allowed between two outputs, as a share of the original's largest output (at least 1)."""

SPLITS = {"test": "test", "valid": "validation", "train": "training"}
"""Splits for people."""

_PAIRS = (("original", "torch"), ("original", "onnx"), ("torch", "onnx"))
_RAW_ROWS = 64


class Checks(msgspec.Struct, frozen=True):
    """What the verification found. All of it was measured in a process where archwright could not be imported.

    Attributes:
        split: Whose rows were used: ``test``, or ``valid`` where there are no test rows, or ``train``.
        rows: Rows that every form of the network was run on.
        differences: Largest difference of two forms' outputs, as a share of the original's largest output (at least 1).
        raw_rows: Rows that went through ``predict.py`` from raw values.
        raw_difference: Largest difference of the inputs that ``predict.py`` prepared from raw values, as above.
        metrics: The task's metrics on these rows, recomputed from the export's outputs.
        tolerance: The largest difference allowed.
        seconds: How long it took.
    """

    split: str
    rows: int
    differences: dict[str, float]
    raw_rows: int
    raw_difference: float
    metrics: dict[str, float]
    tolerance: float
    seconds: float


def read_checks(folder: str | os.PathLike[str]) -> Checks | None:
    """What the verification of an earlier export found, from its card; ``None`` where there is no such export, or it was not checked."""
    try:
        card = msgspec.json.decode((Path(folder) / "card.json").read_bytes())
        return msgspec.convert(card.get("checks"), Checks | None)
    except (OSError, msgspec.MsgspecError):
        return None


def verify(
    folder: Path, task: Task, original: np.ndarray, rows: np.ndarray, *, split: str = "test", timeout: float = 300.0
) -> Checks:
    """Runs the folder as a receiver would and compares it to the original network.

    Args:
        folder: The exported folder.
        task: For the rows and their preprocessing.
        original: The original network's outputs for those rows, float32 ``(len(rows), outputs)``.
        rows: Which rows of the split.
        split: ``test``, ``valid`` or ``train``.
        timeout: Seconds after which the check counts as failed.

    Raises:
        ExportError: Where the folder does not run, or two forms of the network disagree; the message says which and by how much.
    """
    from archwright.tasks.metrics import metrics

    started = time.monotonic()
    known: Split = getattr(task, split)
    x = np.ascontiguousarray(known.x[rows], dtype=np.float32)
    raw_rows = min(_RAW_ROWS, len(rows))
    with tempfile.TemporaryDirectory(prefix="archwright-check-") as work:
        inputs, outputs = Path(work, "inputs.npz"), Path(work, "outputs.npz")
        raw = np.empty((), dtype=object)
        raw[()] = recover(task.preprocess, x[:raw_rows])
        np.savez(inputs, x=x, raw=raw)
        _run(folder, inputs, outputs, timeout)
        with np.load(outputs, allow_pickle=False) as saved:
            found = {"original": original, **{name: saved[name] for name in saved.files}}
    differences = {
        f"{one} and {two}": _difference(found[one], found[two], original)
        for one, two in _PAIRS
        if one in found and two in found
    }
    raw_difference = max(
        _difference(x[:raw_rows], found["prepared"], x),
        _difference(found["torch"][:raw_rows], found["predicted"], original),
    )
    _judge({**differences, "the original and what predict.py makes of raw values": raw_difference})
    return Checks(
        split=split,
        rows=len(rows),
        differences=differences,
        raw_rows=raw_rows,
        raw_difference=raw_difference,
        metrics=metrics(task.kind, known.y[rows], found.get("onnx", found["torch"]), scale=task.target_std),
        tolerance=TOLERANCE,
        seconds=round(time.monotonic() - started, 2),
    )


def _difference(one: np.ndarray, two: np.ndarray, original: np.ndarray) -> float:
    if one.shape != two.shape:
        return float("inf")
    gap = np.abs(one.astype(np.float64) - two.astype(np.float64))
    scale = max(1.0, float(np.abs(original).max(initial=0.0)))
    return float(gap.max(initial=0.0)) / scale if np.isfinite(gap).all() else float("inf")


def _judge(differences: dict[str, float]) -> None:
    for pair, difference in differences.items():
        if not difference <= TOLERANCE:
            raise ExportError(
                f"The export was not kept: the outputs of {pair} differ by {difference:.2g} of their scale; expected at most "
                f"{TOLERANCE:g}. If the weights are those of this network, please report it with the architecture."
            )


def _run(folder: Path, inputs: Path, outputs: Path, timeout: float) -> None:
    command = [
        sys.executable,
        "-P",
        str(Path(checker.__file__).resolve()),
        str(folder.resolve()),
        str(inputs),
        str(outputs),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=outputs.parent, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ExportError(
            f"The export was not kept: its check did not end within {timeout:g} seconds. Is the machine busy? Try again, "
            "or export with check=False."
        ) from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise ExportError(
            f"The export was not kept: it does not run without archwright (exit code {done.returncode}): "
            f"{lines[-1] if lines else 'no message'}."
        )
