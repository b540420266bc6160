"""The model card: everything a receiver should know, as one mapping (``card.json``) and in words (``card.md``)."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

import msgspec

from archwright.errors import ExportError
from archwright.export.verify import SPLITS
from archwright.problem.final import FinalRecord, show
from archwright.tasks.preprocess import shown

if TYPE_CHECKING:
    from archwright.graph import Graph
    from archwright.tasks import Task


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the caller knows about a network besides the network itself. Every field may be left out.

    Attributes:
        run: Name of the run.
        trial: The trial that found it.
        strategy: The strategy that proposed it.
        space: The space it comes from.
        choices: The architecture in words: address to label.
        seed: Of the search.
        command: Repeats the search.
        versions: Versions at the time of the search; those of the export are added where it is empty.
        valid: Validation metrics, as the search saw them.
        final: The test result and how the network was finally trained.
        why: Where the architecture comes from, in words.
    """

    run: str = ""
    trial: int | None = None
    strategy: str = ""
    space: str = ""
    choices: dict[str, str] = {}
    seed: int | None = None
    command: str = ""
    versions: dict[str, str] = {}
    valid: dict[str, float] = {}
    final: FinalRecord | None = None
    why: str = ""


def read_facts(card: Facts | Mapping[str, Any]) -> Facts:
    """The facts from a mapping with the same keys.

    Raises:
        ExportError: Where a key is unknown or a value of the wrong kind.
    """
    if isinstance(card, Facts):
        return card
    try:
        return msgspec.convert(dict(card), Facts, from_attributes=True)
    except msgspec.ValidationError as error:
        expected = ", ".join(Facts.__struct_fields__)
        raise ExportError(f"The facts for the model card do not fit: {error}. Expected keys: {expected}.") from error


def make_card(graph: Graph, task: Task, facts: Facts) -> dict[str, Any]:
    """The card without the list of files and the result of the checks, JSON values only."""
    card: dict[str, Any] = {
        "name": facts.run or task.name,
        "network": {
            "class": "model.py: Network",
            "input": list(task.shape),
            "outputs": task.signature.outputs[0],
            "nodes": len(graph.nodes),
            "fingerprint": graph.fingerprint,
            **msgspec.to_builtins(graph.cost),
        },
        "ensemble": None,
        "architecture": {"space": facts.space, "choices": facts.choices, "why": facts.why},
        "task": {
            "name": task.name,
            "kind": task.kind,
            "modality": task.modality,
            "classes": list(task.classes),
            "rows": {name: len(getattr(task, name)) for name in ("train", "valid", "test")},
            "data_hash": task.data_hash,
            "split_seed": task.seed,
            "warnings": list(task.warnings),
        },
        "metrics": {"test": None, "baseline": None, "comparison": None, "valid": facts.valid},
        "training": None,
        "origin": {
            "run": facts.run,
            "trial": facts.trial,
            "strategy": facts.strategy,
            "seed": facts.seed,
            "command": facts.command,
            "versions": facts.versions or _versions(),
        },
        "preprocess": task.preprocess,
        "use": _use(task),
    }
    final = facts.final
    if final is not None:
        card["metrics"]["test"] = msgspec.to_builtins(final.test)
        card["metrics"]["baseline"] = msgspec.to_builtins(final.baseline_test)
        if final.comparison is not None:
            card["metrics"]["comparison"] = {**msgspec.to_builtins(final.comparison), "text": final.comparison.text()}
        card["training"] = {
            "epochs": final.epochs,
            "numerics": final.numerics,
            "recipe": final.recipe,
            "warnings": [warning for warning in final.warnings if warning not in task.warnings],
        }
        if final.ensemble is not None:
            card["ensemble"] = {
                **msgspec.to_builtins(final.ensemble),
                "text": str(final.ensemble),
                "against": final.against_single,
            }
    return card


def render(card: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("archwright.export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= {
        "cell": _cell,
        "class": lambda name: _cell(shown(name)),
        "count": lambda value: f"{value:,}",
        "shown": lambda value, metric: show(metric, value),
    }
    return environment.get_template("card.md.j2").render(card=card, splits=SPLITS)


def _cell(value: object) -> str:
    """Text for a cell of a Markdown table or a line of it: no markup, no line breaks, no columns of its own."""
    text = " ".join(str(value).split())
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, f"\\{mark}")
    return text


def _use(task: Task) -> dict[str, str]:
    shape = "x".join(map(str, task.shape))
    if task.modality == "image":
        what = f"images of {shape} (channels, height, width; others are resized by predict.py)"
    elif task.modality == "text":
        what = f"texts, of each of which the last {task.shape[0]} symbols count,"
    else:
        what = f"table rows with the {len(task.preprocess['columns'])} columns of the training data"
    goal = f"into {len(task.classes)} classes" if task.kind == "classification" else "to one number"
    if task.modality == "text":
        goal = f"to the probabilities of {len(task.classes)} next symbols"
    sampled = "windows (bootstrap)" if task.modality == "text" else "rows (Wilson for accuracy, bootstrap otherwise)"
    return {
        "intended": f"Maps {what} {goal}, for data of the kind it was trained on: '{task.name}'.",
        "limits": (
            f"Trained and tested on one data set of {len(task.train) + len(task.valid) + len(task.test):,} {'windows' if task.modality == 'text' else 'rows'}. Nothing is known "
            "of its behaviour on data from other sources, on inputs of none of the classes, under attack, or for groups of "
            "people or things that the data do not tell apart. Probabilities are not calibrated. Do not use it where an error "
            "harms someone without testing it there first."
        ),
        "intervals": (
            f"95%, over the sampling of test {sampled}. They do not include the variation "
            "of training again with another seed."
        ),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("archwright", "torch", "numpy", "onnxruntime"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
