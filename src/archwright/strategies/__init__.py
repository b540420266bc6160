"""Search strategies: pure, with immutable states, without torch. One file each; heavy libraries are imported when used.

A package brings its own by an entry point of the group ``archwright.strategies`` that names a class: a frozen dataclass
whose fields are its options and whose docstring's first line says what it is and where it comes from. It may draw with
``sample_feasible`` and ``mutate_feasible``, and say in ``why`` what an ``edit`` changed.
"""

from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from archwright.errors import StrategyError, closest
from archwright.problem import Strategy
from archwright.strategies.auto import Auto
from archwright.strategies.common import edit, mutate_feasible, sample_feasible
from archwright.strategies.evolution import Evolution
from archwright.strategies.halving import Halving
from archwright.strategies.random import Random

__all__ = [
    "Auto",
    "Evolution",
    "Halving",
    "Random",
    "edit",
    "get_strategy",
    "list_strategies",
    "mutate_feasible",
    "sample_feasible",
]

GROUP = "archwright.strategies"
_BUILT_IN = {
    "auto": "archwright.strategies.auto:Auto",
    "bayes": "archwright.strategies.bayes:Bayes",
    "bohb": "archwright.strategies.bohb:Bohb",
    "darts": "archwright.strategies.derived:Darts",
    "darts-pt": "archwright.strategies.derived:DartsPt",
    "drnas": "archwright.strategies.derived:Drnas",
    "early-stop": "archwright.strategies.early_stop:EarlyStop",
    "edits": "archwright.strategies.edits:Edits",
    "enas": "archwright.strategies.derived:Enas",
    "evolution": "archwright.strategies.evolution:Evolution",
    "gdas": "archwright.strategies.derived:Gdas",
    "genetic": "archwright.strategies.genetic:Genetic",
    "grid": "archwright.strategies.grid:Grid",
    "halving": "archwright.strategies.halving:Halving",
    "hyperband": "archwright.strategies.hyperband:Hyperband",
    "local": "archwright.strategies.local:Local",
    "nsga2": "archwright.strategies.nsga2:NSGA2",
    "optuna": "archwright.strategies.optuna_sampler:OptunaSampler",
    "pc-darts": "archwright.strategies.derived:PcDarts",
    "ppo": "archwright.strategies.ppo:PPO",
    "predictor": "archwright.strategies.predictor:Predictor",
    "progressive": "archwright.strategies.progressive:Progressive",
    "proxyless": "archwright.strategies.derived:Proxyless",
    "q-learning": "archwright.strategies.q_learning:QLearning",
    "random": "archwright.strategies.random:Random",
    "reference": "archwright.strategies.reference:Reference",
    "reinforce": "archwright.strategies.reinforce:Reinforce",
    "snas": "archwright.strategies.derived:Snas",
    "tournament": "archwright.strategies.tournament:Tournament",
}


def get_strategy(name: str, **options: Any) -> Strategy:
    """The strategy of that name with these options.

    ``"name:value"`` sets its first option: ``"optuna:TPESampler"``. An option that takes a strategy, such as the proposer of ``halving``, also
    takes its name.

    Raises:
        StrategyError: Where the name or an option is unknown, or an option's value is not allowed.

    >>> get_strategy("evolution", population=10, sample=3)
    Evolution(population=10, sample=3, replacement=True)
    """
    if not isinstance(name, str):
        raise StrategyError(
            f"Got {name!r:.80} as a strategy; expected a name, see `archwright strategies`. One of your own gets its name from an entry point of the group {GROUP!r}."
        )
    name, _, first = name.partition(":")
    kind = _load(name)
    defaults = _options(kind)
    if first:
        options = {next(iter(defaults), name): first} | options
    if unknown := sorted(set(options) - set(defaults)):
        listed = ", ".join(f"{option}={default!r}" for option, default in defaults.items()) or "none"
        raise StrategyError(
            f"The strategy {name!r} has no option {unknown[0]!r}. Its options and their defaults: {listed}."
        )
    for option, value in options.items():
        default = defaults[option]
        if isinstance(value, str) and callable(getattr(default, "ask", None)):
            options[option] = get_strategy(value)
        elif isinstance(default, bool | int | float | str) and not _fits(value, default):
            expected = type(default).__name__
            raise StrategyError(
                f"Got {option}={value!r} for the strategy {name!r}; expected {expected}, default {default!r}."
            )
    return cast(Strategy, kind(**options))


def list_strategies() -> dict[str, str]:
    """Name of every strategy, with one line on what it is and where it comes from, or on why it cannot be loaded."""
    return {name: _line(name) for name in sorted({*_BUILT_IN, *entry_points(group=GROUP).names})}


def _line(name: str) -> str:
    try:
        return (_load(name).__doc__ or "").strip().split("\n")[0]
    except StrategyError as error:
        return str(error)


def _load(name: str) -> type[Any]:
    """The class of a strategy, built in or from an entry point."""
    if name in _BUILT_IN:
        return cast("type[Any]", EntryPoint(name, _BUILT_IN[name], GROUP).load())
    plugins = entry_points(group=GROUP)
    if name not in plugins.names:
        raise StrategyError(f"Got the strategy {name!r}. {closest(name, {*_BUILT_IN, *plugins.names})}")
    plugin = plugins[name]
    try:
        return cast("type[Any]", plugin.load())
    except (ImportError, AttributeError) as error:
        raise StrategyError(
            f"The strategy {name!r} of the entry point {plugin.value!r} cannot be loaded: {error}."
        ) from error


def _options(kind: type[Any]) -> dict[str, Any]:
    """The options of a strategy and their defaults."""
    found = {}
    for field in dataclasses.fields(kind):
        found[field.name] = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return found


def _fits(value: object, default: bool | int | float | str) -> bool:
    """Whether a value has the type of a default; an integer will do for a float, but a truth value not for a number."""
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    return isinstance(value, type(default)) or (isinstance(default, float) and isinstance(value, int))
