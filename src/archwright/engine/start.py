"""Architectures that a user gives to start with: files, trials of other runs, references, choices."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from archwright.engine.result import Result
from archwright.engine.store import Store
from archwright.errors import ArchitectureError, ArchwrightError, LedgerError, closest
from archwright.problem import Architecture, Problem
from archwright.space import Space
from archwright.strategies.opening import START, Start

_TRIAL = re.compile(r"(?P<run>.+):(?P<trial>\d+)")
_FORMS = "a mapping from address to option, a list of [address, option], or the card.json of an export"


def read_starts(given: Any, problem: Problem, store: Store) -> tuple[Start, ...]:
    """The architectures to try first, each function once, in the order given.

    Args:
        given: One or a list of: the name of a reference of the space, ``"RUN:17"`` for a trial of the store, the path
            of a JSON file, an architecture, a mapping from address to option (its index or label).
        problem: Space, signature and constraints.
        store: Where runs are.

    Raises:
        ArchitectureError: If one cannot be read, is not of the space, cannot be built or breaks a constraint.
    """
    alone = isinstance(given, str | os.PathLike | Architecture | Mapping)
    found: dict[str, Start] = {}
    for item in [given] if alone else given:
        architecture, name = _read(item, problem.space, store)
        found.setdefault(_checked(architecture, name, problem), Start(architecture, {"by": START, START: name}))
    return tuple(found.values())


def _read(item: Any, space: Any, store: Store) -> tuple[Architecture, str]:
    """An architecture and its name for people."""
    if isinstance(item, Architecture):
        return _of_space(item.choices, space, f"architecture {item.id}"), f"architecture {item.id}"
    if isinstance(item, Mapping):
        made = _of_space(item, space, "mapping")
        return made, f"architecture {made.id}"
    if not isinstance(item, str | os.PathLike):
        raise ArchitectureError(
            f"Got the start {item!r}; expected the name of a reference, 'RUN:17', the path of a JSON file, an "
            "architecture or a mapping from address to option."
        )
    name = os.fspath(item)
    references: Mapping[str, Architecture] = getattr(space, "references", {})
    if name in references:
        return references[name], name
    path, trial = Path(name), _TRIAL.fullmatch(name)
    if path.is_file():
        return _of_space(_choices(path), space, name), name
    if trial is not None and not path.exists():
        return _of_space(_of_run(trial["run"], int(trial["trial"]), store), space, name), name
    raise ArchitectureError(
        f"Got the start {name!r}, which is no file, no reference of the space {space.name!r} and no trial of a run, "
        f"such as 'digits-1:17'. {closest(name, references) if references else 'The space has no references.'}"
    )


def _choices(path: Path) -> Any:
    """The choices that a JSON file says."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArchitectureError(f"The start {path} cannot be read as JSON: {error}. Expected {_FORMS}.") from error
    if isinstance(found, dict) and isinstance(found.get("architecture"), dict):
        found = found["architecture"]
    if isinstance(found, dict) and isinstance(found.get("choices"), dict | list):
        found = found["choices"]
    return found


def _of_run(run: str, trial: int, store: Store) -> Mapping[str, str]:
    """The choices of a trial of a stored run, in words."""
    try:
        result = Result(store, run)
    except LedgerError as error:
        raise ArchitectureError(f"The start '{run}:{trial}' is no file, and no trial of a run. {error}") from error
    if trial >= len(result.trials):
        raise ArchitectureError(
            f"The start '{run}:{trial}' does not exist: the run has {len(result.trials)} trials, numbered from 0. "
            f"`archwright show {run}` lists the best."
        )
    return dict(result.problem.space.describe(result.trials[trial].proposal.architecture))


def _of_space(choices: Any, space: Any, name: str) -> Architecture:
    """The architecture of these choices, which must be of the space."""
    if isinstance(choices, Sequence) and not isinstance(choices, str):
        if not all(isinstance(pair, Sequence) and len(pair) == 2 and isinstance(pair[0], str) for pair in choices):
            raise ArchitectureError(f"The start {name} holds {str(choices)[:80]}; expected {_FORMS}.")
        choices = dict(choices)
    if not isinstance(choices, Mapping) or not all(isinstance(option, int | str) for option in choices.values()):
        raise ArchitectureError(f"The start {name} holds {str(choices)[:80]}; expected {_FORMS}.")
    try:
        if not isinstance(space, Space):
            made = msgspec.convert({"choices": tuple(choices.items())}, Architecture)
            space.validate(made)
            return made
        known = [info.address for info in space.choices()]
        unknown = [address for address in choices if address not in known]
        if unknown:
            raise ArchitectureError(_unknown(unknown, len(choices), known, space))
        return space.architecture(choices)
    except (ArchitectureError, msgspec.ValidationError) as error:
        raise ArchitectureError(f"The start {name} is not of the space {space.name!r}. {error}") from error


def _unknown(unknown: Sequence[str], count: int, known: Iterable[str], space: Space) -> str:
    listed = ", ".join(unknown[:5]) + f" and {len(unknown) - 5} more" * (len(unknown) > 5)
    hint = closest(unknown[0], known)
    if len(unknown) == count:
        hint = "Search the space that it is from."
        if space.references:
            hint = f"{hint[:-1]}, or give a reference of {space.name!r}: {', '.join(space.references)}."
    return f"{len(unknown)} of its {count} choices are unknown: {listed}. {hint}"


def _checked(architecture: Architecture, name: str, problem: Problem) -> str:
    """The fingerprint of a start that can be built and keeps the constraints."""
    try:
        fingerprint = problem.graph(architecture).fingerprint
        costs = problem.costs(architecture)
    except ArchwrightError as error:
        raise ArchitectureError(f"The start {name} cannot be used for these data: {error}") from error
    for constraint in problem.constraints:
        if constraint.metric in costs and not constraint.holds(costs[constraint.metric]):
            raise ArchitectureError(
                f"The start {name} has {constraint.metric} {costs[constraint.metric]:,.6g}; the constraint is "
                f"{constraint.metric}{constraint.relation}{constraint.bound:,.6g}. Relax it, or leave this start out."
            )
    return fingerprint
