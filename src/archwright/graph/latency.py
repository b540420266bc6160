"""Latency from a table: the sum of what the operations of a network take on a device (Cai et al. 2019, arXiv 1812.00332). No torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archwright.errors import GraphError
from archwright.graph.graph import Graph
from archwright.graph.shapes import Call


def entry(call: Call) -> str:
    """What an operation is called in a table: name, attributes and input shapes. Relaxed attributes, which change no work to speak of, are left out.

    >>> from archwright.graph.shapes import call
    >>> entry(call("linear", (("width", 10),), ((64,),)))
    'linear(bias=True, width=10) 64'
    """
    shapes = " + ".join("x".join(map(str, shape)) for shape in call.inputs)
    spec = call.spec
    shown = [f"{key}={value!r}" for key, value in call.attrs if key not in spec.relaxed]
    return f"{spec.name}({', '.join(shown)}) {shapes}"


def latency(graph: Graph, table: Mapping[str, float]) -> float:
    """Milliseconds of a network, one operation after the other.

    Raises:
        GraphError: Where the table misses an operation; names it and its place.
    """
    total = 0.0
    for _, node in graph.operations():
        key = entry(node.call)
        found = table.get(key)
        if found is None:
            raise GraphError(
                f"At {node.scope!r}: the latency table has no entry for {key}. "
                "Measure a table of this space and signature: archwright latency DATA --space NAME --out table.json"
            )
        total += found
    return total


def read_table(path: str | os.PathLike[str]) -> dict[str, float]:
    """Reads the entries of a table as ``archwright latency`` writes it: JSON with ``entries``, from operation to milliseconds.

    Raises:
        GraphError: Where the file is no such table.
    """
    try:
        record: Any = json.loads(Path(path).read_text())
        entries = {str(key): float(value) for key, value in record["entries"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GraphError(
            f"Cannot read the latency table {os.fspath(path)!r}: {error}. Expected JSON such as "
            '{"device": "...", "entries": {"linear(bias=True, width=10) 64": 0.02}}, as `archwright latency` writes it.'
        ) from error
    wrong = next((key for key, value in entries.items() if not value >= 0), None)
    if wrong is not None or not entries:
        raise GraphError(
            f"The latency table {os.fspath(path)!r} {'has no entries' if wrong is None else f'says {entries[wrong]} for {wrong!r}'}; expected milliseconds."
        )
    return entries
