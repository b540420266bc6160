"""Threads and allocator while training or predicting."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from archwright.runtime import tune_allocator


@contextlib.contextmanager
def using_threads(threads: int = 1) -> Iterator[None]:
    """Runs its body with so many torch threads and an allocator that keeps memory; the process has its own threads back afterwards.

    Start a worker process with :func:`archwright.runtime.worker_environment` for the full effect.

    Args:
        threads: Threads torch may use.
    """
    tune_allocator()
    before = torch.get_num_threads()
    if before != threads:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        if before != threads:
            torch.set_num_threads(before)
