"""The literature's spaces, one file each. Third parties add theirs by the entry point group ``archwright.spaces``.

An entry point names a function that returns a :class:`~archwright.space.Space`; its keyword arguments are the
options, the first line of its docstring the description.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from archwright.errors import SpaceError, closest
from archwright.space.space import Space

_GROUP = "archwright.spaces"
_OURS = {
    "mlp": "mlp",
    "cnn": "cnn",
    "layers": "layers",
    "nas-bench-201": "nas_bench_201",
    "nasnet": "nasnet",
    "darts": "darts",
    "enas-macro": "enas_macro",
    "enas-micro": "enas_micro",
    "memory-bank": "memory_bank",
    "mobilenet": "mobilenet",
    "vit": "vit",
    "rnn-cell": "rnn_cell",
}


def get_space(name: str, **options: Any) -> Space:
    """A space by name.

    Args:
        name: See :func:`list_spaces`.
        **options: Of that space, see its function in ``archwright.space.zoo``.

    Raises:
        SpaceError: Where the name or an option is unknown.

    >>> get_space("nas-bench-201").size
    15625
    """
    function = _function(name)
    known = inspect.signature(function).parameters
    for option in options:
        if option not in known:
            raise SpaceError(f"Space {name!r} has no option {option!r}. {closest(option, known)}")
    return function(**options)


def list_spaces() -> dict[str, str]:
    """Names and one-line descriptions of all spaces, those of other packages included."""
    names = [*_OURS, *sorted(_theirs())]
    return {name: (inspect.getdoc(_function(name)) or "").partition("\n")[0] for name in names}


def _theirs() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP) if point.name not in _OURS}


def _function(name: str) -> Callable[..., Space]:
    if name in _OURS:
        module = importlib.import_module(f"archwright.space.zoo.{_OURS[name]}")
        function: Callable[..., Space] = getattr(module, _OURS[name])
        return function
    theirs = _theirs()
    if name not in theirs:
        raise SpaceError(f"Got the unknown space {name!r}. {closest(name, [*_OURS, *theirs])}")
    try:
        loaded: Callable[..., Space] = theirs[name].load()
    except Exception as error:
        raise SpaceError(
            f"The space {name!r} of {theirs[name].value} cannot be loaded: {type(error).__name__}: {error}. "
            "Update or uninstall that package."
        ) from error
    return loaded
