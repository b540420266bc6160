"""Does DARTS collapse into operations without weights, and does what its alarm suggests escape that?

Searches on digits (real images) in the small NAS-Bench-201 (8 channels, one cell a stage, six operations), no time limit, several seeds. A row says for each
seed how many of the six operations have no weights and whether the alarm fired, and the accuracy of the derived cell trained on its own beside
the mean and the best of random cells trained alike.

    python benchmarks/collapse.py --epochs 60 --seeds 4 --store collapse-runs

Searches that the store holds are not run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import archwright as aw
from archwright.engine import Store, open_run
from archwright.explain import audit, metric_value
from archwright.problem import ALONE, purpose

METHODS = {
    "darts": "supernet:darts(epochs={})",
    "darts with early": "supernet:darts(early=True, epochs={})",
    "darts-pt": "supernet:darts-pt(epochs={})",
    "drnas": "supernet:drnas(epochs={})",
}


def run(method: str, seed: int, asked: argparse.Namespace) -> aw.Result:
    """A search, or the record of one."""
    name = f"{method.replace(' ', '-')}-{asked.epochs}-seed{seed}"
    if name in {found.name for found in Store(asked.store).ledger.runs()}:
        found = open_run(name, store=asked.store)
        return found if found.ended is not None else aw.resume(name, store=asked.store, progress="none")
    return aw.search(
        "digits",
        space=aw.get_space("nas-bench-201", channels=8, cells=1),
        strategy=method.split()[0],
        evaluator=METHODS[method].format(asked.epochs),
        fidelity=aw.Fidelity(8),
        budget="4 trials",
        baseline=0.0,
        seed=seed,
        workers=asked.workers,
        name=name,
        store=asked.store,
        progress="none",
    )


def derived_alone(result: aw.Result) -> float:
    """The score of the most probable architecture, trained on its own."""
    (first,) = (trial.id for trial in result.trials if trial.proposal.why.get("place") == 1)
    (own,) = (trial for trial in result.trials if purpose(trial) == ALONE and trial.proposal.why["of"] == first)
    score = metric_value(own, result.problem)
    assert score is not None
    return score


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", type=Path, default=Path("collapse-runs"))
    asked = parser.parse_args()
    print(
        "| method | operations without weights, by seed | alarms | on its own | random cells: mean, best |\n|---|---|---|---|---|"
    )
    for method in asked.methods.split(","):
        free, alarms, own, mean, best = [], 0, [], [], []
        for seed in range(asked.seeds):
            result = run(method, seed, asked)
            checked = audit(result.trials, result.problem)
            assert checked is not None
            assert checked.collapse is not None
            free.append(checked.collapse.free)
            alarms += any("collapse" in alarm for alarm in checked.alarms)
            own.append(derived_alone(result))
            mean.append(float(np.mean(checked.controls)))
            best.append(max(checked.controls))
        scored = f"{100 * np.mean(own):.1f} | {100 * np.mean(mean):.1f}, {100 * np.mean(best):.1f}"
        print(f"| `{method}` | {', '.join(map(str, free))} | {alarms} of {asked.seeds} | {scored} |", flush=True)


if __name__ == "__main__":
    main()
