"""The evaluator that scores a network instead of training it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import msgspec
import torch

from archwright.errors import EvaluationError, closest
from archwright.evaluators.batches import share_of
from archwright.evaluators.memory import check_memory, out_of_memory
from archwright.evaluators.threads import using_threads
from archwright.evaluators.train import Train, splits_at
from archwright.evaluators.zero_cost.scores import SCORES, score
from archwright.problem import FINAL, Fidelity, Measurement, Problem, Proposal

if TYPE_CHECKING:
    from archwright.graph import Graph


@dataclasses.dataclass(frozen=True)
class ZeroCost:
    """Scores a freshly initialised network on one batch, without training it: ``zero-cost:synflow`` (survey: arXiv 2101.08134).

    The measurement holds the score, more being better, and the costs. The batch is the same for all networks of a run, a fixed share of each class
    of the training rows; the weights follow from the seed. A proposal whose ``why["by"]`` is ``"final"`` is trained, as by :class:`Train`.

    Attributes:
        data: Folder written by :meth:`archwright.tasks.Task.store`.
        score: Name of the score and of its metric, see :data:`archwright.evaluators.SCORES`.
        artifacts: Folder for the weights of final trainings.
        batch: Rows of the batch.
        threads: Threads torch may use.
    """

    trains: ClassVar[bool] = False
    """Whether trials are trained; else fidelities mean nothing to them."""

    data: str
    score: str
    artifacts: str = ""
    batch: int = 64
    threads: int = 1

    def __post_init__(self) -> None:
        """Checks the score and the batch.

        Raises:
            EvaluationError: Where there is no such score, or the batch is no batch.
        """
        if self.score not in SCORES:
            raise EvaluationError(f"Got the zero-cost score {self.score!r}. {closest(self.score, SCORES)}")
        if self.batch < 2:
            raise EvaluationError(f"Got a batch of {self.batch} rows; expected two or more.")

    @property
    def metrics(self) -> tuple[str, ...]:
        """What it measures besides the costs; the first is the default objective, more being better."""
        return (self.score,)

    def __call__(self, proposal: Proposal, problem: Problem, seed: int) -> Iterator[Measurement]:
        """Yields one measurement; of a final training one for each epoch.

        Raises:
            EvaluationError: Where the score is not defined for the network, not finite, or needs more memory than there is.
        """
        started = time.monotonic()
        with using_threads(self.threads):
            values = self._values(proposal, problem, seed)
        if proposal.why.get("by") != FINAL:
            yield Measurement(values, seconds=time.monotonic() - started)
            return
        # The schedule of a final training is its own: the trials have none.
        own = dataclasses.replace(problem, fidelity=proposal.fidelity or Fidelity())
        for measured in Train(self.data, self.artifacts, threads=self.threads)(proposal, own, seed):
            yield msgspec.structs.replace(measured, values=values | measured.values)

    def _values(self, proposal: Proposal, problem: Problem, seed: int) -> dict[str, float]:
        from archwright.graph.module import build

        graph: Graph = problem.graph(proposal.architecture)  # type: ignore[assignment]
        costs = problem.costs(proposal.architecture)
        check_memory(graph.cost, self.batch)
        if self.score in costs:
            return costs
        splits = splits_at(self.data)
        train = splits.train
        rows = share_of(train.y, splits.kind, min(1.0, self.batch / len(train)), problem.seed)[: self.batch]
        with out_of_memory(graph.cost, len(rows)):
            x, y = torch.from_numpy(train.x[rows]), torch.from_numpy(train.y[rows])
            return costs | {self.score: score(self.score, build(graph, seed), x, y, splits.kind, seed)}
