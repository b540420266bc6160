"""The command that measures a latency table."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.progress import Progress


def measure(
    data: str,
    space: str | None,
    target: str | None,
    kind: str | None,
    image_size: int | None,
    threads: int,
    out: Path,
    console: Console,
) -> None:
    """Measures the operations of a space on this machine and writes the table."""
    from archwright.evaluators.latency import measure_table
    from archwright.space import get_space
    from archwright.tasks import load_task

    task = load_task(data, target, kind=kind, image_size=image_size)
    chosen = get_space(space or task.default_space)
    with Progress(console=console, transient=True) as bar:
        job = bar.add_task(f"operations of {chosen.name}", total=None)
        table = measure_table(
            chosen, task.signature, threads, lambda done, count: bar.update(job, completed=done, total=count)
        )
    out.write_text(json.dumps({"space": chosen.name, "signature": str(task.signature), **table}, indent=1))
    console.print(
        f"{len(table['entries'])} operations of '{chosen.name}' measured: {out}\n"
        f"Search with it: archwright search {data} --latency {out} --constraint 'latency_ms<=5'",
        highlight=False,
        soft_wrap=True,
    )
