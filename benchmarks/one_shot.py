"""Every way to share weights against random search and `auto` at equal cost, on real data.

Each search has the same time, its final training and test included. A row says: test accuracy (mean over the seeds and its 95% interval), the paired
difference to random search and whether its interval leaves out zero, the derived network trained on its own against the mean and the best of random networks
trained alike (the audit's control), Kendall's tau of shared and own scores, operations without weights in the derived network, and the cost.

    python benchmarks/one_shot.py fashion-mnist nas-bench-201 --size 14 --workers 1 --budget 2m --seeds 3 --store one-shot-runs

The lines before the table also say how many seconds the final training took. Searches that the store holds are not run again. `nas-bench-201` is the small one: 8 channels, one cell a stage.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import archwright as aw
from archwright.engine import Store, open_run
from archwright.explain import audit, metric_value
from archwright.problem import ALONE, BASELINE, FINAL, purpose

SPACES: dict[str, Any] = {
    "nas-bench-201": lambda: aw.get_space("nas-bench-201", channels=8, cells=1),
    "cnn": lambda: aw.get_space("cnn"),
}
METHODS: dict[str, dict[str, Any]] = {
    "random": {"strategy": "random"},
    "auto": {"strategy": "auto"},
    **{
        f"{picker} + evolution": {"strategy": "evolution", "evaluator": f"supernet:{picker}"}
        for picker in ("uniform", "fair", "dropout", "sandwich", "smash")
    },
    **{
        name: {"strategy": name}
        for name in ("enas", "darts", "darts-pt", "pc-darts", "drnas", "snas", "gdas", "proxyless")
    },
}
ON_DEMAND: dict[str, dict[str, Any]] = {
    "darts-second": {"strategy": "darts", "options": {"order": 2}},
    "darts-early": {"strategy": "darts", "options": {"early": True}},
}
"""Run where they are named."""


def run(method: str, seed: int, asked: argparse.Namespace) -> aw.Result:
    """A search, or the record of one."""
    name = f"{asked.data}{asked.size or ''}-{asked.space}-{method.replace(' ', '').replace('+', '-')}-{asked.budget}-seed{seed}"
    known = {found.name for found in Store(asked.store).ledger.runs()}
    if name in known:
        found = open_run(name, store=asked.store)
        return found if found.ended is not None else aw.resume(name, store=asked.store, progress="none")
    settings = {
        **(METHODS | ON_DEMAND)[method],
        "budget": asked.budget,
        "seed": seed,
        "baseline": 0.0,
        "workers": asked.workers,
    }
    return aw.search(
        asked.data,
        image_size=asked.size,
        space=SPACES[asked.space](),
        name=name,
        store=asked.store,
        progress="none",
        **settings,
    )


def facts(result: aw.Result) -> dict[str, float]:
    """What a row is made of."""
    assert result.final is not None
    found = {"test": result.final.test[result.final.metric].value, "seconds": result.run.spent}
    answers = [t.seconds for t in result.trials if purpose(t) == FINAL]
    found |= {"final training": answers[-1]} if answers else {}
    checked = audit(result.trials, result.problem)
    own = [v for t in result.trials if purpose(t) == ALONE and (v := metric_value(t, result.problem)) is not None]
    controls = [
        v for t in result.trials if purpose(t) == BASELINE and (v := metric_value(t, result.problem)) is not None
    ]
    if checked is not None and own and controls:
        found |= {"over mean": own[0] - float(np.mean(controls)), "over best": own[0] - max(controls)}
        found |= {} if checked.tau is None else {"tau": checked.tau}
        found |= {} if checked.collapse is None else {"free": checked.collapse.free / checked.collapse.choices}
    return found


def interval(values: list[float]) -> str:
    """Mean and half width of its 95% interval (Student's t)."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.2f}"
    half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return f"{mean:.2f} ± {half:.2f}"


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("space", choices=SPACES)
    parser.add_argument("--methods", default=",".join(METHODS), help="Also darts-second and darts-early.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    parser.add_argument("--budget", default="4m")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, help="Pixels of the images' side, where they are to be made smaller.")
    parser.add_argument("--store", type=Path, default=Path("one-shot-runs"))
    asked = parser.parse_args()
    methods = [
        name
        for name in METHODS | ON_DEMAND
        if name in asked.methods.split(",") or name.split(" ")[0] in asked.methods.split(",")
    ]
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
    for seed in range(asked.first, asked.seeds):
        for name in methods:
            rows[name].append(facts(run(name, seed, asked)))
            print(f"# seed {seed}, {name}: {rows[name][-1]}", flush=True)
    print(
        "| method | test accuracy | over random search | on its own: over mean, over best of random | tau | free | seconds |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, found in rows.items():
        test = [100 * row["test"] for row in found]
        paired = [100 * (row["test"] - other["test"]) for row, other in zip(found, rows.get("random", []))]
        verdict = ""
        if name != "random" and len(paired) > 1:
            low, high = stats.t.interval(0.95, len(paired) - 1, np.mean(paired), stats.sem(paired))
            verdict = interval(paired) + (" (better)" if low > 0 else " (worse)" if high < 0 else "")
        own = [
            f"{100 * np.mean(kept):+.1f}" if (kept := [r[key] for r in found if key in r]) else "-"
            for key in ("over mean", "over best")
        ]
        more = [
            f"{np.mean(kept):.2f}" if (kept := [r[key] for r in found if key in r]) else "-" for key in ("tau", "free")
        ]
        seconds = float(np.mean([row["seconds"] for row in found]))
        print(f"| {name} | {interval(test)} | {verdict} | {', '.join(own)} | {more[0]} | {more[1]} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
