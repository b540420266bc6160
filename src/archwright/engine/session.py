"""One session of a run: everything wired together, run, concluded, tidied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from archwright.artifacts import Artifacts
from archwright.engine.clock import Clock
from archwright.engine.loop import Loop
from archwright.engine.one_shot import Course, plan_of
from archwright.engine.pace import timed
from archwright.engine.plan import make_ending, trained_controls
from archwright.engine.progress import observer
from archwright.engine.ranking import KEPT
from archwright.engine.result import Result
from archwright.engine.settings import Settings
from archwright.engine.store import Store
from archwright.errors import StrategyError
from archwright.executors import Executor, Processes, Serial
from archwright.explain import ranking
from archwright.ledger import Event, Session, Started
from archwright.problem import FINAL, SUPERNET, Evaluator, Problem, purpose
from archwright.runtime import worker_environment
from archwright.strategies import get_strategy

if TYPE_CHECKING:
    from archwright.tasks import Task


def run_session(
    session: Session,
    place: Store,
    name: str,
    problem: Problem,
    settings: Settings,
    task: Task | None,
    evaluator: Any,
    clock: Clock,
    progress: str,
) -> Result:
    """Runs a search, or goes on with one, from the events its ledger has; concludes it and tidies up.

    Args:
        session: Where events are appended; it says that this process is the one at work on the run.
        place: The store.
        name: The run in it.
        problem: What is searched.
        settings: The run's settings, with the budget and workers of this session.
        task: The data, where there are any.
        evaluator: The user's own function; ``None`` for the one that the settings name.
        clock: Time spent by earlier sessions and left of the budget.
        progress: How to show progress.
    """
    own = evaluator is not None or task is None
    if not own and task is not None:
        evaluator = _named_evaluator(place, name, settings, task)
    run = place.ledger.run(name)
    watch = observer(progress, name, settings)
    interrupted = False
    with watch:
        events = run.events()
        loop = Loop(
            problem,
            get_strategy(settings.strategy, **settings.options),
            _executor(evaluator, problem, settings.workers),
            session,
            events=events,
            clock=clock,
            baseline=settings.baseline,
            ending=make_ending(
                None if own else task,
                settings.final,
                settings.after,
                trained_controls(settings.baseline, settings.notes),
                settings.budget,
                settings.workers,
            ),
            artifacts=place.artifacts(name),
            course=_course(settings, place.artifacts(name)),
            inherits=getattr(evaluator, "inherits", False),
            starts=settings.starts,
            pace=None if own or task is None or getattr(evaluator, "trains", True) else timed(problem, task),
            observe=watch.update,
        )
        watch.begin(loop)
        with loop.executor:
            try:
                with threadpool_limits(
                    limits=1, user_api="blas"
                ):  # threads for a strategy's small matrices would only disturb the workers
                    why = loop.run()
                if not own and task is not None:
                    from archwright.engine.final import conclude, could_train_longer

                    if not concluded(run.events()) or could_train_longer(loop):
                        watch.phase("training the finalists on train and validation data")
                        conclude(loop, task, place.artifacts(name), settings.ensemble)
                session.append("ended", None, {"why": why})
            except StrategyError as error:
                session.append("ended", None, {"why": str(error)})
                raise
            except KeyboardInterrupt:
                interrupted = True
        watch.phase("interrupted" if interrupted else "done")
    result = Result(place, name, problem=problem, task=task, interrupted=interrupted)
    if not own and not interrupted:
        place.artifacts(name).keep_only(_kept(result))
    watch.finish(result)
    return result


def concluded(events: list[Event]) -> bool:
    """Whether the last word on a run was its result: no trial of the search ended since."""
    last = max((event.seq for event in events if event.kind == "final"), default=0)
    finals = {
        event.trial
        for event in events
        if isinstance(event.payload, Started) and event.payload.proposal.why.get("by") == FINAL
    }
    later = (event for event in events if event.seq > last and event.kind in ("finished", "duplicate"))
    return last > 0 and not any(event.trial not in finals for event in later)


def _named_evaluator(place: Store, name: str, settings: Settings, task: Task) -> Evaluator:
    from archwright.evaluators import get_evaluator

    folder = place.data_folder(settings.data_hash, settings.seed)
    task.store(folder)
    return get_evaluator(settings.evaluator, data=str(folder), artifacts=str(place.artifacts(name).root))


def _course(settings: Settings, artifacts: Artifacts) -> Course | None:
    """What is proposed when, where weights are shared."""
    if "one_shot" not in settings.notes:
        return None
    return Course(plan_of(settings.notes["one_shot"]), settings.evaluator.partition(":")[2], artifacts)


def _executor(evaluator: Any, problem: Problem, workers: int) -> Executor:
    if workers == 1:
        return Serial(evaluator, problem)
    return Processes(evaluator, problem, workers, worker_environment())


def _kept(result: Result) -> set[str]:
    """What is worth its space once a search has ended: weights of the answer and of the best trials, and what trainings may go on from with more time."""
    best = ranking(result.trials, result.problem)[:KEPT]
    answers = [trial for trial in result.trials if purpose(trial) in (FINAL, SUPERNET)]
    left = {
        left for trial in (*best, *answers) for measured in trial.measurements for left in measured.artifacts.values()
    }
    tested = result.final.weights if result.final is not None else None
    return left if tested is None else left | {tested}
