"""The error tree: every error archwright raises on purpose, and what each one means.

Each message says what was got, what was expected and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ArchwrightError(Exception):
    """Base of all errors that archwright raises on purpose."""


class SpaceError(ArchwrightError):
    """An expression of a space is invalid; the message names the place in it."""


class ArchitectureError(ArchwrightError):
    """An architecture does not belong to the space it is used with."""


class GraphError(ArchwrightError):
    """A graph cannot be built: unknown operation, bad attribute or impossible shape."""


class DataError(ArchwrightError):
    """A data set cannot be used: unreadable, empty, one class, NaN targets, ragged, ..."""


class BudgetError(ArchwrightError):
    """A budget, objective, constraint or other setting of a problem cannot be understood or kept."""


class LedgerError(ArchwrightError):
    """The store of runs cannot be read or written: corrupt, read-only, full, locked, or newer than this version."""


class EvaluationError(ArchwrightError):
    """A candidate could not be evaluated. The search records it as a failed trial and goes on."""


class SupernetError(ArchwrightError):
    """A supernet cannot be made, searched or trained as asked."""


class StrategyError(ArchwrightError):
    """A strategy is unknown, badly configured or does not fit the problem."""


class ExportError(ArchwrightError):
    """A network could not be exported, or its export did not agree with the original."""


class MissingExtraError(ArchwrightError):
    """An optional dependency is not installed.

    Args:
        what: What was being attempted, for example ``"ONNX export"``.
        extra: The extra of archwright that brings it, for example ``"onnx"``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the optional dependencies of '{extra}'. Install them with: pip install 'archwright[{extra}]'"
        )


def closest(got: str, known: Iterable[str]) -> str:
    """A sentence that lists the known names and suggests the closest one.

    >>> closest("evolutoin", ["random", "evolution"])
    "Did you mean 'evolution'? Known: evolution, random."
    """
    names = sorted(known)
    match = difflib.get_close_matches(got, names, n=1)
    hint = f"Did you mean '{match[0]}'? " if match else ""
    return f"{hint}Known: {', '.join(names)}."
