"""Fingerprints and costs of all architectures of a space, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import archwright
from archwright.bench.places import cache_folder
from archwright.bench.table import Choices, Row
from archwright.problem import Architecture, Cost, Signature
from archwright.space import Space


def networks(space: Space, architectures: Sequence[Choices], signature: Signature) -> list[Row]:
    """Fingerprint and cost of each architecture, from its graph.

    Building 15,625 cells takes some seconds; the result is kept in the cache folder under a name that depends on the space, the signature and the
    code that builds graphs.
    """
    key = hashlib.sha256(repr((space.to_json(), signature, len(architectures), _code())).encode()).hexdigest()[:16]
    file = cache_folder() / f"{space.name}-{key}.npz"
    try:
        with np.load(file) as stored:
            return _rows(stored["fingerprints"], stored["costs"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        graphs = (space.graph(Architecture(choices), signature) for choices in architectures)
        found = [(graph.fingerprint, graph.cost) for graph in graphs]
    fingerprints = np.array([fingerprint for fingerprint, _ in found])
    costs = np.array([(cost.params, cost.flops, cost.activation_bytes) for _, cost in found], dtype=np.int64)
    _keep(file, fingerprints, costs)
    return _rows(fingerprints, costs)


def _rows(fingerprints: np.ndarray, costs: np.ndarray) -> list[Row]:
    return [Row(name, Cost(*cost)) for name, cost in zip(fingerprints.tolist(), costs.tolist(), strict=True)]


def _keep(file: Path, fingerprints: np.ndarray, costs: np.ndarray) -> None:
    """Writes the file whole or not at all; a folder that cannot be written costs time at the next start, and nothing else."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".npz")
        with os.fdopen(handle, "wb") as stream:
            np.savez_compressed(stream, fingerprints=fingerprints, costs=costs)
        os.replace(temporary, file)
    except OSError:
        return


def _code() -> str:
    """Digest of the modules that turn an architecture into a graph."""
    root = Path(archwright.__file__).parent
    files = sorted([*root.glob("graph/**/*.py"), *root.glob("space/**/*.py")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
