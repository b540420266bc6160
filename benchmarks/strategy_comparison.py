"""The default strategy against local search, Gaussian processes and Optuna's samplers, one protocol, through the real loop.

Choose by one noisy training, evaluate N different networks (equal ones are free), report what is true of the chosen one:
NAS-Bench-201 on three data sets, NAS-Bench-Macro, and generated landscapes whose optimum is known. Searches are recorded and
not run again; `archwright bench table SUITE --store FOLDER` says more about them.

ARCHWRIGHT_TABLES=... python benchmarks/strategy_comparison.py [SEEDS] [STRATEGIES] [SUITES] [FOLDER]

SEEDS may be written `100` or `optuna=16,100`: fewer for strategies whose name begins so.
"""

from __future__ import annotations

import sys

from archwright.bench import get_suite
from archwright.bench.cases import TableCase
from archwright.bench.execute import execute, plan
from archwright.bench.results import Searches, collect, effort, lines
from archwright.bench.specs import parse_strategies
from archwright.bench.store import BenchStore

STRATEGIES = "auto,bayes,local,evolution,random,optuna:TPESampler,optuna:GPSampler"
SUITES = "nas-bench-201-efficiency,nas-bench-macro,synthetic"


def main(
    seeds: str = "100", strategies: str = STRATEGIES, suites: str = SUITES, folder: str = "archwright-bench"
) -> int:
    specs, store, failed = parse_strategies(strategies), BenchStore(folder), 0
    for suite in map(get_suite, suites.split(",")):
        for spec in specs:
            jobs, _ = plan(suite, [spec], range(_count(seeds, spec.text)), store)
            for failure in execute(jobs, store, 1):
                print(f"{spec.text} on {failure.job.setting.case}: {failure.reason}", file=sys.stderr)
                failed += 1
        print(f"\n{suite.name}")
        for searches in collect(suite, store, strategies=[spec.text for spec in specs]):
            _print(searches, specs[0].text)
    return min(failed, 1)


def _count(seeds: str, strategy: str) -> int:
    for part in seeds.split(","):
        name, equals, count = part.rpartition("=")
        if not equals or strategy.startswith(name):
            return int(count)
    raise SystemExit(f"Got the seeds {seeds!r}; expected a number, such as '100' or 'optuna=16,100'.")


def _print(searches: Searches, reference: str) -> None:
    """The mean in percent after each number of evaluations, with half of its 95% interval, and how `reference` compares."""
    case = searches.case
    assert isinstance(case, TableCase)
    cells: dict[str, list[str]] = {strategy: [] for strategy in searches.found}
    for line in lines(searches, reference):
        mark = "" if line.against is None else {"worse": " -", "better": " +", "tie": " ="}[line.against.verdict]
        half = line.summary.high - line.summary.mean
        cells[line.strategy].append(f"{line.summary.mean:6.2f} ±{half:.2f}{mark}")
    points = [*case.checkpoints, searches.budget.trials]
    print(f"\n{case.name}: mean after {', '.join(map(str, points))} evaluations; - + = against {reference}, same seeds")
    print(f"{'strategy':22} {'seeds':>5}  {''.join(f'{point!s:16}' for point in points)} best found   ms each")
    for strategy, shown in cells.items():
        cost, seeds = 1000 * effort(searches, strategy).cpu, len(searches.found[strategy])
        said = "".join(f"{cell:16}" for cell in shown)
        print(f"{strategy:22} {seeds:5}  {said} {_hits(searches, strategy):9.0%} {cost:9.1f}")


def _hits(searches: Searches, strategy: str) -> float:
    """The share of searches that evaluated the network with the best score."""
    case = searches.case
    assert isinstance(case, TableCase)
    column, hits = case.metrics[case.objectives[0].metric], 0
    for seed, trajectory in searches.found[strategy].items():
        table = searches.table(seed)
        assert table is not None
        scores = table.column(column)
        hits += bool(scores[list(trajectory.rows)].max() >= scores.max())
    return hits / len(searches.found[strategy])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
