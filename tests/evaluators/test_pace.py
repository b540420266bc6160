from __future__ import annotations

import time

import numpy as np
import pytest

from archwright.errors import EvaluationError
from archwright.evaluators import Train, memory, time_epoch
from archwright.problem import Fidelity, Proposal


def test_the_estimate_is_about_what_an_epoch_takes(digits, folder, problem, tmp_path):
    candidate = problem.space.sample(np.random.default_rng(0))
    epoch, row = time_epoch(problem.graph(candidate), digits)
    measurements = list(Train(str(folder), str(tmp_path), keep=False)(Proposal(candidate, Fidelity(4)), problem, 0))
    notes = [measurement.notes for measurement in measurements[1:]]
    assert min(note["training"] for note in notes) / 6 < epoch < max(note["training"] for note in notes) * 6
    assert min(note["predicting"] for note in notes) / 6 < row < max(note["predicting"] for note in notes) * 6


def test_too_large_a_network_is_refused_at_once(digits, problem, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10)
    begun = time.monotonic()
    with pytest.raises(EvaluationError, match="too large"):
        time_epoch(problem.graph(problem.space.sample(np.random.default_rng(0))), digits)
    assert time.monotonic() - begun < 2
