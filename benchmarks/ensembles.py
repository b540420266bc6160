"""One network against an ensemble of five from the same search, on the same test rows.

python benchmarks/ensembles.py [BUDGET] [SEEDS] [DATA[:TARGET] ...]
"""

from __future__ import annotations

import sys
import tempfile

import archwright as aw
from archwright.problem.final import show


def main(budget: str = "12 trials, 96 epochs", seeds: int = 1, *sources: str) -> int:
    print("data seed  metric: one network, ensemble (validation; test)  ensemble - one network  members")
    for source in sources or ("digits", "breast-cancer", "diabetes"):
        data, _, target = source.partition(":")
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                result = aw.search(
                    data,
                    target=target or None,
                    strategy="evolution",  # each trial is trained for as many epochs as the answer
                    budget=budget,
                    seed=seed,
                    ensemble=5,
                    workers=1,
                    store=folder,
                    progress="none",
                )
            final = result.final
            assert final is not None
            name, made = final.metric, final.ensemble
            if made is None:
                reason = next(text for text in final.warnings if "nsemble" in text)
                print(f"{result.settings.task} {seed}  one network; {reason}", flush=True)
                continue
            assert made.comparison is not None
            print(
                f"{result.settings.task} {seed}  {name}: {show(name, made.valid[name])}, "
                f"{show(name, final.valid[name])}; {show(name, made.test[name].value)}, "
                f"{show(name, final.test[name].value)}  {made.comparison.numbers}  {final.answer}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2], *map(int, sys.argv[2:3]), *sys.argv[3:]))
