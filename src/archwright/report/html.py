"""Writes the report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from archwright.errors import ArchwrightError
from archwright.report.page import Header, page

if TYPE_CHECKING:
    from archwright.export import Checks
    from archwright.problem import Problem, Trial
    from archwright.problem.final import FinalRecord


def report(
    path: str | os.PathLike[str],
    *,
    header: Header | Mapping[str, Any],
    trials: Sequence[Trial],
    problem: Problem,
    final: FinalRecord | None = None,
    name: str = "",
    ended: str | None = None,
    checks: Checks | None = None,
    seconds: float | None = None,
) -> Path:
    """Writes one self-contained HTML file about a run, finished or not.

    Args:
        path: The file; an earlier one is replaced, whole or not at all.
        header: The run's header, or a mapping with the fields of :class:`Header` (others are ignored).
        trials: The folded trials.
        problem: What was searched.
        final: The test result, where there is one.
        name: Name of the run.
        ended: Why the search ended; ``None`` while it has not.
        checks: What the verification of the export found.
        seconds: Wall time of the run, all sessions together.

    Returns:
        The file.

    Raises:
        ArchwrightError: Where the file cannot be written.
    """
    known = header if isinstance(header, Header) else msgspec.convert(dict(header), Header)
    text = render(page(known, trials, problem, final, name, ended, checks, seconds))
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        os.replace(temporary, target)
    except OSError as error:
        raise ArchwrightError(
            f"Could not write the report {target}: {error.strerror or error}. Choose another place."
        ) from error
    return target


def render(variables: Mapping[str, Any]) -> str:
    """The page as HTML. Everything but the drawings is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("archwright.report"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(page=variables)
