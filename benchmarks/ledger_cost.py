"""What a persisted trial costs: archwright's ledger, and Optuna's SQLite storage beside it.

A trial is: propose, record its start (survives a kill), record its end (survives a power cut, and so does then the start). In between,
bare synchronous commits of one row with the sqlite3 module show what the disk itself takes at the time. Optuna (extra `bench`) records a trial's start, one
parameter, and its end, with its default settings of SQLite.

    python benchmarks/ledger_cost.py [--trials 10000] [--optuna 500] [--folder .]
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from archwright.ledger import Finished, Ledger, Run, Started, fold
from archwright.problem import Architecture, Fidelity, Proposal

CHOICES = 20


def archwright(folder: Path, trials: int) -> tuple[list[float], list[float], Run]:
    """Seconds of each persisted trial, and of bare commits in between."""
    run = Ledger.open(folder / "archwright.db").create_run("cost", {"task": "none"})
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)"
    )
    seconds, commits = [], []
    with run.session("benchmark") as session:
        for trial in range(trials):
            begun = time.perf_counter()
            options = np.random.default_rng([0, trial]).integers(4, size=CHOICES).tolist()
            architecture = Architecture(tuple((f"stage{place}.kernel", option) for place, option in enumerate(options)))
            proposal = Proposal(
                architecture, Fidelity(3), max(trial - 1, 0), {"by": "mutate", "edit": "stage3.kernel: 3 to 5"}
            )
            session.append("started", trial, Started(proposal, architecture.id))
            session.append("finished", trial, Finished(1.0))
            seconds.append(time.perf_counter() - begun)
            if trial % 10 == 0:
                begun = time.perf_counter()
                bare.execute("INSERT INTO rows (text) VALUES (?)", ("x" * 500,))
                commits.append(time.perf_counter() - begun)
    bare.close()
    return seconds, commits, run


def optuna(path: Path, trials: int) -> list[float] | None:
    """Seconds of each persisted trial with one parameter; ``None`` where Optuna is not installed."""
    try:
        import optuna as library
    except ImportError:
        return None
    library.logging.set_verbosity(library.logging.WARNING)
    study = library.create_study(storage=f"sqlite:///{path}", sampler=library.samplers.RandomSampler(seed=0))
    seconds = []
    for _ in range(trials):
        begun = time.perf_counter()
        trial = study.ask()
        trial.suggest_int("kernel", 0, 3)
        study.tell(trial, 1.0)
        seconds.append(time.perf_counter() - begun)
    return seconds


def row(name: str, seconds: list[float]) -> str:
    """A line of the table: medians in milliseconds."""
    tenth = len(seconds) // 10
    first, last = median(seconds[:tenth]), median(seconds[-tenth:])
    return f"{name:<22}{len(seconds):>8,}{median(seconds) * 1e3:>12.3f}{first * 1e3:>14.3f}{last * 1e3:>14.3f}{last / first:>12.2f}"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--optuna", type=int, default=500, help="trials of Optuna, which is slower")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="where the stores are made: the disk that is measured"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        ours, commits, run = archwright(Path(folder), arguments.trials)
        theirs = optuna(Path(folder) / "optuna.db", arguments.optuna)
        print(
            f"{'milliseconds a trial':<22}{'trials':>8}{'median':>12}{'first tenth':>14}{'last tenth':>14}{'last/first':>12}"
        )
        print(row("archwright", ours))
        print(row("one bare commit", commits))
        print(row("Optuna, SQLite", theirs) if theirs else "Optuna is not installed: pip install 'archwright[bench]'")
        begun = time.perf_counter()
        events = run.events()
        read = time.perf_counter() - begun
        trials = fold(events)
        folded = time.perf_counter() - begun - read
        assert len(trials) == arguments.trials
        print(
            f"\n{len(events):,} events: read and verified in {read:.3f} s, folded in {folded:.3f} s ({len(events) / (read + folded):,.0f} events/s)"
        )
        print(
            f"required: median at most 1 ms ({'yes' if median(ours) <= 1e-3 else 'NO'}), last thousand at most 1.2x the first",
            end=" ",
        )
        print(f"({'yes' if median(ours[-1000:]) <= 1.2 * median(ours[:1000]) else 'NO'})")


if __name__ == "__main__":
    main()
