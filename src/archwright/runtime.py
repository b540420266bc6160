"""How a worker process should run: threads and the memory allocator. No torch.

Training a small network allocates and frees the same megabyte-sized tensors at every step. glibc hands such blocks back to the system at once
and gets them again as fresh pages, which costs more than the arithmetic of a depthwise convolution. Large mmap and trim thresholds keep the
pages, huge pages make them cheap.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEEP = 2**31 - 1
_MMAP_THRESHOLD = 2**30
_TOP_PAD = 2**26


def worker_environment(threads: int = 1) -> dict[str, str]:
    """Environment variables a worker process must be started with; they have no effect once it runs.

    glibc is asked for huge pages; other systems than Linux with glibc (2.35 or newer) ignore that. How OpenMP threads wait is left alone: one has nothing to
    wait for, and where torch is told to use more for the final training, two that may spin between operations are up to a half faster than two that may not.

    Args:
        threads: Threads each worker may use.

    >>> worker_environment()["OMP_NUM_THREADS"]
    '1'
    """
    count = str(threads)
    return {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "GLIBC_TUNABLES": f"glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold={_MMAP_THRESHOLD}:glibc.malloc.trim_threshold={_KEEP}",
    }


def tune_allocator() -> bool:
    """Makes this process keep the memory it frees, for reuse. Call it before anything large is allocated.

    Returns:
        Whether it had an effect: only Linux with glibc has these settings.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL("libc.so.6")
        settings = ((_M_MMAP_THRESHOLD, _MMAP_THRESHOLD), (_M_TRIM_THRESHOLD, _KEEP), (_M_TOP_PAD, _TOP_PAD))
        return all(library.mallopt(name, value) == 1 for name, value in settings)
    except (OSError, AttributeError):
        return False
