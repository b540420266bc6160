"""What a search hands over: the networks, why they were chosen, and ways to take them away."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from archwright.engine.ensemble import costs_of, graph_of
from archwright.engine.ranking import incumbent, pareto
from archwright.engine.settings import Settings
from archwright.engine.store import Store
from archwright.errors import ArchwrightError, DataError, LedgerError
from archwright.explain import why as explain_why
from archwright.ledger import Ended, fold
from archwright.problem import FINAL, Architecture, Problem, Trial, purpose
from archwright.problem.final import Ensemble, FinalRecord, show
from archwright.space import Space

if TYPE_CHECKING:
    import torch

    from archwright.export import Checks, Exported
    from archwright.graph import Graph
    from archwright.tasks import Task


class Candidate:
    """One network of a run, or an ensemble of several as one.

    Args:
        result: The run.
        trial: The trial that measured it; for an ensemble the best single network.
        ensemble: What an ensemble is made of.

    Attributes:
        trial: As given.
        ensemble: As given.
        metrics: Its validation metrics and costs.
    """

    def __init__(self, result: Result, trial: Trial, ensemble: Ensemble | None = None) -> None:
        self._result = result
        self.trial, self.ensemble = trial, ensemble
        self.metrics: dict[str, float] = dict(trial.final.values) if trial.final else {}
        if ensemble is not None and result.final is not None:
            members = [member.architecture for member in self.members]
            self.metrics = result.final.valid | costs_of(result.problem, members, self.graph)

    @property
    def members(self) -> list[Candidate]:
        """The networks that it is made of: those of an ensemble, else itself alone."""
        if self.ensemble is None:
            return [self]
        return [self._result[number] for number in self.ensemble.trials]

    @property
    def final(self) -> FinalRecord | None:
        """The result of the test, if this is the network that was chosen."""
        final = self._result.final
        if final is None or (final.trial, final.ensemble) != (self.trial.id, self.ensemble):
            return None
        return final

    @property
    def architecture(self) -> Architecture:
        """The choices made."""
        return self.trial.proposal.architecture

    @property
    def choices(self) -> dict[str, str]:
        """The choices for people: address to label; those of an ensemble begin with ``member1``."""
        if self.ensemble is not None:
            return {
                f"member{number}.{address}": label
                for number, member in enumerate(self.members, start=1)
                for address, label in member.choices.items()
            }
        return dict(self._result.problem.space.describe(self.architecture))

    @property
    def graph(self) -> Graph:
        """The network as a graph of operations."""
        if self.ensemble is not None:
            members = [member.architecture for member in self.members]
            made = self.ensemble
            return graph_of(self._result.problem, members, made.weights, made.logits)
        return self._result.problem.graph(self.architecture)  # type: ignore[return-value]

    @property
    def source(self) -> str:
        """The network as readable PyTorch source."""
        from archwright.graph.source import source

        return source(self.graph)

    def weights(self) -> dict[str, torch.Tensor]:
        """The trained weights: those of the final training for the chosen network, else those of the trial.

        Raises:
            LedgerError: Where none were kept.
        """
        from archwright.evaluators import weights_of

        digest = self.final.weights if self.final is not None else None
        if digest is None:
            digest = self._result.checkpoint(self.trial)
        if digest is None:
            raise LedgerError(
                f"Trial {self.trial.id} kept no weights; only the best trials do. Train its architecture again, or export the best."
            )
        return weights_of(self._result.store.artifacts(self._result.name).get(digest))

    def module(self) -> torch.nn.Module:
        """The trained network as an ordinary PyTorch module, in evaluation mode."""
        from archwright.graph.module import build

        module = build(self.graph, seed=0)
        module.load_state_dict(self.weights())
        return module.eval()

    def why(self) -> str:
        """Where the architecture comes from, step by step, with the reason of each."""
        if self.ensemble is not None:
            made = f"{str(self.ensemble).capitalize()}."
            return "\n\n".join([made, *(member.why() for member in self.members)])
        return explain_why(self._result.trials, self.trial.id, self._result.problem).text()

    def export(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Exported:
        """Writes the network as plain PyTorch, safetensors and ONNX with a model card, and verifies all of it in a separate process."""
        from archwright.engine.handover import export_candidate

        return export_candidate(self._result, self, Path(folder), overwrite=overwrite)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={show(name, value)}" for name, value in self.metrics.items())
        of = f"trial={self.trial.id}" if self.ensemble is None else str(self.ensemble)
        return f"Candidate({of}, {values})"


class Result:
    """A run, as the ledger knows it: finished, interrupted, or still going on elsewhere.

    Args:
        store: Where it lives.
        name: Its name.
        task: Its data, where the caller has them; else they are loaded again when something needs them.
        ended: Why the search ended, where it just did.
        interrupted: Whether the user stopped it.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        problem: Problem | None = None,
        task: Task | None = None,
        interrupted: bool = False,
    ) -> None:
        self.store, self.name, self.interrupted = store, name, interrupted
        self.run = store.ledger.run(name)
        self._problem, self._task = problem, task
        self._events = self.run.events()
        self.settings = Settings.of(self.run.header, self._events)
        self.trials: tuple[Trial, ...] = fold(self._events)

    @cached_property
    def problem(self) -> Problem:
        """What was searched."""
        return self._problem or problem_of(self.settings)

    @cached_property
    def final(self) -> FinalRecord | None:
        """The chosen network's test result; ``None`` before the final training."""
        found = [event.payload for event in self._events if event.kind == "final"]
        return msgspec.convert(found[-1], FinalRecord) if found else None

    @property
    def tests(self) -> int:
        """How often the test split was used: once a finished search; more where a search was given more budget later."""
        return sum(event.kind == "final" for event in self._events)

    @property
    def ended(self) -> str | None:
        """Why the search ended; ``None`` while it has not."""
        found = [event.payload.why for event in self._events if isinstance(event.payload, Ended)]
        return found[-1] if found else None

    @property
    def best(self) -> Candidate:
        """The chosen network, or the best so far.

        Raises:
            ArchwrightError: Where no trial has finished.
        """
        if self.final is not None:
            return Candidate(self, self.trials[self.final.trial], self.final.ensemble)
        best = incumbent(self.problem, self.trials)
        if best is None:
            reasons = sorted({trial.reason for trial in self.trials if trial.reason})
            cause = f" Reasons: {'; '.join(reasons[:3])}." if reasons else ""
            if all(trial.status != "failed" for trial in self.trials):
                cause += f" Nothing is lost; go on with a larger budget: archwright resume {self.name} --budget ..."
            raise ArchwrightError(
                f"The run '{self.name}' has no finished trial to choose from ({len(self.trials)} started).{cause}"
            )
        return Candidate(self, best)

    @property
    def front(self) -> list[Candidate]:
        """The trials that no other beats in every objective (of one objective: the best), best first."""
        return [Candidate(self, trial) for trial in pareto(self.problem, self.trials)]

    def __getitem__(self, trial: int) -> Candidate:
        if not 0 <= trial < len(self.trials):
            raise ArchwrightError(f"Got trial {trial}; the run '{self.name}' has trials 0 to {len(self.trials) - 1}.")
        return Candidate(self, self.trials[trial])

    def checkpoint(self, trial: Trial) -> str | None:
        """The hash of the weights a trial left, if they were kept."""
        digest = trial.final.artifacts.get("checkpoint") if trial.final else None
        return digest if digest is not None and digest in self.store.artifacts(self.name) else None

    def task(self) -> Task:
        """The data of the run, loaded again where this process does not have them.

        Raises:
            DataError: Where they were passed in as arrays, or have changed since.
        """
        if self._task is None:
            self._task = load_run_task(self.settings)
        return self._task

    def report(self, path: str | os.PathLike[str] | None = None, *, checks: Checks | None = None) -> Path:
        """Writes the report: one HTML file, readable offline.

        Args:
            path: The file; default: ``report.html`` in the run's folder.
            checks: What the verification of the export found; default: that of the run's own export, if there is one.
        """
        from archwright.export import read_checks
        from archwright.report import report

        target = Path(path) if path is not None else self.store.run_folder(self.name) / "report.html"
        return report(
            target,
            header=self.run.header,
            trials=self.trials,
            problem=self.problem,
            final=self.final,
            name=self.name,
            ended=self.ended,
            checks=checks or read_checks(self.store.run_folder(self.name) / "model"),
            seconds=self.run.spent,
        )

    def __repr__(self) -> str:
        state = "interrupted" if self.interrupted else (self.ended or "not finished")
        return f"Result({self.name!r}, {self._answer()}{sum(purpose(trial) != FINAL for trial in self.trials)} trials, {state})"

    def _answer(self) -> str:
        final = self.final
        if final is None or final.cost is None or final.metric not in final.test:
            return ""
        test = final.test[final.metric]
        shown, low, high = (show(final.metric, value) for value in (test.value, test.low, test.high))
        return f"test {final.metric} {shown} [{low}, {high}], {final.cost.params:,} parameters, {final.answer}, "


def problem_of(settings: Settings) -> Problem:
    """The problem that a run's settings describe."""
    return Problem(
        space=Space.from_json(settings.space),
        signature=settings.signature,
        objectives=settings.objectives,
        constraints=settings.constraints,
        budget=settings.budget,
        seed=settings.seed,
        fidelity=settings.fidelity,
        workers=settings.workers,
        settings=settings.notes,
    )


def load_run_task(settings: Settings) -> Task:
    """Loads the data of a run again and checks that they are the same."""
    from archwright.tasks import load_task

    if settings.data is None:
        raise DataError(
            "The data of this run were passed in as arrays and are not stored. Pass them again: archwright.resume(name, data=(X, y))."
        )
    task = load_task(
        settings.data,
        settings.target,
        kind=settings.kind,
        seed=settings.seed,
        image_size=settings.image_size,
        scaling=settings.scaling,
    )
    if task.data_hash != settings.data_hash:
        raise DataError(
            f"The data at {settings.data} have changed since the run started (hash {task.data_hash[:12]}, was {settings.data_hash[:12]}). Restore them, or start a new run."
        )
    return task
