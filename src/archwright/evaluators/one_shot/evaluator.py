"""The evaluator that scores networks with weights that all of a space share."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch

from archwright.artifacts import Artifacts
from archwright.errors import EvaluationError, LedgerError, SupernetError
from archwright.evaluators.batches import share_of
from archwright.evaluators.one_shot.names import get_picker, parse
from archwright.evaluators.one_shot.picker import DERIVED, Picker, entropy
from archwright.evaluators.one_shot.scoring import CALIBRATION, score_path
from archwright.evaluators.one_shot.shared import Shared
from archwright.evaluators.recipe import Recipe
from archwright.evaluators.threads import using_threads
from archwright.evaluators.train import Train, splits_at
from archwright.problem import ALONE, BASELINE, FINAL, INTERIM, SUPERNET, Measurement, Problem, Proposal
from archwright.problem.problem import LATENCY
from archwright.space import Space
from archwright.space.weightless import free_options
from archwright.supernet import Supernet
from archwright.tasks import Split, Splits

VALID = 1000
"""Validation rows that a path is measured on at most; the standard error of 90% accuracy is then one point, and less between paths on the same rows."""
PROBED = 3
"""Random paths that are measured after each epoch of the shared weights' training."""


@dataclasses.dataclass(frozen=True)
class OneShot:
    """Scores a network with weights that all networks of the space share: ``supernet:uniform`` (Pham et al. 2018, Bender et al. 2018).

    What a proposal's ``why["by"]`` says decides. ``"supernet"``: the shared weights are trained, with the picker choosing the paths, and left as the
    artifact ``supernet``, and after each epoch before as one from which the training can go on. ``"alone"``, ``"baseline"`` and ``"final"``: the network is trained on its own,
    as by :class:`Train`; with ``warm`` it begins with its shared weights. Else it is scored with the shared weights that ``why["supernet"]`` names, on
    validation rows, its batch-norm statistics taken afresh.

    Attributes:
        data: Folder written by :meth:`archwright.tasks.Task.store`.
        picker: Name and options of the picker, see ``archwright evaluators``; ``warm=True``, ``lr=0.05``, ``batch_size=64`` and ``epochs=20`` among the options are the evaluator's own.
        artifacts: Folder of the run's weights.
        threads: Threads torch may use.
    """

    trains: ClassVar[bool] = False
    """Its trials train nothing, but for those that do."""
    shares: ClassVar[bool] = True
    """Wants the course of a search with shared weights."""

    data: str
    picker: str
    artifacts: str = ""
    threads: int = 1

    def __post_init__(self) -> None:
        """Checks the picker and its options.

        Raises:
            SupernetError: Where they are not known.
        """
        self.make_picker()
        epochs = self.own["epochs"]
        if not isinstance(epochs, int) or epochs < 0:
            raise SupernetError(
                f"Got epochs={epochs!r} in {self.picker!r}; expected a whole number, or 0 to leave it open."
            )

    @property
    def own(self) -> dict[str, Any]:
        """The options that are not the picker's."""
        return {"warm": False, "lr": None, "batch_size": 0, "epochs": 0} | {
            key: value for key, value in parse(self.picker)[1].items() if key in ("warm", "lr", "batch_size", "epochs")
        }

    def make_picker(self) -> Picker:
        """A new picker."""
        name, options = parse(self.picker)
        return get_picker(name, **{key: value for key, value in options.items() if key not in self.own})

    def __call__(self, proposal: Proposal, problem: Problem, seed: int) -> Iterator[Measurement]:
        """Trains the shared weights, or scores a network with them, or trains one on its own.

        Raises:
            EvaluationError: Where a training diverges, or the shared weights are gone.
        """
        by = proposal.why.get("by")
        with using_threads(self.threads):
            if by == SUPERNET:
                yield from self._train(proposal, problem)
            elif by in (ALONE, FINAL, BASELINE):
                own = dataclasses.replace(problem, fidelity=proposal.fidelity or problem.fidelity)
                trainer = _Warm if self.own["warm"] and SUPERNET in proposal.why else Train
                yield from trainer(self.data, self.artifacts)(proposal, own, seed)
            else:
                yield self._score(proposal, problem)

    def shared(self, problem: Problem) -> Shared:
        """The supernet of a problem before its training."""
        splits, picker = splits_at(self.data), self.make_picker()
        net = Supernet(
            _expression(problem),
            problem.signature,
            seed=problem.seed,
            transforms=picker.transforms,
            partial=picker.partial,
        )
        cost = (lambda architecture: problem.costs(architecture)[LATENCY]) if problem.settings.get("latency") else None
        recipe = self.recipe(len(splits.train), splits.modality)
        return Shared(net, picker, recipe, splits.kind, problem.seed, problem.feasible, cost)

    def recipe(self, rows: int, modality: str = "image") -> Recipe:
        """How the shared weights are trained on so many rows; those of recurrent cells with a larger rate and smaller gradients, as in DARTS."""
        rate, clip, most = (2.0, 0.25, 64) if modality == "text" else (0.1, 5.0, 32)
        batch = self.own["batch_size"] or min(most, max(16, 2 ** round(math.log2(rows / 64))))
        return Recipe(
            lr=rate if self.own["lr"] is None else self.own["lr"],
            schedule="cosine",
            warmup=0.05,
            weight_decay=3e-4,
            clip=clip,
            batch_size=batch,
        ).checked()

    def _train(self, proposal: Proposal, problem: Problem) -> Iterator[Measurement]:
        now = time.monotonic()
        started = now - proposal.why.get("spent", 0.0)
        splits, shared = splits_at(self.data), self.shared(problem)
        if proposal.resume is not None:
            shared.load(self._artifact(proposal.resume))
        limit = proposal.why.get("seconds")
        deadline = None if limit is None else max(now + 1.0, started + 0.9 * float(limit))
        x, y = torch.from_numpy(splits.train.x), torch.from_numpy(splits.train.y)
        kept = Artifacts(self.artifacts)
        free = free_options(shared.net.space)
        for epoch in shared.train(x, y, int(proposal.why["epochs"]), deadline):
            shares = shared.history[-1]["shares"]
            notes: dict[str, Any] = {
                "picker": self.picker,
                "loss": epoch.loss,
                "rate": epoch.rate,
                "training": epoch.seconds,
                "steps": epoch.steps,
                "part": epoch.part,
                "parameters": sum(parameter.numel() for parameter in shared.net.parameters()),
                "entropy": entropy(shares),
                "free": _mass(shares, free),
            }
            if epoch.last:
                notes |= {
                    "derived": [found.choices for found in self._derived(shared, splits)],
                    "shares": {address: [round(p, 4) for p in chances] for address, chances in shares.items()},
                }
            values = self._probe(shared, splits) | {"loss": epoch.loss}
            stored = {SUPERNET if epoch.last else INTERIM: kept.put(shared.to_bytes())}
            yield Measurement(values, epoch.number, time.monotonic() - started, stored, {SUPERNET: notes})

    def _derived(self, shared: Shared, splits: Splits) -> list[Any]:
        """What the picker settled on; where it only draws them, the best on validation rows first."""
        found = shared.picker.derive(shared)
        if not shared.picker.drawn:
            return found
        metric = "accuracy" if shared.kind == "classification" else "r2"
        scores = {a: self._measure(shared, a, splits, shared.seed).get(metric, -np.inf) for a in found}
        return sorted(found, key=lambda a: -scores[a])[:DERIVED]

    def _probe(self, shared: Shared, splits: Splits) -> dict[str, float]:
        """Mean metrics of a few random paths, the same after each epoch."""
        rng = np.random.default_rng([shared.seed, 0xB])
        paths = [shared.net.space.sample(rng) for _ in range(PROBED)]
        found = [self._measure(shared, path, splits, shared.seed) for path in paths]
        return {
            name: float(np.mean([values[name] for values in found]))
            for name in found[0]
            if all(name in v for v in found)
        }

    def _measure(self, shared: Shared, architecture: Any, splits: Splits, seed: int) -> dict[str, float]:
        valid = splits.valid
        if len(valid) > VALID:
            rows = share_of(valid.y, splits.kind, VALID / len(valid), seed)
            valid = Split(valid.x[rows], valid.y[rows])
        batch = shared.recipe.batch_size
        count = min(len(splits.train), CALIBRATION * batch)
        rows = np.random.default_rng([seed, 0xCA]).permutation(len(splits.train))[:count]
        return score_path(shared.net, architecture, splits, shared.recipe, valid, rows)

    def _score(self, proposal: Proposal, problem: Problem) -> Measurement:
        started = time.monotonic()
        digest = proposal.why.get(SUPERNET)
        if digest is None:
            raise EvaluationError(
                "The proposal names no shared weights; they are trained before anything is scored with them."
            )
        shared = _trained(self, problem, digest)
        values = self._measure(shared, proposal.architecture, splits_at(self.data), problem.seed)
        return Measurement(
            values | problem.costs(proposal.architecture), 0, time.monotonic() - started, {}, {"weights": "shared"}
        )

    def _artifact(self, digest: str) -> bytes:
        try:
            return Artifacts(self.artifacts).get(digest)
        except LedgerError as error:
            raise EvaluationError(str(error)) from error


@dataclasses.dataclass(frozen=True)
class _Warm(Train):
    """Trains a network from its shared weights."""

    def _begin(self, module: torch.nn.Module, proposal: Proposal, problem: Problem) -> dict[str, Any]:
        evaluator = OneShot(self.data, proposal.why["picker"], self.artifacts)
        module.load_state_dict(
            _trained(evaluator, problem, proposal.why[SUPERNET]).net.weights_of(proposal.architecture)
        )
        return {"inherited": {"from": "the shared weights"}}


_LAST: dict[tuple[str, str], Shared] = {}


def _trained(evaluator: OneShot, problem: Problem, digest: str) -> Shared:
    """The supernet with these weights; the last one used is kept."""
    key = (evaluator.artifacts, digest)
    if key not in _LAST:
        content = evaluator._artifact(digest)
        shared = evaluator.shared(problem)
        shared.load(content)
        _LAST.clear()
        _LAST[key] = shared
    return _LAST[key]


def _expression(problem: Problem) -> Space:
    if not isinstance(problem.space, Space):
        raise SupernetError(
            f"The space {problem.space.name!r} is no expression; expected an archwright.Space, whose networks can share weights."
        )
    return problem.space


def _mass(shares: dict[str, list[float]], free: dict[str, frozenset[int]]) -> float | None:
    """The probability of options without weights, over all choices that have some; ``None`` without preferences."""
    found = [
        sum(shares[address][option] for option in options) for address, options in free.items() if address in shares
    ]
    return float(np.mean(found)) if found else None
