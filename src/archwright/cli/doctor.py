"""``archwright doctor``: what this machine can do, and what is missing."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from archwright.errors import ArchwrightError


def examine(store: Path | None, console: Console) -> int:
    """Prints one line a finding; returns 1 where a search could not run."""
    rows = [*_versions(), *_machine(), *_extras(), *_data(), _store(store)]
    table = Table("", "", "", show_header=False, box=None, padding=(0, 2, 0, 0))
    marks = {True: "[green]ok[/]", False: "[red]missing[/]", None: "[yellow]note[/]"}
    for state, what, detail in rows:
        table.add_row(marks[state], what, detail)
    console.print(table)
    return 0 if all(state is not False for state, _, _ in rows) else 1


Row = tuple[bool | None, str, str]


def _versions() -> list[Row]:
    from archwright.engine.settings import versions

    return [(True, name, version) for name, version in versions().items()]


def _machine() -> list[Row]:
    import psutil
    import torch

    from archwright.engine.setup import default_workers

    memory = psutil.virtual_memory()
    capability = torch.backends.cpu.get_cpu_capability()
    rows: list[Row] = [
        (True, "workers", f"{default_workers()} by default, one thread each"),
        (True, "memory", f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"),
        (True, "processor", f"{capability}; bf16 is tried for each network and used where it is faster"),
    ]
    if torch.cuda.is_available():
        rows.append(
            (None, "accelerator", f"{torch.cuda.get_device_name()} is present; this version trains on the processor")
        )
    return rows


def _extras() -> list[Row]:
    wanted = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "data": ("datasets", "pyarrow")}
    purpose = {"onnx": "ONNX export", "data": "Hugging Face data sets and Parquet files"}
    rows: list[Row] = []
    for extra, modules in wanted.items():
        absent = [module for module in modules if importlib.util.find_spec(module) is None]
        advice = f"for {purpose[extra]} install {', '.join(absent)}: pip install 'archwright\\[{extra}]'"
        rows.append((None, f"extra {extra}", advice) if absent else (True, f"extra {extra}", purpose[extra]))
    return rows


def _data() -> list[Row]:
    from archwright.tasks import load_task

    try:
        task = load_task("digits")
    except ArchwrightError as error:
        return [(False, "data", str(error))]
    return [(True, "data", f"digits loads: {len(task.train.x)} + {len(task.valid.x)} + {len(task.test.x)} rows")]


def _store(store: Path | None) -> Row:
    from archwright.engine.store import default_folder

    folder = default_folder(store).absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return (False, "store", f"{folder} cannot be written: {error.strerror}. Choose another with --store.")
    free = os.statvfs(existing)
    return (True, "store", f"{folder} ({free.f_bavail * free.f_frsize / 2**30:.0f} GiB free)")
