"""The loop: ask, record, dispatch, record, tell - until the budget is spent.

Everything the loop knows is the fold of the ledger's events, so a run continues after any crash by reading them again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from archwright.artifacts import Artifacts
from archwright.engine.accounts import Accounts
from archwright.engine.clock import Clock, Ending, Pace
from archwright.engine.inheritance import bequeath
from archwright.engine.interim import Interim, spent_before
from archwright.engine.one_shot import Course
from archwright.errors import ArchwrightError, StrategyError
from archwright.executors import Executor, Job, Update
from archwright.explain import NOTHING_MORE, arm, fidelity, rank
from archwright.ledger import Event, Kind, Record, apply
from archwright.problem import (
    BASELINE,
    FINAL,
    OWN,
    SUPERNET,
    Fidelity,
    Problem,
    Proposal,
    Purpose,
    Strategy,
    Trial,
    purpose,
    trial_seed,
)
from archwright.strategies import Random
from archwright.strategies.extrapolation import with_expected_score
from archwright.strategies.opening import Start, opening

MAX_FAILURES = 20
"""Failures from the start without a single success, after which the search gives up and says why."""
MAX_REPEATS = 1000
"""Proposals in a row that were all known already, after which a space counts as exhausted."""


class Loop:
    """One session of a run.

    Args:
        problem: What is searched.
        strategy: Who proposes.
        executor: Who carries out evaluations; the loop closes it.
        session: Where events are appended.
        events: Events of earlier sessions, replayed in order.
        clock: Time spent and left.
        baseline: Share of the training spent on architectures drawn at random, as the control.
        ending: What the end of the search takes, for which time is kept back.
        reuse: Whether the result of an equal network is reused; published protocols of benchmarks pay for every proposal.
        artifacts: Weights of the run; a trial whose checkpoint is gone is trained from the start. Default: all count as there.
        course: What is proposed when, in a search with shared weights; default: what the strategy proposes.
        inherits: Whether proposals say what their evaluation may inherit from their parents'.
        starts: What is tried before the strategy is asked, in this order.
        pace: How fast a trial's network would train, where trials are not trainings; default: as the trial showed.
        observe: Called after every event and while waiting.

    Attributes:
        trials: All trials, by number.
        interim: Weights of the run.
        candidates: What the strategy proposed, equal networks counted once.
        ended: Why the search ended.
    """

    def __init__(
        self,
        problem: Problem,
        strategy: Strategy,
        executor: Executor,
        session: Record,
        *,
        events: Iterable[Event] = (),
        clock: Clock,
        baseline: float = 0.1,
        ending: Ending,
        reuse: bool = True,
        artifacts: Artifacts | None = None,
        course: Course | None = None,
        inherits: bool = False,
        starts: Iterable[Start] = (),
        pace: Callable[[Trial], Pace] | None = None,
        observe: Callable[[Loop], None] = lambda loop: None,
    ) -> None:
        self.problem, self.strategy, self.executor = problem, strategy, executor
        self.session, self.clock = session, clock
        self.baseline, self.ending, self._reuse = baseline, ending, reuse
        self.observe, self._inherits, self._pace = observe, inherits, pace
        self.interim = Interim(artifacts)
        self._course = course
        self.trials: dict[int, Trial] = {}
        self.ended: str | None = None
        self._state = strategy.init(problem)
        self._hopeless, self._highest = getattr(strategy, "stop", None), getattr(strategy, "highest", None)
        self._stopping: set[int] = set()
        self._random, self._random_state = Random(), Random().init(problem)
        self._known: dict[tuple[str, Fidelity], int] = {}
        self._waiting: dict[int, list[int]] = {}
        self._backlog: list[int] = []
        self._before: dict[int, float] = {}
        self._for: dict[Purpose, list[int]] = defaultdict(list)
        self.candidates = self._repeats = 0
        self._accounts = Accounts(problem, self.trials, trains=pace is None)
        self._failures: list[str] = []
        self._best: dict[str, tuple[tuple[float, ...], Trial]] = {}
        self._likely: tuple[tuple[float, ...], Trial] | None = None
        self._opening = list(opening(strategy, problem, starts))
        for event in events:
            self._fold(event)

    def run(self) -> str:
        """Searches until the budget is spent or nothing is left to try; returns why it ended."""
        for trial in self._unfinished():
            if purpose(trial) != FINAL:
                self._dispatch(trial)
        while True:
            self._fill()
            if not self.executor.running:
                break
            self._stop_hopeless()
            for update in self.executor.poll(min(0.5, max(0.01, self.clock.left - self.reserve))):
                self._record(update)
            self.session.beat()
            self.observe(self)
            if self.clock.left <= self.reserve:
                self._stop_all("the time for searching is up")
        for number in self._backlog:
            self._append("stopped", number, {"reason": self.ended or "the search ended", "seconds": 0.0})
        return self.ended or "nothing was left to try"

    def train_finalists(self, proposals: list[Proposal], margin: float = 0.0) -> None:
        """Trains the given architectures for the answer; what an interrupted session began and time does not limit is gone on with.

        Args:
            proposals: What to train; ``why["of"]`` is the trial that found it.
            margin: Seconds to leave for what comes after.
        """
        wanted = {proposal.why["of"] for proposal in proposals if "seconds" not in proposal.why}
        for trial in self._unfinished():
            if purpose(trial) == FINAL and trial.proposal.why["of"] in wanted:
                self._backlog.append(trial.id)
            else:
                self._append("stopped", trial.id, {"reason": "it was interrupted", "seconds": 0.0})
        begun = {self.trials[number].proposal.why["of"] for number in self._backlog}
        for proposal in proposals:
            if proposal.why["of"] not in begun:
                self._start(proposal)
        while self._backlog or self.executor.running:
            self._submit_backlog()
            for update in self.executor.poll(min(0.5, max(0.01, self.clock.left - margin))):
                self._record(update)
            self.session.beat()
            self.observe(self)
            if self.clock.left <= margin:
                self._backlog.clear()
                self._stop_all("the budget is spent")

    def of(self, who: Purpose) -> list[Trial]:
        """The trials that are for something, in the order of their start."""
        return [self.trials[number] for number in self._for[who]]

    def _unfinished(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if not trial.done]

    @property
    def reserve(self) -> float:
        """Seconds kept back for training the finalists on train and validation data, and for the test."""
        limit = self.problem.budget.seconds
        if limit is None:
            return 0.0
        if not self.ending.finalists:
            return min(1.0, 0.05 * limit)
        best = self._likely[1] if self._likely else None
        if best is None or not best.seconds:
            return 0.2 * limit
        return self.ending.reserve(limit, self.pace(best), self.problem.workers, self.trained_for(best))

    def incumbent(self, who: str | None = None) -> Trial | None:
        """The best trial, of all or of those asked for by ``"search"`` or ``"baseline"``."""
        best = [row for name, row in self._best.items() if who in (None, name)]
        return max(best, key=lambda row: row[0])[1] if best else None

    def favourite(self) -> Trial | None:
        """Return the trial that the strategy would answer with; ``None`` if it leaves that to the scores."""
        answer = getattr(self.strategy, "answer", None)
        return self.trials.get(answer(self._state, self.problem)) if answer else None

    @property
    def spent(self) -> dict[str, float]:
        """Seconds, trained trials and epochs (over all the training data) spent on searching."""
        return {
            "seconds": self.clock.spent,
            "trials": float(self._accounts.trained),
            "epochs": self._accounts.costs["search"] + self._accounts.costs[BASELINE],
        }

    def _submit_backlog(self) -> None:
        while self._backlog and self.executor.free > 0:
            trial = self.trials[self._backlog.pop(0)]
            patience = self._accounts.patience(trial, self.clock.left)
            whole = Job(trial.id, trial.proposal, trial_seed(self.problem, trial.id), patience)
            job = self.interim.remaining(whole, trial)
            self._before[trial.id] = spent_before(job.proposal) - spent_before(trial.proposal)
            self.executor.submit(job)

    def _fill(self) -> None:
        while self.ended is None:
            self._submit_backlog()
            if self.executor.free == 0 or len(self._waiting) >= self.problem.workers:
                return
            if (spent := self._spent_reason()) is not None:
                if self._hopeless is None or not self.executor.running:
                    self.ended = spent  # else what runs may yet be stopped and give epochs back
                return
            proposal = self._propose(len(self.trials))
            if proposal is None:
                if not self.executor.running:
                    self.ended = self.ended or NOTHING_MORE
                return
            if not self._accounts.affordable(proposal, self.clock.left - self.reserve):
                self.ended = "the time left is shorter than another trial"
                return
            self._start(proposal)
            self.observe(self)

    def _spent_reason(self) -> str | None:
        budget = self.problem.budget
        if self.clock.left <= self.reserve:
            return "the time for searching is up"
        if budget.trials is not None and self._accounts.trained >= budget.trials and self._course is None:
            return f"all {budget.trials} trials are done"
        if budget.epochs is not None and self.spent["epochs"] >= budget.epochs:
            return f"all {budget.epochs:g} epochs are spent"
        if not self._best and len(self._failures) >= MAX_FAILURES:
            return f"the first {len(self._failures)} trials all failed, the last because: {self._failures[-1]}"
        if self._repeats >= MAX_REPEATS:
            return f"the last {MAX_REPEATS} proposals were all known already"
        return None

    def _propose(self, number: int) -> Proposal | None:
        if self._opening:
            return self._opening[0]
        rng = np.random.default_rng([self.problem.seed, number])
        if self._course is not None:
            return self._course.propose(self, rng, lambda: self._asked(rng))
        if self.baseline > 0 and self._repeats == 0:
            trained = self._highest(self._state, self.problem) if self._highest else self.problem.fidelity
            if trained is not None and self._accounts.control_is_due(self.baseline, trained):
                why = {"by": BASELINE} | ({"whole": True} if "race" in self.problem.settings else {})
                with suppress(StrategyError):  # references may satisfy bounds that no random draw does
                    drawn = self._random.ask(self._random_state, self.problem, rng)
                    return Proposal(drawn.architecture, trained, why=why)
        return self._asked(rng)

    def _asked(self, rng: np.random.Generator) -> Proposal | None:
        """What the strategy proposes."""
        try:
            proposal = self.strategy.ask(self._state, self.problem, rng)
        except StrategyError as error:
            if not self._best:
                raise
            self.ended = f"{NOTHING_MORE}: {error}"
            return None
        if proposal is not None and proposal.fidelity is None:
            proposal = msgspec.structs.replace(proposal, fidelity=self.problem.fidelity)
        return proposal

    def pace(self, trial: Trial) -> Pace:
        """How fast a trial's network trained and predicted."""
        if self._pace is not None:
            return self._pace(trial)
        return Pace.of(trial, fidelity(trial, self.problem).share, self._accounts.new_cost(trial.proposal))

    def trained_for(self, trial: Trial) -> float:
        """Epochs over all the training data that a trial's network was trained for; 0 where trials are not trainings."""
        return fidelity(trial, self.problem).cost if self._pace is None else 0.0

    def _start(self, proposal: Proposal) -> None:
        reason = None
        try:
            fingerprint = self.problem.graph(proposal.architecture).fingerprint
        except ArchwrightError as error:
            fingerprint, reason = "", str(error)
        if proposal.resume is not None and proposal.resume not in self.interim:
            proposal = msgspec.structs.replace(proposal, resume=None)
        if self._inherits:
            proposal = bequeath(proposal, self.trials, self.interim.__contains__)
        number = len(self.trials)
        self._append("started", number, {"proposal": proposal, "fingerprint": fingerprint})
        if reason is not None:
            self._append("failed", number, {"reason": reason, "seconds": 0.0})
        else:
            self._dispatch(self.trials[number])

    def _dispatch(self, trial: Trial) -> None:
        """Reuses the result of an equal network, waits for one that is being trained, or queues the trial."""
        twin = self._known.get(self._key(trial))
        if purpose(trial) in OWN or twin is None or twin == trial.id:
            self._backlog.append(trial.id)
            return
        other = self.trials[twin]
        if not other.done:
            self._waiting.setdefault(twin, []).append(trial.id)
        elif other.status == "finished":
            self._append("duplicate", trial.id, {"of": twin})
        else:
            stopped = other.status == "stopped"
            reason = f"the same network as trial {twin}, which {'was ' * stopped}{other.status}: {other.reason}"
            self._append("stopped" if stopped else "failed", trial.id, {"reason": reason, "seconds": 0.0})

    def _key(self, trial: Trial) -> tuple[str, Fidelity]:
        """What trials have in common of which one is evaluated and the others reuse its result."""
        return (trial.fingerprint if self._reuse else str(trial.id), fidelity(trial, self.problem))

    def _record(self, update: Update) -> None:
        if update.kind == "measured":
            self._append("measured", update.trial, update.measurement)
            self.interim.tidy(self.trials[update.trial])
            return
        payload: dict[str, Any] = {"seconds": update.seconds + self._before.pop(update.trial, 0.0)}
        if update.kind != "finished":
            payload["reason"] = update.reason
        self._append(update.kind, update.trial, payload)
        self.interim.tidy(self.trials[update.trial])
        for waiting in self._waiting.pop(update.trial, []):
            self._dispatch(self.trials[waiting])

    def _append(self, kind: Kind, trial: int, payload: Any) -> None:
        self._fold(self.session.append(kind, trial, payload))

    def _stop_all(self, reason: str) -> None:
        self.ended = self.ended or reason
        for number in self.executor.running:
            self.executor.stop(number, reason, min(10.0, max(0.25, 0.25 * self.clock.left)))

    def _stop_hopeless(self) -> None:
        """Ends the running trials that the strategy wants ended, each asked for once."""
        if self._hopeless is None:
            return
        grace = min(10.0, max(0.25, self.clock.left - self.reserve))
        for number, reason in self._hopeless(self._state, self.problem):
            if number in self.executor.running and number not in self._stopping:
                self._stopping.add(number)
                self.executor.stop(number, f"{self.strategy.name}: {reason}", grace)

    def _stopped(self, trial: Trial, who: str) -> None:
        """Gives back the epochs that a stopped trial did not use. Only one that its strategy stopped is not tried again."""
        hopeless = self._hopeless is not None and f"{self.strategy.name}: " in (trial.reason or "")
        if self._known.get(self._key(trial)) != trial.id:
            self._repeats += hopeless
            return
        self._accounts.costs[who] -= self._accounts.unused(trial)
        if not hopeless:
            del self._known[self._key(trial)]

    def _fold(self, event: Event) -> None:
        """Takes one event into the state: the same code live and on resume."""
        trial = apply(self.trials, event)
        if trial is None:
            return
        self.trials[trial.id] = trial
        who = purpose(trial)
        if trial.done:
            self._accounts.note_end(trial)
        if event.kind == "started":
            self._for[who].append(trial.id)
            self._opening = [one for one in self._opening if one.architecture != trial.proposal.architecture]
            self.candidates += who == "search"
            new = (
                who not in OWN and trial.fingerprint and self._known.setdefault(self._key(trial), trial.id) == trial.id
            )
            self._accounts.note_start(trial, bool(new))
        elif event.kind == "stopped":
            self._stopped(trial, who)
        elif event.kind == "failed":
            self._failures.append(trial.reason or "no reason was recorded")
        elif event.kind == "duplicate":
            self._repeats += 1
            self.candidates -= who == "search"
        elif event.kind == "finished":
            self._repeats = 0
        key = rank(trial, self.problem) if trial.done and who not in OWN else None
        if key is not None and (arm(trial) not in self._best or key > self._best[arm(trial)][0]):
            self._best[arm(trial)] = (key, trial)
        likely = rank(with_expected_score(self.problem, trial), self.problem) if key is not None else None
        if likely is not None and (self._likely is None or likely > self._likely[0]):
            self._likely = (likely, trial)
        if who == "search" or (who == SUPERNET and getattr(self.strategy, "picker", None)):
            self._state = self.strategy.tell(self._state, self.problem, trial)
