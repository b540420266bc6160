"""What goes wrong around a search - networks, workers, disks, stores, data, people - and what a user then sees and keeps."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from rich.console import Console

import archwright as aw
from archwright.cli.salvage import salvage_store
from archwright.errors import DataError, LedgerError
from archwright.ledger import store as database
from archwright.space import OUTPUTS, chain, choice, op

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def finished(result):
    """What a run has learnt: number of each finished trial to what was measured."""
    return {
        trial.id: [step.values for step in trial.measurements] for trial in result.trials if trial.status == "finished"
    }


def never(proposal, problem, seed):
    raise AssertionError("it must not run")


@pytest.fixture
def resume(tmp_path, rate):
    """Goes on with a run of the quick evaluator."""

    def go(name="evening", **settings):
        return aw.resume(name, **{"evaluator": rate, "store": tmp_path / "runs", "progress": "none"} | settings)

    return go


# Networks


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A user's module with a layer that makes numbers grow without bound."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "growing_layers.py").write_text(
        textwrap.dedent(
            """
            from torch import nn

            class Explode(nn.Module):
                def __init__(self, in_features: int) -> None:
                    super().__init__()
                    self.layer = nn.Linear(in_features, 8)

                def forward(self, x):
                    return self.layer(x) * 1e30 * 1e30
            """
        )
    )
    yield importlib.import_module("growing_layers")
    del sys.modules["growing_layers"]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_network_that_diverges_fails_with_the_reason_and_the_search_goes_on(tmp_path, modules, workers):
    space = aw.Space(
        chain(choice(op("dense", width=8), op("dense", width=4), op(modules.Explode)), op("linear", width=OUTPUTS))
    )
    result = aw.search(
        "wine", space=space, budget="3 trials", fidelity=aw.Fidelity(2), workers=workers, baseline=0.0, strategy="random",
        store=tmp_path / "runs", progress="none",
    )  # fmt: skip
    failed = [trial for trial in result.trials if trial.status == "failed"]
    assert failed
    assert all("diverged: the loss is nan" in trial.reason for trial in failed)
    assert len(finished(result)) >= 2
    assert result.final is not None
    assert result.final.trial not in {trial.id for trial in failed}


@pytest.mark.parametrize("budget", ["3 trials", pytest.param("8s", marks=[pytest.mark.slow, pytest.mark.sample])])
def test_a_network_too_large_for_memory_fails_with_the_reason_and_the_search_goes_on(tmp_path, budget):
    space = aw.Space(
        chain(
            choice(op("dense", width=8), op("dense", width=4), op("dense", width=10**12)), op("linear", width=OUTPUTS)
        )
    )
    result = aw.search(
        "wine", space=space, budget=budget, fidelity=aw.Fidelity(2), workers=1, baseline=0.0, strategy="random",
        store=tmp_path / "runs", progress="none",
    )  # fmt: skip
    failed = [trial for trial in result.trials if trial.status == "failed" and trial.proposal.why.get("by") != "final"]
    assert failed
    assert "GB are free" in failed[0].reason
    assert result.final is not None


# Workers


class Deadly:
    """Kills its own process at every evaluation of the first trial's network, or only at the first."""

    def __init__(self, folder: Path, always: bool) -> None:
        self.folder, self.always = folder, always

    def __call__(self, proposal, problem, seed):
        yield {"score": 0.5}
        chosen = self.folder / "chosen"
        if not chosen.exists():
            chosen.write_text(proposal.architecture.id)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.always and chosen.read_text() == proposal.architecture.id:
            os.kill(os.getpid(), signal.SIGKILL)
        yield {"score": 1.0}


@pytest.fixture
def by_value():
    """Lets workers run functions of this module, which they cannot import."""
    import cloudpickle

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.slow
@pytest.mark.sample
@pytest.mark.usefixtures("by_value")
def test_a_trial_whose_worker_is_killed_is_run_again(run, tmp_path):
    result = run(Deadly(tmp_path, always=False), workers=2, budget="6 trials")
    assert len(finished(result)) == 6
    assert all(len(measured) == 2 for measured in finished(result).values())
    assert result.ended == "all 6 trials are done"


@pytest.mark.slow
@pytest.mark.sample
@pytest.mark.usefixtures("by_value")
def test_a_trial_that_kills_every_worker_fails_with_the_cause(run, tmp_path):
    result = run(Deadly(tmp_path, always=True), workers=2, budget="6 trials")
    failed = [trial for trial in result.trials if trial.status == "failed"]
    assert [trial.proposal.architecture.id for trial in failed] == [(tmp_path / "chosen").read_text()]
    assert "killed by signal 9" in failed[0].reason
    assert len(finished(result)) == 5


class Hangs:
    """Never returns from some evaluations."""

    def __call__(self, proposal, problem, seed):
        yield {"score": 1.0}
        if len(proposal.architecture.choices) > 3:
            time.sleep(600)
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.sample
@pytest.mark.usefixtures("by_value")
def test_a_hanging_evaluation_does_not_make_the_search_miss_its_budget(run):
    begun = time.monotonic()
    result = run(Hangs(), workers=2, budget="5s")
    assert time.monotonic() - begun < 5 + 0.5
    assert not [trial for trial in result.trials if not trial.done]
    hanging = [trial for trial in result.trials if trial.status == "stopped"]
    assert hanging
    assert "time" in hanging[0].reason


# Disks


@pytest.fixture
def disk(tmp_path):
    """Mounts a small disk of its own at ``runs``: ``disk(options)`` mounts it or changes it."""
    place = tmp_path / "runs"
    place.mkdir()
    mounted = []

    def mount(options):
        gc.collect()
        flags = ["-o", f"remount,{options}", place] if mounted else ["-t", "tmpfs", "-o", options, "tmpfs", place]
        done = subprocess.run(["mount", *flags], capture_output=True, text=True, check=False)
        if done.returncode and not mounted:
            pytest.skip(f"mounting a small disk is not permitted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted.append(options)
        return place

    yield mount
    gc.collect()
    if mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.filterwarnings("ignore:The spare copy")
def test_a_full_disk_ends_the_search_with_the_cause_and_loses_nothing(run, resume, rate, disk):
    place = disk("size=1500k")
    told = {}

    def evaluator(proposal, problem, seed):
        yield from rate(proposal, problem, seed)
        told[proposal.architecture.id, seed] = True

    with pytest.raises(LedgerError, match=r"full.*then resume"):
        run(evaluator, name="evening", budget="3000 trials", strategy="random")
    disk("size=20m")
    before = finished(aw.open_run("evening", store=place))
    assert len(told) - 1 <= len(before) <= len(told)
    assert len(before) > 10
    result = resume(budget=f"{len(before) + 5} trials")
    assert before.items() <= finished(result).items()
    assert len(finished(result)) == len(before) + 5


@pytest.mark.filterwarnings("ignore:The spare copy")
def test_a_disk_too_full_for_weights_ends_the_search_with_the_cause(disk):
    place = disk("size=1500k")
    space = aw.Space(
        chain(op("dense", width=choice(*range(60, 100))), op("dense", width=256), op("linear", width=OUTPUTS))
    )
    settings = {
        "budget": "40 trials",
        "fidelity": aw.Fidelity(1),
        "workers": 1,
        "strategy": "random",
        "progress": "none",
    }
    with pytest.raises(LedgerError, match=r"disk is full.*then resume"):
        aw.search("wine", space=space, name="evening", store=place, **settings)
    disk("size=60m")
    before = aw.open_run("evening", store=place)
    assert before.trials
    assert not [trial for trial in before.trials if trial.status == "failed"]
    result = aw.resume("evening", budget=f"{len(finished(before)) + 2} trials", store=place, progress="none")
    assert finished(before).items() <= finished(result).items()
    assert result.final is not None


class Stores:
    """Stores something large on a disk with room for five of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, proposal, problem, seed):
        from archwright.artifacts import Artifacts

        yield {"score": 1.0}
        digest = Artifacts(self.folder).put(np.random.default_rng(seed).bytes(1_000_000))
        yield aw.Measurement({"score": 2.0}, artifacts={"checkpoint": digest})


@pytest.mark.usefixtures("by_value")
def test_workers_that_cannot_store_their_results_end_the_search_with_the_cause(run, resume, disk, tmp_path):
    full = Stores(disk("size=5500k") / "weights")
    with pytest.raises(LedgerError, match=r"disk is full.*then resume"):
        run(full, name="evening", workers=2, store=tmp_path / "other")
    before = aw.open_run("evening", store=tmp_path / "other")
    assert len(finished(before)) in (4, 5), "two workers that fill the last place together may both fail"
    assert {trial.status for trial in before.trials} == {"finished", "running"}
    disk("size=60m")
    result = resume(evaluator=full, store=tmp_path / "other")
    assert finished(before).items() <= finished(result).items()
    assert len(finished(result)) == 20


def test_a_read_only_store_is_refused_before_anything_runs(run, resume, disk):
    place = disk("size=20m")
    known = run(name="evening")
    before = finished(known)
    known.store.ledger.close()
    del known
    disk("ro")
    for attempt in (lambda: run(never), lambda: resume(evaluator=never, budget="50 trials")):
        with pytest.raises(LedgerError, match="read-only"):
            attempt()
    disk("rw")
    assert finished(aw.open_run("evening", store=place)) == before
    assert len(finished(resume(budget="25 trials"))) == 25


# Stores


def damage(place: Path, event) -> None:
    """Overwrites the page of the database that holds an event."""
    with contextlib.closing(sqlite3.connect(place / "ledger.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (digest,) = connection.execute("SELECT checksum FROM events WHERE seq = ?", (event,)).fetchone()
    with (place / "ledger.db").open("r+b") as file:
        at = file.read().index(digest.encode()) // size * size
        assert at > 0
        file.seek(at)
        file.write(b"\xa5" * size)


def quiet() -> Console:
    return Console(record=True, width=200, file=open(os.devnull, "w"))


def test_a_corrupt_page_is_named_and_salvage_brings_everything_back(run, resume, tmp_path):
    whole = run(name="evening", budget="60 trials")
    before, events = finished(whole), len(whole.run.events())
    whole.store.ledger.close()
    damage(tmp_path / "runs", events // 2)
    for attempt in (
        lambda: resume(evaluator=never, budget="70 trials"),
        lambda: aw.open_run("evening", store=tmp_path / "runs"),
    ):
        with pytest.raises(LedgerError, match=r"damaged.*salvage"):
            attempt()
    console = quiet()
    salvage_store(tmp_path / "runs", console, tmp_path / "rescued")
    assert f"evening: {events} events kept, nothing lost" in console.export_text()
    result = resume(budget="70 trials", store=tmp_path / "rescued")
    assert before.items() <= finished(result).items()
    assert len(finished(result)) == 70


def test_without_the_spare_copy_salvage_says_what_is_lost_and_keeps_the_rest(run, resume, tmp_path):
    whole = run(name="evening", budget="60 trials")
    before, events = finished(whole), len(whole.run.events())
    whole.store.ledger.close()
    damage(tmp_path / "runs", events // 2)
    (tmp_path / "runs" / "ledger.db.copy").unlink()
    console = quiet()
    salvage_store(tmp_path / "runs", console, tmp_path / "rescued")
    assert "lost: event" in console.export_text()
    kept = finished(aw.open_run("evening", store=tmp_path / "rescued"))
    assert kept
    assert kept.items() < before.items()
    assert finished(resume(store=tmp_path / "rescued")) == before  # the same seed finds the same trials again


def test_salvage_takes_whole_weights_along_and_says_which_are_damaged(tmp_path):
    settings = {"space": "mlp", "budget": "3 trials", "fidelity": aw.Fidelity(1), "workers": 1, "progress": "none"}
    result = aw.search("wine", name="evening", store=tmp_path / "runs", **settings)
    best = result.best.weights()
    other = next(
        trial
        for trial in result.trials
        if result.checkpoint(trial) and result.checkpoint(trial) != result.final.weights
    )
    broken = result.checkpoint(other)
    result.store.artifacts("evening").path(broken).write_bytes(b"torn")
    console = quiet()
    salvage_store(tmp_path / "runs", console, tmp_path / "rescued")
    said = console.export_text()
    assert f"1 artifacts are damaged and left out: {broken[:12]}" in said
    assert f"archwright resume NAME --store {tmp_path / 'rescued'}" in said
    rescued = aw.open_run("evening", store=tmp_path / "rescued")
    assert finished(rescued) == finished(result)
    assert all((tensor == best[name]).all() for name, tensor in rescued.best.weights().items())
    assert rescued.checkpoint(other) is None
    more = aw.resume("evening", budget="5 trials", store=tmp_path / "rescued", progress="none")
    assert (
        len([trial for trial in more.trials if trial.status == "finished" and trial.proposal.why["by"] != "final"]) == 5
    )


def test_salvage_refuses_to_overwrite_a_store_or_to_read_none(run, tmp_path):
    run(name="evening", budget="3 trials")
    with pytest.raises(LedgerError, match="a new folder"):
        salvage_store(tmp_path / "runs", quiet(), tmp_path / "runs")
    run(name="other", budget="3 trials", store=tmp_path / "other")
    with pytest.raises(LedgerError, match="a new folder"):
        salvage_store(tmp_path / "runs", quiet(), tmp_path / "other")
    with pytest.raises(LedgerError, match="no store"):
        salvage_store(tmp_path / "nowhere", quiet(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_store_of_a_newer_version_is_left_alone(run, resume, tmp_path):
    known = run(name="evening")
    known.store.ledger.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "runs" / "ledger.db")) as connection, connection:
        table = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%version%'").fetchone()[0]
        connection.execute(f"INSERT INTO {table} (version, archwright, at) VALUES (99, '9.9', 0)")
    before = (tmp_path / "runs" / "ledger.db").read_bytes()
    for attempt in (lambda: run(never), lambda: resume(evaluator=never), lambda: aw.open_run(store=tmp_path / "runs")):
        with pytest.raises(LedgerError, match=r"version 99, written by archwright 9\.9.*Upgrade"):
            attempt()
    assert (tmp_path / "runs" / "ledger.db").read_bytes() == before


def test_a_store_that_cannot_be_used_is_named_before_networks_are_timed(tmp_path, monkeypatch):
    (tmp_path / "ledger.db").write_bytes(b"no database" * 1000)
    monkeypatch.setattr("archwright.engine.api.make_plan", never)
    with pytest.raises(LedgerError, match="damaged"):
        aw.search("wine", budget="10s", workers=1, store=tmp_path, progress="none")


def test_a_store_that_another_program_holds_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    run(name="evening")
    blocker = sqlite3.connect(tmp_path / "runs" / "ledger.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="another process has held it"):
        run(never, name="morning")
    blocker.execute("ROLLBACK")
    blocker.close()
    assert finished(run(name="morning")) == finished(aw.open_run("evening", store=tmp_path / "runs"))


SCRIPT = textwrap.dedent(
    """
    import os, sys, time
    from pathlib import Path
    import archwright as aw
    from archwright.space import OUTPUTS, chain, choice, integer, op, repeat

    workers, store = int(sys.argv[1]), Path(sys.argv[2])
    pids = store.parent / "pids"
    pids.mkdir()
    space = aw.Space(chain(repeat(op("dense", width=choice(4, 8, 16, 32)), integer(1, 4)), op("linear", width=OUTPUTS)), "small")

    def evaluator(proposal, problem, seed):
        for step in range(8):
            (pids / str(os.getpid())).touch()
            time.sleep(0.05)
            yield {"score": float(seed % 100 + step)}

    result = aw.search(space=space, evaluator=evaluator, budget="400 trials", strategy="evolution", workers=workers, name="evening",
                       signature=aw.Signature(((6,),), (3,)), store=store, progress="none")
    print("interrupted" if result.interrupted else "ended", len(result.trials), result.best.metrics["score"])
    """
)


@pytest.fixture
def elsewhere(tmp_path):
    """Starts a search in another process, and waits until its store has finished trials."""
    started = []

    def go(workers, wanted=3):
        script = tmp_path / "go.py"
        script.write_text(SCRIPT)
        command = [sys.executable, script, str(workers), tmp_path / "runs"]
        process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(LedgerError):
                if len(finished(aw.open_run("evening", store=tmp_path / "runs"))) >= wanted:
                    break
            time.sleep(0.1)
        assert process.poll() is None, process.stderr.read()
        return process

    yield go
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.sample
def test_a_run_that_another_live_process_is_at_is_refused_until_that_is_gone(elsewhere, resume):
    process = elsewhere(workers=1, wanted=1)
    with pytest.raises(LedgerError, match=f"written by process {process.pid}"):
        resume(evaluator=never)
    process.kill()
    process.wait()
    assert len(finished(resume(budget="10 trials"))) >= 10


# People


@pytest.mark.slow
@pytest.mark.sample
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_ends_tidily_and_resume_goes_on(elsewhere, resume, tmp_path, workers):
    process = elsewhere(workers)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - begun < 5
    assert process.returncode == 0, err
    assert out.startswith("interrupted")
    assert "Traceback" not in err
    pids = [int(file.name) for file in (tmp_path / "pids").iterdir()]
    assert len(pids) == workers
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    before = aw.open_run("evening", store=tmp_path / "runs")
    assert before.ended is None
    known = finished(before)
    assert len(known) >= 3
    result = resume(budget=f"{len(known) + 5} trials", workers=1)
    assert known.items() <= finished(result).items()
    assert len(finished(result)) == len(known) + 5
    assert not [trial for trial in result.trials if not trial.done]


def test_an_interrupt_during_a_write_leaves_the_run_open_to_resume(run, resume, rate, monkeypatch):
    from archwright.ledger import Session

    append, written = Session.append, []

    def interrupted(self, *event):
        written.append(event)
        if len(written) == 30:
            append(self, *event)
            raise KeyboardInterrupt
        return append(self, *event)

    monkeypatch.setattr(Session, "append", interrupted)
    result = run(name="evening")
    assert result.interrupted
    assert finished(resume()) == finished(run(name="whole"))


# Data


def test_unreadable_images_are_left_out_with_a_warning_that_reaches_the_result_and_the_report(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(200):
        folder = tmp_path / "photos" / ("bright" if number % 2 else "dark")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(128 * (number % 2), 128 + 128 * (number % 2), (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
    for number in (7, 120):
        file = tmp_path / "photos" / ("bright" if number % 2 else "dark") / f"{number:03}.png"
        file.write_bytes(file.read_bytes()[:40])
    space = aw.Space(chain(op("conv_bn_relu", width=choice(4, 8)), op("global_avg_pool"), op("linear", width=OUTPUTS)))
    result = aw.search(
        tmp_path / "photos",
        space=space,
        budget="2 trials",
        fidelity=aw.Fidelity(1),
        workers=1,
        store=tmp_path / "runs",
        progress="none",
    )
    warning = "2 of 200 images are unreadable and left out"
    assert len(finished(result)) >= 2
    assert any(warning in text for text in result.final.warnings)
    assert any(warning in text for text in result.settings.facts.values())
    assert warning in result.report().read_text()


def numbers(targets):
    rng = np.random.default_rng(0)
    return rng.normal(size=(len(targets), 4)).astype(np.float32), np.array(targets)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (numbers([0.5, 1.5, float("nan")] * 30), "regression", "NaN"),
        (numbers([1] * 90), "classification", "one class"),
        ((np.full((90, 4), 1.0), np.arange(90) % 2), None, "no usable column"),
        (numbers([0, 1]), None, "rows"),
    ],
)
def test_data_that_cannot_be_learnt_from_are_refused_before_anything_is_made(tmp_path, data, kind, message):
    with pytest.raises(DataError, match=message):
        aw.search(data, kind=kind, evaluator=never, budget="3 trials", store=tmp_path / "runs", progress="none")
    assert not (tmp_path / "runs").exists()
