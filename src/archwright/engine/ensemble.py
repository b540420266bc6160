"""Ensembles of the trials that kept their weights, as the answer of a search.

The members have the weights that the search left, because those of the final training have seen
the validation rows, which decide here.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from archwright.engine.greedy import greedy
from archwright.engine.ranking import KEPT
from archwright.engine.safeguard import harmful
from archwright.errors import BudgetError
from archwright.explain import fidelity, ranking
from archwright.graph.ensemble import ensemble, ensemble_state
from archwright.problem import Architecture, Objective, Problem, Trial
from archwright.problem.final import Comparison, Ensemble, FinalRecord, Interval, show
from archwright.problem.problem import LATENCY
from archwright.strategies.extrapolation import error, expected_error, scored

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from archwright.artifacts import Artifacts
    from archwright.engine.loop import Loop
    from archwright.graph import Graph
    from archwright.tasks import Task

SHARE = 0.1
"""Share of the time left that the selection may take; it stops with what it has then."""
LEAST_SECONDS = 1.0
"""Seconds that it may take in any case."""


def check_size(
    size: int,
    task: Task | None,
    trains: bool,
    objectives: tuple[Objective, ...],
) -> None:
    """Refuse an ensemble that no search could end with.

    Args:
        size: Networks that the answer may be made of; 1 for a single network.
        task: The data; ``None`` if there are none, or an evaluator of the user's own.
        trains: Whether trials are trainings.
        objectives: The first decides which networks are members.

    Raises:
        BudgetError: If no ensemble can be selected.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise BudgetError(f"Got ensemble={size!r}; expected a number of networks, 1 or more.")
    if size == 1:
        return
    if task is None or not trains:
        raise BudgetError(
            f"Got ensemble={size}, but the trials of this search leave no weights; "
            "expected a data set and an evaluator that trains, such as 'train'."
        )
    if objectives[0].metric not in task.metrics:
        raise BudgetError(
            f"Got ensemble={size} with the first objective {objectives[0].metric!r}; expected one "
            f"that averaging can improve: {', '.join(task.metrics)}."
        )


@dataclasses.dataclass(frozen=True)
class Selection:
    """The ensemble that validation rows prefer, perhaps of one network.

    Attributes:
        problem: What was searched.
        logits: Whether predictions are logits.
        trials: The members, the heaviest first.
        weights: The share of each.
        digests: The checkpoint of each.
        valid: Metrics of the ensemble on the validation rows.
        single: Metrics of the best candidate alone on the same rows.
        candidates: How many networks there were to choose from.
    """

    problem: Problem
    logits: bool
    trials: tuple[Trial, ...]
    weights: tuple[float, ...]
    digests: tuple[str, ...]
    valid: dict[str, float]
    single: dict[str, float]
    candidates: int

    @cached_property
    def graph(self) -> Graph:
        """The ensemble as one network."""
        architectures = [trial.proposal.architecture for trial in self.trials]
        return graph_of(self.problem, architectures, self.weights, self.logits)

    @property
    def _made(self) -> Ensemble:
        numbers = tuple(trial.id for trial in self.trials)
        return Ensemble(trials=numbers, weights=self.weights, logits=self.logits, valid=self.single)

    def answer(
        self,
        record: FinalRecord,
        loop: Loop,
        task: Task,
        artifacts: Artifacts,
        again: Trial | None,
        outputs: NDArray[np.float32] | None,
    ) -> FinalRecord:
        """Return the record with the ensemble as the answer, or with the reason why it is not.

        Args:
            record: The record of the single network.
            loop: The search.
            task: The data.
            artifacts: Where the ensemble's weights go.
            again: The final training of the single network, if there was one.
            outputs: Its outputs for the test rows, in the target's own units.
        """
        from archwright.evaluators import as_checkpoint, weights_of

        begun = time.monotonic()
        refusal = self._nothing_found()
        state: dict[str, Tensor] = {}
        if refusal is None:
            graphs = [_graph(self.problem, trial.proposal.architecture) for trial in self.trials]
            states = [weights_of(artifacts.get(digest)) for digest in self.digests]
            state = ensemble_state(self.graph, graphs, states)
            if again is not None and again.final is not None:
                on_kept = self._on_kept_rows(task, artifacts, state, again)
                refusal = self._refusal(loop.trials[record.trial], loop, again, on_kept)
        if refusal is not None:
            return msgspec.structs.replace(record, warnings=(*record.warnings, refusal))
        test: dict[str, Interval] = {}
        made = self._made
        if outputs is not None:
            test, made = self._tested(record, task, state, outputs)
        notes: dict[str, Any] = self.trials[0].final.notes if self.trials[0].final else {}
        return msgspec.structs.replace(
            record,
            test=test,
            valid=self.valid,
            cost=self.graph.cost,
            epochs=0,
            weights=artifacts.put(as_checkpoint(state)),
            numerics=str(notes.get("numerics", "fp32")),
            recipe=notes.get("recipe", {}),
            ensemble=made,
            seconds=record.seconds + time.monotonic() - begun,
        )

    def _tested(
        self,
        record: FinalRecord,
        task: Task,
        state: Mapping[str, Tensor],
        single: NDArray[np.float32],
    ) -> tuple[dict[str, Interval], Ensemble]:
        """The test of the ensemble, and its comparison with the single network."""
        from archwright.tasks.intervals import compare, intervals

        seed = self.problem.seed
        found: NDArray[Any] = _outputs(self.graph, state, task.test.x, self.problem)
        truth: NDArray[Any] = task.test.y
        if task.kind != "classification":
            truth = truth * task.target_std + task.target_mean
            found = found * task.target_std + task.target_mean
        against = compare(task.kind, record.metric, truth, found, single, seed=seed)
        made = msgspec.structs.replace(self._made, test=record.test, comparison=against)
        return intervals(task.kind, truth, found, seed=seed), made

    def _nothing_found(self) -> str | None:
        """Why there is no ensemble; ``None`` if there is one."""
        metric = self.problem.objectives[0].metric
        if self.candidates < 2:
            return (
                "No ensemble was made: it takes two trials that kept their weights, and there was "
                f"{'one' if self.candidates else 'none'} in the time left."
            )
        if len(self.trials) < 2:
            return (
                f"No ensemble of the {self.candidates} networks that kept their weights scored "
                f"better on the validation rows than the best of them alone ({metric} "
                f"{show(metric, self.single[metric])})."
            )
        return None

    def _on_kept_rows(
        self,
        task: Task,
        artifacts: Artifacts,
        state: Mapping[str, Tensor],
        again: Trial,
    ) -> Comparison | None:
        """The ensemble against a final training on the rows that this was not trained on."""
        from archwright.evaluators import weights_of
        from archwright.evaluators.train import kept_back
        from archwright.tasks.intervals import compare

        problem = self.problem
        rows = kept_back(task, again.proposal.why.get("keep", 0.0), problem.seed)
        digest = _checkpoint(again)
        if rows is None or digest is None:
            return None
        x, graph = task.valid.x[rows], _graph(problem, again.proposal.architecture)
        together = _outputs(self.graph, state, x, problem)
        alone = _outputs(graph, weights_of(artifacts.get(digest)), x, problem)
        metric, scale = problem.objectives[0].metric, task.target_std
        truth, seed = task.valid.y[rows], problem.seed
        return compare(task.kind, metric, truth, together, alone, scale=scale, seed=seed)

    def _refusal(
        self,
        winner: Trial,
        loop: Loop,
        again: Trial,
        on_kept: Comparison | None,
    ) -> str | None:
        """Why the network that was trained again is the better answer; ``None`` if it is not."""
        problem, metric = self.problem, self.problem.objectives[0].metric
        said = f"The {self._made} scored {metric} {show(metric, self.valid[metric])} on the "
        said += f"validation rows, but trial {winner.id}, which was trained again for the answer, "
        if on_kept is not None:
            kept = f"is as good alone on rows kept back from that ({on_kept.numbers})."
            return None if harmful(on_kept) else said + kept
        before, epochs = fidelity(winner, problem).cost, again.final.epoch if again.final else 0
        after = epochs * fidelity(again, problem).share * loop.ending.growth
        alone = error(winner, problem)
        together = error(scored(problem, winner, self.valid[metric]), problem)
        if alone is None or together is None:
            better = after <= before * loop.ending.growth
        else:
            better = together < expected_error(alone, before, after)
        return None if better else said + "is expected to be better alone."


def select(loop: Loop, task: Task, artifacts: Artifacts, size: int) -> Selection:
    """Select an ensemble over the trials that kept their weights.

    Constraints hold for the ensemble as for a network: members that would break one are not added.

    Args:
        loop: The search, which has ended.
        task: The data; only validation rows are used.
        artifacts: Where the weights are.
        size: Most members, repetitions counted.
    """
    from scipy.special import softmax

    from archwright.evaluators import weights_of

    problem, logits = loop.problem, task.kind == "classification"
    deadline = time.monotonic() + max(LEAST_SECONDS, SHARE * loop.clock.left)
    known: dict[int, Trial] = {}
    predictions: dict[int, NDArray[np.float32]] = {}
    for trial in ranking(loop.trials.values(), problem)[:KEPT]:
        digest = _checkpoint(trial)
        if trial.status != "finished" or digest is None or digest not in artifacts:
            continue
        if predictions and time.monotonic() >= deadline:
            break
        graph = _graph(problem, trial.proposal.architecture)
        found = _outputs(graph, weights_of(artifacts.get(digest)), task.valid.x, problem)
        if np.isfinite(found).all():
            predictions[trial.id] = softmax(found, axis=1) if logits else found
            known[trial.id] = trial
    if not predictions:
        return Selection(problem, logits, (), (), (), {}, {}, 0)

    def allowed(members: frozenset[int]) -> bool:
        architectures = [known[number].proposal.architecture for number in sorted(members)]
        return _feasible(problem, architectures, logits)

    def score(mean: NDArray[np.float32]) -> float:
        return _score(problem, _measured(task, mean))

    counts = greedy(predictions, score, size, allowed, lambda: time.monotonic() >= deadline)
    order = sorted(counts, key=lambda number: (-counts[number], number))
    total = sum(counts.values())
    shares = {number: np.float32(counts[number] / total) for number in order}
    mean = reduce(np.add, [share * predictions[number] for number, share in shares.items()])
    best = max(known, key=lambda number: (score(predictions[number]), -number))
    return Selection(
        problem,
        logits,
        tuple(known[number] for number in order),
        tuple(counts[number] / total for number in order),
        tuple(_checkpoint(known[number]) or "" for number in order),
        _measured(task, mean),
        _measured(task, predictions[best]),
        len(known),
    )


def graph_of(
    problem: Problem,
    architectures: Sequence[Architecture],
    weights: Sequence[float],
    logits: bool,
) -> Graph:
    """Return an ensemble of architectures as one network."""
    return ensemble([_graph(problem, one) for one in architectures], weights, logits=logits)


def costs_of(
    problem: Problem,
    architectures: Iterable[Architecture],
    whole: Graph,
) -> dict[str, float]:
    """Return the costs of an ensemble.

    With a latency table, the latency is the sum over the members; averaging is not counted.
    """
    found = whole.cost.as_dict()
    if problem.settings.get("latency"):
        found[LATENCY] = sum(problem.costs(one)[LATENCY] for one in architectures)
    return found


def _feasible(problem: Problem, architectures: Sequence[Architecture], logits: bool) -> bool:
    if not problem.constraints:
        return True
    shares = [1 / len(architectures)] * len(architectures)
    whole = graph_of(problem, architectures, shares, logits)
    costs = costs_of(problem, architectures, whole)
    bounds = [bound for bound in problem.constraints if bound.metric in costs]
    return all(bound.holds(costs[bound.metric]) for bound in bounds)


def _measured(task: Task, mean: NDArray[np.float32]) -> dict[str, float]:
    """The metrics of averaged predictions on the validation rows."""
    from archwright.tasks import metrics

    least = np.finfo(np.float32).tiny
    outputs = np.log(np.maximum(mean, least)) if task.kind == "classification" else mean
    return metrics(task.kind, task.valid.y, outputs, scale=task.target_std)


def _score(problem: Problem, values: Mapping[str, float]) -> float:
    """The first objective, more being better; minus infinity if a measured constraint is broken."""
    bounds = [bound for bound in problem.constraints if bound.metric in values]
    value = problem.objectives[0].score(values[problem.objectives[0].metric])
    kept = all(bound.holds(values[bound.metric]) for bound in bounds)
    return value if kept and math.isfinite(value) else -math.inf


def _outputs(
    graph: Graph,
    state: Mapping[str, Tensor],
    x: NDArray[Any],
    problem: Problem,
) -> NDArray[np.float32]:
    """The outputs of a network for some rows, in full precision."""
    from archwright.evaluators import Mode, predict, using_threads
    from archwright.graph.module import build

    module = build(graph, seed=0)
    module.load_state_dict(state)
    with using_threads(problem.workers):
        return predict(module, x, Mode(channels_last=x.ndim == 4))


def _graph(problem: Problem, architecture: Architecture) -> Graph:
    return cast("Graph", problem.graph(architecture))


def _checkpoint(trial: Trial) -> str | None:
    return trial.final.artifacts.get("checkpoint") if trial.final else None
