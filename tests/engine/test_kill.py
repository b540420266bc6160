"""A search on real data, killed again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter

import numpy as np
import pytest

import archwright as aw
from archwright.ledger import fold
from archwright.problem import purpose

SCRIPT = textwrap.dedent(
    """
    import sys
    import archwright as aw

    action, store, budget = sys.argv[1:]
    if action == "search":
        aw.search("digits", space="mlp", budget=budget, workers=2, seed=1, name="evening", store=store, progress="none")
    else:
        aw.resume("evening", store=store, progress="none")
    """
)


def killed_and_resumed(tmp_path, kills: int, seconds: float):
    script = tmp_path / "go.py"
    script.write_text(SCRIPT.replace('space="mlp"', 'space="cnn"'))
    store, rng = tmp_path / "runs", np.random.default_rng(0)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    finished: list[dict[int, object]] = []
    for kill in range(kills + 1):
        action = "resume" if (store / "ledger.db").exists() and aw_runs(store) else "search"
        process = subprocess.Popen([sys.executable, script, action, store, f"{seconds:g}s"], env=environment)
        if kill == kills:
            assert process.wait(timeout=seconds + 60) == 0
            break
        try:
            process.wait(timeout=float(rng.uniform(2.0, 8.0)))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if aw_runs(store):
            finished.append(results(aw.open_run("evening", store=store)))
    return aw.open_run("evening", store=store), finished


def aw_runs(store) -> bool:
    from archwright.engine import Store
    from archwright.errors import LedgerError

    try:
        return bool(Store(store, create=False).ledger.runs())
    except LedgerError:
        return False


def results(run) -> dict[int, object]:
    return {trial.id: trial.measurements for trial in run.trials if trial.status == "finished"}


@pytest.mark.slow
@pytest.mark.sample
@pytest.mark.timeout(400)
def test_three_kills(tmp_path):
    check(*killed_and_resumed(tmp_path, kills=3, seconds=30), seconds=30)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_kills(tmp_path):
    check(*killed_and_resumed(tmp_path, kills=20, seconds=130), seconds=130)


def check(result, earlier, seconds: float) -> None:
    events = result.run.events()
    assert fold(events) == result.trials
    for known in earlier:
        now = results(result)
        assert all(now[number] == measurements for number, measurements in known.items())
    done = Counter(event.trial for event in events if event.kind in ("finished", "failed", "stopped", "duplicate"))
    assert max(done.values()) == 1
    started = Counter(event.trial for event in events if event.kind == "started")
    assert max(started.values()) == 1
    trained = Counter(
        (trial.fingerprint, trial.proposal.fidelity)
        for trial in result.trials
        if trial.status == "finished" and purpose(trial) != "final"
    )
    assert max(trained.values()) == 1
    assert result.final is not None
    assert result.tests == 1
    assert result.run.spent + result.settings.notes["setup_seconds"] <= seconds
    assert result.ended is not None
