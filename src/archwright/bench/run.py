"""One search on a table: the loop of every search, a simulated clock, events in memory."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec

from archwright.bench.cases import TableCase
from archwright.bench.specs import parse_strategy
from archwright.bench.suites import get_suite
from archwright.bench.table import TableEvaluator
from archwright.engine.clock import Clock, Ending
from archwright.engine.loop import Loop
from archwright.errors import BudgetError
from archwright.executors.simulated import Simulated
from archwright.ledger.events import Duplicate, Event, Failed, Finished, Kind, Started, Stopped
from archwright.problem import Budget, Problem, Strategy

_PAYLOADS: Final[dict[str, Any]] = {
    "started": Started,
    "finished": Finished,
    "failed": Failed,
    "stopped": Stopped,
    "duplicate": Duplicate,
}


class Trajectory(msgspec.Struct, frozen=True):
    """What a search evaluated, in the order in which it heard of it.

    Attributes:
        rows: Row of the table of each evaluation that was paid for.
        scores: Its objectives as the strategy saw them, more being better.
        seconds: Simulated time at which it ended.
        reused: Proposals of a network known already that cost nothing.
        failed: Evaluations that failed.
        ended: Why the search ended.
        cpu: Seconds of this machine's processor that it took, all included.
        final: Of a search that trained networks: what the test of the chosen one gave.
    """

    rows: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]
    seconds: tuple[float, ...]
    reused: int = 0
    failed: int = 0
    ended: str = ""
    cpu: float = 0.0
    final: dict[str, float] = {}


class SimulatedClock(Clock):
    """The loop's clock, by the time of a simulated executor."""

    def __init__(self, executor: Simulated, limit: float | None) -> None:
        super().__init__(0.0, limit)
        self._executor = executor

    @property
    def spent(self) -> float:
        """Simulated seconds."""
        return self._executor.now


class Memory:
    """Events of a search in a list.

    Args:
        executor: Tells the time.
    """

    def __init__(self, executor: Simulated) -> None:
        self.events: list[Event] = []
        self._executor = executor

    def append(self, kind: Kind, trial: int | None, payload: Any) -> Event:
        """Keeps an event and returns it."""
        made = _PAYLOADS[kind](**payload) if kind in _PAYLOADS else payload
        event = Event(len(self.events) + 1, trial, kind, made, self._executor.now, 1)
        self.events.append(event)
        return event

    def beat(self) -> None:
        """Nothing to do."""


def run_one(
    suite: str,
    strategy: str | Strategy,
    seed: int = 0,
    evaluations: int | None = None,
    *,
    case: str | None = None,
    workers: int = 1,
    data: str | None = None,
) -> Trajectory:
    """One search of a suite on a table.

    Args:
        suite: A name from ``archwright bench suites``.
        strategy: As on the command line, ``"evolution(population=10,sample=3)"``, or a strategy.
        seed: Of the search.
        evaluations: How many at most; default: the case's own budget.
        case: Which search of the suite; default: the first.
        workers: Simulated workers.
        data: Folder of the tables; default: ``ARCHWRIGHT_TABLES``.

    Raises:
        ArchwrightError: Where the suite, the case or the strategy is unknown, or the data are missing.
    """
    found = get_suite(suite).case(case)
    if not isinstance(found, TableCase):
        raise BudgetError(f"The suite {suite!r} trains networks; run it with `archwright bench run {suite}`.")
    made = parse_strategy(strategy).strategy if isinstance(strategy, str) else strategy
    budget = found.budget if evaluations is None else msgspec.structs.replace(found.budget, trials=evaluations)
    return run_case(found, made, seed, budget, workers, data)


def run_case(
    case: TableCase, strategy: Strategy, seed: int, budget: Budget, workers: int = 1, data: str | None = None
) -> Trajectory:
    """One search of a case."""
    table = case.load(data, seed)
    problem = Problem(
        table.space,
        table.signature,
        case.objectives,
        budget=budget,
        seed=seed,
        workers=workers,
        fidelity=case.fidelity,
        settings={"zero_cost": table.by_id(case.zero_cost)} if case.zero_cost else {},
    )
    executor = Simulated(TableEvaluator(table, case.metrics, case.seconds), problem, workers, budget.seconds)
    clock, memory = SimulatedClock(executor, budget.seconds), Memory(executor)
    begun = time.process_time()
    loop = Loop(problem, strategy, executor, memory, clock=clock, baseline=0.0, ending=Ending(), reuse=case.equal_free)
    ended = loop.run()
    done = [event for event in memory.events if event.kind == "finished" and event.trial is not None]
    trials = [loop.trials[event.trial] for event in done if event.trial is not None]
    return Trajectory(
        tuple(table.space.row(trial.proposal.architecture) for trial in trials),
        tuple(problem.scores(trial) or (float("-inf"),) * len(problem.objectives) for trial in trials),
        tuple(event.at for event in done),
        sum(event.kind == "duplicate" for event in memory.events),
        sum(event.kind == "failed" for event in memory.events),
        ended,
        time.process_time() - begun,
    )
