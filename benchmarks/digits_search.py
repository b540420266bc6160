"""Two-minute searches on digits with three seeds: test accuracy, trials, time, and whether the export's checks passed.

python benchmarks/digits_search.py [BUDGET] [SEEDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time

import archwright as aw
from archwright.problem import Budget


def main(budget: str = "2m", seeds: int = 3) -> int:
    limit = Budget.parse(budget).seconds or float("inf")
    print("seed   test accuracy (95% interval)   trials   seconds   parameters   export agrees to   against random")
    accuracies, counts, late = [], [], 0
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            result = aw.search("digits", budget=budget, seed=seed, store=folder, progress="none")
            seconds = time.monotonic() - begun
            exported = result.best.export(f"{folder}/out")
            result.report()
        assert result.final is not None
        assert result.final.cost is not None
        assert exported.checks is not None
        test = result.final.test["accuracy"]
        accuracies.append(test.value)
        counts.append(len(result.trials))
        late += seconds > limit
        difference = max(exported.checks.differences.values())
        control = result.final.comparison.text() if result.final.comparison else "no random network was trained"
        print(
            f"{seed:4}   {test.value:.4f} ({test.low:.4f} to {test.high:.4f})      {len(result.trials):6}   {seconds:7.1f}"
            f"   {result.final.cost.params:10,}   {difference:16.0e}   {control}",
            flush=True,
        )
    mean = statistics.mean(accuracies)
    missed = [
        text
        for text, met in (
            (f"mean test accuracy {mean:.4f}, wanted 0.98", mean >= 0.98),
            (f"fewest trials {min(counts)}, wanted 100", min(counts) >= 100),
            (f"{late} searches were late", late == 0),
        )
        if not met
    ]
    print(
        f"mean test accuracy {mean:.4f}; fewest trials {min(counts)}; "
        + ("targets met" if not missed else "MISSED: " + "; ".join(missed))
    )
    return len(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "2m", int(sys.argv[2]) if len(sys.argv) > 2 else 3))
