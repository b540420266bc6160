"""Path pickers by name, with their options: ``uniform``, ``gdas(hot=5)``."""

from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from archwright.errors import SupernetError, closest
from archwright.evaluators.one_shot.picker import Picker
from archwright.written import named

GROUP = "archwright.pickers"
"""The entry points by which packages bring pickers."""
_HERE = "archwright.evaluators.one_shot.pickers"
_BUILT_IN = {
    "controller": "controller:Controller",
    "darts": "darts:Darts",
    "darts-pt": "darts_pt:DartsPt",
    "drnas": "drnas:Drnas",
    "dropout": "dropout:Dropout",
    "fair": "fair:Fair",
    "gdas": "gdas:Gdas",
    "pc-darts": "pc_darts:PcDarts",
    "proxyless": "proxyless:Proxyless",
    "sandwich": "sandwich:Sandwich",
    "smash": "smash:Smash",
    "snas": "snas:Snas",
    "uniform": "uniform:Uniform",
}


def get_picker(text: str, **more: Any) -> Picker:
    """The picker of a name, with the options that stand in brackets after it.

    Args:
        text: For example ``"darts"`` or ``"darts(order=2)"``.
        **more: Further options.

    Raises:
        SupernetError: Where the name, an option or a value is not known.

    >>> get_picker("gdas(hot=5.0)").hot
    5.0
    """
    name, options = parse(text)
    kind = _load(name)
    known = {field.name: field.default for field in dataclasses.fields(kind)}
    for option, value in (options | more).items():
        if option not in known:
            listed = ", ".join(f"{key}={default!r}" for key, default in known.items()) or "none"
            raise SupernetError(
                f"The picker {name!r} has no option {option!r}. Its options and their defaults: {listed}."
            )
        default = known[option]
        number = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
        if type(value) is not type(default) and not number:
            raise SupernetError(
                f"Got {option}={value!r} for the picker {name!r}; expected {type(default).__name__}, default {default!r}."
            )
    return kind(**(options | more))


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Name and options.

    Raises:
        SupernetError: Where it is written in another way.
    """
    try:
        return named(text)
    except ValueError:
        raise SupernetError(
            f"Got the picker {text!r}; expected a name, or a name with options such as 'gdas(hot=5.0)'."
        ) from None


def list_pickers() -> dict[str, str]:
    """Name of every picker, with one line on what it is and where it comes from, or on why it cannot be loaded."""
    found = {}
    for name in sorted({*_BUILT_IN, *entry_points(group=GROUP).names}):
        try:
            found[name] = (_load(name).__doc__ or "").strip().split("\n")[0]
        except SupernetError as error:
            found[name] = str(error)
    return found


def _load(name: str) -> type[Picker]:
    if name in _BUILT_IN:
        return cast("type[Picker]", EntryPoint(name, f"{_HERE}.{_BUILT_IN[name]}", GROUP).load())
    plugins = entry_points(group=GROUP)
    if name not in plugins.names:
        raise SupernetError(f"Got the picker {name!r}. {closest(name, {*_BUILT_IN, *plugins.names})}")
    try:
        return cast("type[Picker]", plugins[name].load())
    except (ImportError, AttributeError) as error:
        raise SupernetError(
            f"The picker {name!r} of the entry point {plugins[name].value!r} cannot be loaded: {error}."
        ) from error
