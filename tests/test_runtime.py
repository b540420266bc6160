from __future__ import annotations

import os
import subprocess
import sys

import pytest

from archwright.runtime import worker_environment

IN_CHILD = """
import sys
from archwright.runtime import tune_allocator
print(tune_allocator(), "torch" in sys.modules)
"""


def test_a_worker_starts_with_its_environment_and_tunes_its_allocator_without_torch():
    done = subprocess.run(
        [sys.executable, "-c", IN_CHILD],
        env=os.environ | worker_environment(2),
        capture_output=True,
        text=True,
        check=True,
    )
    tuned, torch_loaded = done.stdout.split()
    assert torch_loaded == "False"
    assert tuned in ("True", "False")
    if sys.platform.startswith("linux") and os.confstr("CS_GNU_LIBC_VERSION"):
        assert tuned == "True"
    assert not done.stderr


def test_threads_are_as_asked():
    environment = worker_environment(3)
    assert (
        environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "3"
    )


@pytest.mark.skipif(sys.platform.startswith("linux"), reason="elsewhere than Linux the allocator cannot be tuned")
def test_elsewhere_the_allocator_is_left_alone():
    from archwright.runtime import tune_allocator

    assert tune_allocator() is False
