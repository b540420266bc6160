"""The contract of strategies, and the simulator it is checked with."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from archwright.errors import EvaluationError
from archwright.executors.base import as_measurement, steps
from archwright.problem import Evaluator, Fidelity, Problem, Proposal, Status, Strategy, Trial, trial_seed
from archwright.strategies import sample_feasible
from archwright.strategies.opening import START, Start, opening
from archwright.testing.toy import ToyEvaluator

STARTS = 4
"""Trials that a checked strategy is told of though it did not propose them."""


class Simulation(msgspec.Struct, frozen=True):
    """What a simulated search did.

    Attributes:
        trials: All trials, by number.
        heard: Every trial told, in order, as it was at that moment.
        state: The strategy's last state.
        seconds: Simulated seconds.
    """

    trials: tuple[Trial, ...]
    heard: tuple[Trial, ...]
    state: Any
    seconds: float


class _Running:
    """A simulated trial that is running: what is still to be heard of it, and when it began."""

    def __init__(self, news: list[Trial], begun: float = 0.0) -> None:
        self.news, self.begun, self.number = news, begun, news[0].id
        self.heard = msgspec.structs.replace(news[0], status="running", measurements=())

    def next(self) -> float:
        """When the next news comes."""
        news = self.news[0]
        return self.begun + (news.seconds if news.done else _seconds(news))

    def stop(self, reason: str) -> None:
        """Makes its end the next news."""
        self.news = [_end(self.heard, "stopped", reason=reason, seconds=_seconds(self.heard))]


class _Run:
    """A simulated search in progress: what the loop of a real one does, without processes and without a ledger."""

    def __init__(
        self, strategy: Strategy, problem: Problem, evaluator: Evaluator, heard: tuple[Trial, ...] = ()
    ) -> None:
        self.strategy, self.problem, self.evaluator = strategy, problem, evaluator
        self.trials: dict[int, Trial] = {}
        self.heard: list[Trial] = []
        self.known: dict[tuple[str, Fidelity], int] = {}
        self.state = strategy.init(problem)
        for trial in heard:
            self.tell(trial)

    def tell(self, trial: Trial) -> None:
        self.trials[trial.id] = trial
        self.heard.append(trial)
        self.state = self.strategy.tell(self.state, self.problem, trial)

    def ask(self) -> Proposal | None:
        rng = np.random.default_rng([self.problem.seed, len(self.trials)])
        return self.strategy.ask(self.state, self.problem, rng)

    def start(self, proposal: Proposal) -> _Running:
        """Starts a trial and returns what will be heard of it, the last being the end."""
        number, problem = len(self.trials), self.problem
        trial = Trial(number, proposal, fingerprint=problem.graph(proposal.architecture).fingerprint)
        self.tell(trial)
        key = (trial.fingerprint, proposal.fidelity or problem.fidelity)
        twin = self.trials[self.known.setdefault(key, number)]
        if twin.id != number and twin.status == "finished":
            return _Running([_end(trial, "duplicate", measurements=twin.measurements, duplicate_of=twin.id)])
        if twin.id != number and twin.status == "stopped":
            reason = f"the same network as trial {twin.id}, which was stopped: {twin.reason}"
            return _Running([_end(trial, "stopped", reason=reason)])
        return _Running(list(self._evaluate(trial)))

    def stops(self) -> dict[int, str]:
        """The running trials that the strategy wants ended, with its reasons."""
        stop = getattr(self.strategy, "stop", None)
        return {} if stop is None else dict(stop(self.state, self.problem))

    def _evaluate(self, trial: Trial) -> Iterator[Trial]:
        try:
            found = self.evaluator(trial.proposal, self.problem, trial_seed(self.problem, trial.id))
            for value in steps(found):
                measurement = as_measurement(value, self.problem, 0.0)
                trial = msgspec.structs.replace(trial, measurements=(*trial.measurements, measurement))
                yield trial
        except EvaluationError as error:
            yield _end(trial, "failed", reason=str(error), seconds=_seconds(trial))
        else:
            yield _end(trial, "finished", seconds=_seconds(trial))


def simulate(
    strategy: Strategy,
    problem: Problem,
    evaluator: Evaluator,
    trials: int,
    *,
    workers: int = 1,
    seconds: float | None = None,
    rng: np.random.Generator | None = None,
    starts: Iterable[Start] = (),
) -> Simulation:
    """Searches as the real loop does, but with a simulated clock: a measurement comes after the seconds it says.

    Trials are numbered from 0 in the order of proposal, the number seeds the proposal, a trial is told as soon as it runs, and a function known
    at the same fidelity is told as a duplicate. After each measurement the strategy's ``stop``, if it has one, may end trials.

    Args:
        strategy: Who proposes.
        problem: What is searched.
        evaluator: A cheap one: a table, or a toy.
        trials: Proposals at most.
        workers: Evaluations at once.
        seconds: Simulated seconds at most; what would happen later is not heard of.
        rng: Makes news of the running trials come in random order; without it they come by the simulated clock.
        starts: What is tried before the strategy is asked.
    """
    run = _Run(strategy, problem, evaluator)
    running: dict[int, _Running] = {}
    clock = 0.0
    given = list(opening(strategy, problem, starts))
    while True:
        while len(running) < workers and len(run.trials) < trials:
            proposal = given.pop(0) if given else run.ask()
            if proposal is None:
                break
            started = run.start(proposal)
            started.begun = clock
            running[started.number] = started
        if not running:
            break
        if rng is not None:
            current = running[list(running)[int(rng.integers(len(running)))]]
        else:
            current = min(running.values(), key=lambda item: (item.next(), item.number))
        if seconds is not None and current.next() > seconds:
            break
        clock = max(clock, current.next())
        current.heard = current.news.pop(0)
        run.tell(current.heard)
        if current.heard.done:
            del running[current.number]
            continue
        for number, reason in run.stops().items():
            if number in running:
                running[number].stop(f"{strategy.name}: {reason}")
    return Simulation(tuple(run.trials.values()), tuple(run.heard), run.state, clock)


def check_strategy(
    strategy: Strategy,
    problem: Problem,
    evaluator: Evaluator | None = None,
    *,
    trials: int = 40,
    ends: bool = False,
) -> None:
    """Checks that a strategy keeps its contract, over simulated searches with one worker and with several.

    The state is the fold of ``tell`` over what was heard, also after a trip through JSON, as from a ledger; from the state folded from any prefix
    the same proposals follow; states are not changed by ``tell`` and ``ask``; ``ask`` depends on nothing but state, problem and generator; failed
    and duplicate trials, missing metrics, NaN and any order of completion are survived; proposals are within the space, the constraints and the
    full fidelity, have parents that are known, and say why in JSON. All this holds too if some trials that it did not
    propose come first. Where nothing runs, there is a proposal, unless all architectures that satisfy the
    constraints have been proposed. A method ``stop``, where there
    is one, reads only, and names running trials.

    Args:
        strategy: What is checked.
        problem: A problem on which it can be; its budget may be small.
        evaluator: Measures proposals; without one, a toy's that fails at times. Needed unless the space is a toy.
        trials: Proposals per simulated search.
        ends: Whether the strategy may have nothing more to propose before every architecture was, as
            one that goes through a list.

    Raises:
        AssertionError: Where the contract is broken; the message says how.
    """
    evaluators = (
        [evaluator]
        if evaluator is not None
        else [ToyEvaluator(0.1, failing=0.2, broken=0.2), ToyEvaluator(failing=1.0)]
    )
    for number, measured in enumerate(evaluators):
        for workers, given in ((1, 0), (4, 0), (2, STARTS)):
            checked = _Checked(strategy, problem)
            rng = np.random.default_rng([problem.seed, number, workers])
            starts = _starts(problem, given)
            simulation = simulate(checked, problem, measured, trials, workers=workers, rng=rng, starts=starts)
            tried = [trial.proposal.architecture for trial in simulation.trials[:given]]
            assert tried == [start.architecture for start in starts], f"{strategy.name} was asked before the starts."
            full = len(simulation.trials) == trials or _all_proposed(problem, simulation.trials)
            assert full or (ends and simulation.trials), (
                f"{strategy.name} stopped after {len(simulation.trials)} of {trials} trials though none was running."
            )
            _check_folds(strategy, problem, checked, simulation.heard)
            again = simulate(
                strategy,
                problem,
                measured,
                trials,
                workers=workers,
                rng=np.random.default_rng([problem.seed, number, workers]),
                starts=starts,
            )
            same = [trial.proposal for trial in again.trials] == [trial.proposal for trial in simulation.trials]
            assert same, f"{strategy.name} proposed differently in two searches of one seed."
            assert again.state == simulation.state, f"{strategy.name} ended in two states in two searches of one seed."


def _starts(problem: Problem, count: int) -> tuple[Start, ...]:
    """Feasible architectures, drawn at random, that are given to start with."""
    rng = np.random.default_rng([problem.seed, count])
    return tuple(Start(sample_feasible(problem, rng), {"by": START, START: str(number)}) for number in range(count))


class _Checked:
    """A strategy that is looked over the shoulder; it remembers its states."""

    def __init__(self, strategy: Strategy, problem: Problem) -> None:
        self.strategy, self.name, self.states = strategy, strategy.name, [strategy.init(problem)]
        self.proposals: dict[int, tuple[int, Proposal | None]] = {}
        self.stops: dict[int, tuple[tuple[int, str], ...]] = {}
        self.known: set[int] = set()
        self.running: set[int] = set()

    def init(self, problem: Problem) -> Any:
        return self.states[0]

    def tell(self, state: Any, problem: Problem, trial: Trial) -> Any:
        self.known.add(trial.id)
        (self.running.discard if trial.done else self.running.add)(trial.id)
        before = copy.deepcopy(state)
        after = self.strategy.tell(state, problem, trial)
        assert state == before, f"{self.name}.tell changed the state it was given; expected a new one."
        self.states.append(after)
        return after

    def ask(self, state: Any, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        before, twin = copy.deepcopy(state), copy.deepcopy(rng)
        proposal = self.strategy.ask(state, problem, rng)
        assert state == before, f"{self.name}.ask changed the state; expected it to read only."
        if proposal is not None:
            _check_proposal(self.name, proposal, problem, self.known)
        top = self.strategy.highest(state, problem) if hasattr(self.strategy, "highest") else None
        assert top is None or (isinstance(top, Fidelity) and top.cost <= problem.fidelity.cost), (
            f"{self.name}.highest gave {top}; expected None, or a fidelity no higher than {problem.fidelity}."
        )
        assert state == before, f"{self.name}.highest changed the state; expected it to read only."
        again = self.strategy.ask(before, problem, twin)
        assert again == proposal, f"{self.name}.ask gave {proposal}, then {again} for the same state and generator."
        self.proposals[len(self.states) - 1] = (len(self.known), proposal)
        return proposal

    def stop(self, state: Any, problem: Problem) -> tuple[tuple[int, str], ...]:
        if not hasattr(self.strategy, "stop"):
            return ()
        before = copy.deepcopy(state)
        found: tuple[tuple[int, str], ...] = self.strategy.stop(state, problem)
        assert state == before, f"{self.name}.stop changed the state; expected it to read only."
        for trial, reason in found:
            assert trial in self.running, f"{self.name} wants trial {trial} stopped, which is not running."
            assert isinstance(reason, str) and reason, f"{self.name} stops trial {trial} without a reason."  # noqa: PT018
        self.stops[len(self.states) - 1] = found
        return found


def _check_proposal(name: str, proposal: Proposal, problem: Problem, known: set[int]) -> None:
    """Within the space, the constraints and the fidelity; parent known; reasons in JSON."""
    problem.space.validate(proposal.architecture)
    assert problem.feasible(proposal.architecture), (
        f"{name} proposed {proposal.architecture}, which breaks the constraints."
    )
    fidelity = proposal.fidelity or problem.fidelity
    within = 1 <= fidelity.epochs <= problem.fidelity.epochs and 0 < fidelity.share <= problem.fidelity.share
    assert within, f"{name} proposed {fidelity}; expected at most {problem.fidelity}."
    assert proposal.parent is None or proposal.parent in known, (
        f"{name} named the parent {proposal.parent}, which it never heard of."
    )
    assert isinstance(proposal.why.get("by"), str), f"{name} did not say what a proposal is by: why={proposal.why}."
    json.dumps(proposal.why, allow_nan=False)
    assert msgspec.json.decode(msgspec.json.encode(proposal), type=Proposal) == proposal, (
        f"{name}: why={proposal.why} is not plain JSON."
    )


def _all_proposed(problem: Problem, trials: tuple[Trial, ...]) -> bool:
    """Whether no architecture that satisfies the constraints is left; a space that does not list its architectures always has one."""
    proposed = {trial.proposal.architecture for trial in trials}
    listed = getattr(problem.space, "architectures", None)
    return listed is not None and all(one in proposed or not problem.feasible(one) for one in listed())


def _check_folds(strategy: Strategy, problem: Problem, checked: _Checked, heard: tuple[Trial, ...]) -> None:
    """Folds what was heard, as read back from JSON, and asks again wherever it was asked."""
    state = strategy.init(problem)
    for number, expected in enumerate(checked.states):
        if number > 0:
            state = strategy.tell(state, problem, _from_json(heard[number - 1]))
        assert state == expected, (
            f"{strategy.name}: the state folded from {number} events differs: {state} instead of {expected}."
        )
        if number in checked.proposals:
            trial, proposal = checked.proposals[number]
            resumed = strategy.ask(state, problem, np.random.default_rng([problem.seed, trial]))
            assert resumed == proposal, (
                f"{strategy.name}: resumed after {number} events it proposes {resumed} instead of {proposal}."
            )
        if number in checked.stops:
            found = strategy.stop(state, problem)  # type: ignore[attr-defined]
            assert found == checked.stops[number], (
                f"{strategy.name}: resumed after {number} events it stops {found} instead of {checked.stops[number]}."
            )


def _from_json(trial: Trial) -> Trial:
    """The trial after a trip through JSON; NaN, which JSON does not know, stays."""
    text = json.dumps(msgspec.to_builtins(trial))
    return msgspec.convert(json.loads(text), Trial)


def _end(trial: Trial, status: Status, **changes: Any) -> Trial:
    return msgspec.structs.replace(trial, status=status, **changes)


def _seconds(trial: Trial) -> float:
    return trial.final.seconds if trial.final is not None else 0.0
