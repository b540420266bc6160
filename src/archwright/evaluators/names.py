"""Evaluators by name: ``train``, ``inherit``, ``zero-cost:synflow``.

A package brings its own by an entry point of the group ``archwright.evaluators`` that names a class: a frozen dataclass whose docstring's first line says
what it is and where it comes from. It is made with ``data``, the folder of the prepared data, and ``artifacts``, that of the run's weights, where it has such
fields; what stands after the colon of its name is its first other field without a default.

Class attributes tell the search about it: ``trains`` is false where its trials train nothing (default: true), so that they have no
fidelities and the finalists are trained in the end from the start; ``inherits`` is true where it wants ``why["inherit"]`` (default: false). ``metrics``,
of an instance, names what it measures besides the costs, the first being the default objective; without it, these are the metrics of the task and the ``loss``.
An evaluator must also carry out final trainings (``why["by"]`` is ``"final"``), which leave a ``checkpoint``; it may pass them on to
:class:`~archwright.evaluators.Train`.
"""

from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from archwright.errors import EvaluationError, closest
from archwright.problem import Evaluator

GROUP = "archwright.evaluators"
_BUILT_IN = {
    "inherit": "archwright.evaluators.inherit:Inherit",
    "supernet": "archwright.evaluators.one_shot.evaluator:OneShot",
    "train": "archwright.evaluators.train:Train",
    "zero-cost": "archwright.evaluators.zero_cost:ZeroCost",
}


def get_evaluator(name: str, *, data: str = "", artifacts: str = "") -> Evaluator:
    """The evaluator of that name.

    ``"name:value"`` sets the option it must be given: ``"zero-cost:synflow"``.

    Args:
        name: As listed by :func:`list_evaluators`.
        data: Folder written by :meth:`archwright.tasks.Task.store`.
        artifacts: Folder of the run's weights.

    Raises:
        EvaluationError: Where the name is unknown, or its option is missing or not allowed.

    >>> get_evaluator("zero-cost:synflow").metrics
    ('synflow',)
    """
    name, colon, value = name.partition(":")
    kind = _load(name)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    given = {key: folder for key, folder in (("data", data), ("artifacts", artifacts)) if key in fields}
    missing = dataclasses.MISSING
    needed = [
        key for key, field in fields.items() if key not in given and field.default is field.default_factory is missing
    ]
    if bool(needed) != bool(colon):
        expected = (
            f"'{name}:{needed[0].upper()}', see `archwright evaluators`"
            if needed
            else f"'{name}', which takes no option"
        )
        raise EvaluationError(f"Got the evaluator '{name}{colon}{value}'; expected {expected}.")
    return cast(Evaluator, kind(**given, **dict.fromkeys(needed[:1], value)))


def list_evaluators() -> dict[str, str]:
    """Every evaluator as it is written, with one line on what it is and where it comes from, or on why it cannot be loaded."""
    from archwright.evaluators.one_shot.names import list_pickers
    from archwright.evaluators.zero_cost import list_scores

    lines = {}
    for name in sorted({*_BUILT_IN, *entry_points(group=GROUP).names} - {"supernet", "zero-cost"}):
        try:
            lines[name] = (_load(name).__doc__ or "").strip().split("\n")[0]
        except EvaluationError as error:
            lines[name] = str(error)
    lines |= {f"supernet:{name}": line for name, line in list_pickers().items()}
    return lines | {f"zero-cost:{name}": line for name, line in list_scores().items()}


def _load(name: str) -> type[Any]:
    """The class of an evaluator, built in or from an entry point."""
    if name in _BUILT_IN:
        return cast("type[Any]", EntryPoint(name, _BUILT_IN[name], GROUP).load())
    plugins = entry_points(group=GROUP)
    if name not in plugins.names:
        raise EvaluationError(f"Got the evaluator {name!r}. {closest(name, {*_BUILT_IN, *plugins.names})}")
    plugin = plugins[name]
    try:
        return cast("type[Any]", plugin.load())
    except (ImportError, AttributeError) as error:
        raise EvaluationError(
            f"The evaluator {name!r} of the entry point {plugin.value!r} cannot be loaded: {error}."
        ) from error
