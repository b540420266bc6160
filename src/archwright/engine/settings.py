"""The settings of a run: what its ledger remembers, and all that is needed to go on with it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import Any, Literal

import msgspec

from archwright import __version__
from archwright.ledger import Event
from archwright.problem import Budget, Constraint, Fidelity, Objective, Signature
from archwright.strategies.opening import Start


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a run was started with; the header of its ledger entry.

    Attributes:
        data: The data source as the user named it; ``None`` where arrays were passed in, or there is no data set.
        target: The target column of a table.
        kind: ``"classification"`` or ``"regression"`` where the user said so.
        image_size: Pixels of the images' long side where the user said so.
        task: Name of the data set.
        facts: Its split sizes, classes and the like, for people.
        data_hash: Hash of the data; a resumed run must see the same.
        space: The expression as JSON.
        strategy: Name and options.
        evaluator: Name of the evaluator, or of the user's own function.
        own: Whether it is the user's own function, which must be passed again to go on.
        starts: What is tried before the strategy is asked.
        objectives: What matters, the most important first.
        constraints: Bounds.
        budget: What may be spent, all sessions together.
        seed: One seed gives one search.
        workers: Evaluations at once.
        baseline: Share of the training spent on random architectures, as the control.
        fidelity: The full fidelity of a trial.
        final: The fidelity of the final training; where time is limited it ends earlier if it must.
        after: Seconds of a time budget to be left for what follows the search, such as an export.
        ensemble: Networks that the answer may be made of, repetitions counted.
        signature: Input shapes and output sizes.
        notes: What was decided before the first trial and why, such as how the fidelity follows from the measured speed.
        command: How to start this run again.
        versions: Versions of what matters.
    """

    data: str | None = None
    target: str | None = None
    kind: str | None = None
    image_size: int | None = None
    task: str = ""
    facts: dict[str, str] = {}
    data_hash: str = ""
    space: str
    strategy: str = "auto"
    options: dict[str, Any] = {}
    evaluator: str = "train"
    own: bool = False
    starts: tuple[Start, ...] = ()
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    budget: Budget
    seed: int = 0
    workers: int = 1
    baseline: float = 0.1
    fidelity: Fidelity
    final: Fidelity
    after: float = 0.0
    ensemble: int = 1
    signature: Signature
    notes: dict[str, Any] = {}
    command: str = ""
    versions: dict[str, str] = {}

    @property
    def scaling(self) -> Literal["robust", "standard"]:
        """How numbers of tables are scaled; runs from before the robust scaling know no columns."""
        return "robust" if self.signature.columns else "standard"

    def as_header(self) -> dict[str, Any]:
        """The settings as JSON values."""
        header: dict[str, Any] = msgspec.to_builtins(self)
        return header

    @classmethod
    def of(cls, header: dict[str, Any], events: Iterable[Event]) -> Settings:
        """The settings of a stored run: its header, and what later sessions changed."""
        changes = [event.payload for event in events if event.kind == "noted" and isinstance(event.payload, dict)]
        return msgspec.convert({**header, **{key: value for change in changes for key, value in change.items()}}, cls)


def versions() -> dict[str, str]:
    """Versions of archwright, Python, the operating system and the libraries that results depend on."""
    found = {
        "archwright": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }
    for name in ("torch", "numpy", "scikit-learn", "onnxruntime"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
