"""What a worker process does once before it trains."""

from __future__ import annotations

import contextlib

import torch

from archwright.runtime import tune_allocator


def prepare_worker(threads: int = 1) -> None:
    """Sets torch's threads and the allocator of this process. Safe to call again.

    Start the process with :func:`archwright.runtime.worker_environment` for the full effect.

    Args:
        threads: Threads torch may use.
    """
    tune_allocator()
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    if torch.get_num_interop_threads() != threads:
        with contextlib.suppress(RuntimeError):  # refused once parallel work has begun; the engine starts none
            torch.set_num_interop_threads(threads)
