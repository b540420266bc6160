from __future__ import annotations

import pytest
import torch

from archwright.errors import EvaluationError
from archwright.evaluators import check_memory, memory, needed_bytes
from archwright.problem import Cost

COST = Cost(params=1000, flops=1, activation_bytes=5_000_000)


def test_a_network_that_fits_passes_and_one_that_does_not_is_refused_with_the_numbers(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: needed_bytes(COST, 64))
    check_memory(COST, 64)
    with pytest.raises(EvaluationError, match=r"0\.98 GB.*5\.0 MB.*1,000 parameters.*0\.96 GB are free"):
        check_memory(COST, 65)


def test_running_out_of_memory_becomes_a_reason():
    with (
        pytest.raises(EvaluationError, match="Out of memory while training 1,000 parameters"),
        memory.out_of_memory(COST, 64),
    ):
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(EvaluationError, match="Out of memory"), memory.out_of_memory(COST, 64):
        raise MemoryError


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="unrelated"), memory.out_of_memory(COST, 64):
        raise RuntimeError("unrelated")
