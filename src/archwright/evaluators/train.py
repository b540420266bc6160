"""The evaluator that trains a candidate and measures it on the validation rows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archwright.artifacts import Artifacts
from archwright.errors import EvaluationError, LedgerError
from archwright.evaluators.batches import share_of
from archwright.evaluators.engine import Epoch, criterion, fit, steps_of
from archwright.evaluators.memory import check_memory, out_of_memory
from archwright.evaluators.numerics import Mode, choose, named
from archwright.evaluators.recipe import Recipe, default_recipe
from archwright.evaluators.state import State
from archwright.evaluators.threads import using_threads
from archwright.problem import FINAL, INTERIM, Fidelity, Measurement, Problem, Proposal
from archwright.tasks import Split, Splits, metrics, open_splits

if TYPE_CHECKING:
    from archwright.graph import Graph


MIN_VALID = 1500
"""Validation rows that a trial on a share of the data is measured on at least; the standard error of 90% accuracy is then 0.8 points."""
INTERIM_EVERY = 60.0
"""Seconds after which the state at the end of an epoch is stored, to go on from after an interruption."""
CALIBRATED = 5000
"""Training rows that blocks are calibrated with."""
MEASURED = 0.3
"""Validation rows after the last epoch of a trial, for each row that it was trained on (a row of every epoch): about a tenth of its time."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Trains a network from the start, or on from a checkpoint, and measures it after every epoch.

    The measurements hold the task's metrics on the validation rows, the training ``loss`` and the costs; the last one has the artifact
    ``checkpoint`` with everything a continuation needs. ``notes`` says in which numerics mode and by which recipe it was trained, the seconds of the
    epoch's ``training`` steps and those of ``predicting`` a row.

    A proposal whose ``why`` names ``whole`` has a whole schedule of the learning rate; else a fidelity is a point on the
    schedule of the full one. A proposal whose ``why["by"]`` is ``"final"`` trains on training and validation rows together. Its metrics on the
    validation rows show that it learns, no more; ``notes["seen"]`` says so. If its ``why`` names ``keep``, that share of
    the validation rows is kept back, and it is measured on these. If it names ``seconds``, it ends within that time
    (less the seconds already ``spent``), its learning rate fully decayed, after at most ``most`` epochs; if it names
    ``threads``, it uses so many.

    Attributes:
        data: Folder written by :meth:`archwright.tasks.Task.store`.
        artifacts: Folder of the checkpoints.
        recipe: Settings that differ from the task's default recipe, for example ``{"lr": 0.05}``.
        threads: Threads torch may use.
        numerics: Numerics mode (a name in ``archwright.evaluators.MODES``); ``"auto"`` tries a few steps in each mode where the budget is wall
            time, and else goes by a rule, so that a run can be repeated.
        keep: Whether to store checkpoints.
    """

    data: str
    artifacts: str
    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)
    threads: int = 1
    numerics: str = "auto"
    keep: bool = True

    def __call__(self, proposal: Proposal, problem: Problem, seed: int) -> Iterator[Measurement]:
        """Trains and yields a measurement for each epoch.

        Raises:
            EvaluationError: Where the network diverges, needs more memory than there is, or cannot be trained.
        """
        with using_threads(proposal.why.get("threads", self.threads)):
            yield from self._train(proposal, problem, seed)

    def _train(self, proposal: Proposal, problem: Problem, seed: int) -> Iterator[Measurement]:
        from archwright.graph.module import build, calibrate

        stored_at = time.monotonic()
        started = stored_at - proposal.why.get("spent", 0.0)
        splits = splits_at(self.data)
        graph: Graph = problem.graph(proposal.architecture)  # type: ignore[assignment]
        cost, fidelity = graph.cost, proposal.fidelity or problem.fidelity
        final = proposal.why.get("by") == FINAL
        seconds = proposal.why.get("seconds") if final else None
        kept = kept_back(splits, proposal.why.get("keep", 0.0), problem.seed) if final else None
        rows = len(splits.train) + final * len(splits.valid)
        full = fidelity if final else problem.fidelity
        recipe = resolve_recipe(splits, self.recipe, round(full.share * rows), full.epochs)
        check_memory(cost, recipe.batch_size, splits.train.x[:1].nbytes * (rows + len(splits.valid)))
        with out_of_memory(cost, recipe.batch_size):
            x, y = _rows(splits, fidelity.share, problem.seed, final, kept)
            share = 0.0 if final else fidelity.share
            trained = fidelity.epochs * share * len(splits.train)
            measured = _sampled(splits.valid, splits.kind, share, problem.seed)
            last = _sampled(splits.valid, splits.kind, max(share, MEASURED * trained / len(splits.valid)), problem.seed)
            if kept is not None:
                measured = last = Split(splits.valid.x[kept], splits.valid.y[kept])
            module = build(graph, seed)
            state = self._state(proposal, module)
            if state is None:
                calibrate(module, x[_spread(len(x), CALIBRATED)])
                begun = self._begin(module, proposal, problem)
                mode = self._mode(module, graph, x, y, recipe, fidelity, problem)
                state = State.fresh(module, recipe, mode, seed, begun)
            notes = {"numerics": state.mode.name, "recipe": msgspec.to_builtins(state.recipe)}
            if proposal.resume is None or "spent" in proposal.why:  # not where it continues another evaluation
                notes |= state.notes
            if final and kept is None:
                notes["seen"] = "The validation rows are among those it was trained on."
            epochs = fit(
                state,
                x,
                y,
                kind=splits.kind,
                epochs=fidelity.epochs if seconds is None else proposal.why.get("most", fidelity.epochs),
                valid=torch.from_numpy(measured.x),
                last=torch.from_numpy(last.x),
                target=Fraction(1) if proposal.why.get("whole") else place(fidelity, problem.fidelity),
                deadline=None if seconds is None else started + float(seconds),
            )
            for epoch in epochs:
                targets = last.y if epoch.last else measured.y
                values = {
                    "loss": epoch.loss,
                    **problem.costs(proposal.architecture),
                    **_metrics(splits, targets, epoch),
                }
                stored = {}
                if self.keep and (epoch.last or time.monotonic() - stored_at >= INTERIM_EVERY):
                    name = "checkpoint" if epoch.last else INTERIM
                    stored[name] = Artifacts(self.artifacts).put(state.to_bytes())
                    stored_at = time.monotonic()
                spent = {"training": epoch.training, "predicting": epoch.predicting / len(targets)}
                yield Measurement(
                    values, epoch.number, time.monotonic() - started, stored, notes | {"rate": epoch.rate} | spent
                )

    def _state(self, proposal: Proposal, module: nn.Module) -> State | None:
        if proposal.resume is None:
            return None
        try:
            content = Artifacts(self.artifacts).get(proposal.resume)
        except LedgerError as error:
            raise EvaluationError(str(error)) from error
        return State.from_bytes(content, module)

    def _begin(self, module: nn.Module, proposal: Proposal, problem: Problem) -> dict[str, Any]:
        """Changes the weights that a training begins with; returns notes for its measurements."""
        return {}

    def _mode(
        self,
        module: nn.Module,
        graph: Graph,
        x: Tensor,
        y: Tensor,
        recipe: Recipe,
        fidelity: Fidelity,
        problem: Problem,
    ) -> Mode:
        if self.numerics != "auto":
            return named(self.numerics)
        loss = criterion("regression" if y.is_floating_point() else "classification", recipe)
        return choose(
            module,
            x,
            recipe.batch_size,
            fidelity.epochs * steps_of(len(y), recipe),
            lambda outputs, index: loss(outputs, y[index]),
            probe=problem.budget.seconds is not None,
            key=graph.fingerprint,
        )


def place(fidelity: Fidelity, full: Fidelity) -> Fraction:
    """Where on the schedule of the full fidelity another one ends, in (0, 1].

    >>> place(Fidelity(3), Fidelity(9))
    Fraction(1, 3)
    """
    spent, all_of_it = (Fraction(part.epochs) * Fraction(part.share) for part in (fidelity, full))
    return min(Fraction(1), spent / all_of_it)


def resolve_recipe(splits: Splits, changes: dict[str, Any], rows: int, epochs: int) -> Recipe:
    """The task's default recipe with some settings changed.

    Raises:
        EvaluationError: Where a setting is unknown or out of its range.
    """
    settings = msgspec.to_builtins(default_recipe(splits, rows, epochs)) | changes
    try:
        return msgspec.convert(settings, Recipe).checked()
    except msgspec.ValidationError as error:
        raise EvaluationError(
            f"Got the recipe {changes}: {error}. Known settings: {', '.join(Recipe.__struct_fields__)}."
        ) from error


def _metrics(splits: Splits, y: NDArray[np.generic], epoch: Epoch) -> dict[str, float]:
    assert epoch.outputs is not None
    if not np.isfinite(epoch.outputs).all():
        raise EvaluationError(
            f"The outputs for the validation rows are not finite after epoch {epoch.number}, though the training loss is {epoch.loss:.4g}."
        )
    found = metrics(splits.kind, y, epoch.outputs, scale=splits.target_std)
    return {name: value for name, value in found.items() if np.isfinite(value)}


@lru_cache(maxsize=2)
def splits_at(folder: str) -> Splits:
    """What the search sees of a stored task; the two opened last are kept."""
    return open_splits(folder)


def _sampled(valid: Split, kind: str, share: float, seed: int) -> Split:
    """The validation rows of a trial on a share of the data: the same share, but no fewer than are needed to tell networks apart."""
    least = MIN_VALID / len(valid)
    if max(share, least) >= 1.0:
        return valid
    rows = share_of(valid.y, kind, max(share, least), seed)
    return Split(valid.x[rows], valid.y[rows])


def kept_back(splits: Splits, share: float, seed: int) -> NDArray[np.int64] | None:
    """Return the validation rows that a final training is not to see; ``None`` if it may see all.

    Args:
        splits: The data.
        share: Of the validation rows, in [0, 1).
        seed: Of the choice.
    """
    return share_of(splits.valid.y, splits.kind, share, seed) if share else None


def _spread(rows: int, most: int) -> slice:
    """Rows spread evenly over all, for data may be stored class by class."""
    return slice(None, None, max(1, rows // most))


def _rows(
    splits: Splits, share: float, seed: int, final: bool, kept: NDArray[np.int64] | None
) -> tuple[Tensor, Tensor]:
    x, y = splits.train.x, splits.train.y
    if final:
        seen = np.setdiff1d(np.arange(len(splits.valid)), [] if kept is None else kept)
        x, y = np.concatenate([x, splits.valid.x[seen]]), np.concatenate([y, splits.valid.y[seen]])
    if share < 1.0:
        rows = share_of(y, splits.kind, share, seed)
        x, y = x[rows], y[rows]
    return torch.from_numpy(x), torch.from_numpy(y)
