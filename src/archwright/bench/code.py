"""Digests of a strategy's code, so that results of an older one are not taken for its own."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import archwright
from archwright.problem import Strategy

_FACES: Final = ("bench", "cli", "export", "ledger", "report", "sklearn.py", "testing")
"""Parts of archwright that do not change the answer of a search."""


def code_of(strategy: Strategy) -> str:
    """Digest of the modules that a strategy and those it is made of come from, with the modules of archwright's strategies that they import."""
    wanted, known = _modules(strategy), set[str]()
    while wanted:
        name = wanted.pop()
        if name not in known:
            known.add(name)
            wanted |= _imported(name)
    return hashlib.sha256(b"\0".join(_source(name) for name in sorted(known))).hexdigest()[:16]


@lru_cache(maxsize=1)
def code_of_search() -> str:
    """Digest of all of archwright that a search's answer depends on, docstrings and layout left out."""
    root = Path(archwright.__file__).parent
    files = sorted(path for path in root.rglob("*.py") if path.relative_to(root).parts[0] not in _FACES)
    return code_of_files(*files)


def code_of_files(*paths: Path) -> str:
    """Digest of Python files, docstrings, comments and layout left out."""
    return hashlib.sha256("\0".join(ast.dump(_bare(path)) for path in paths).encode()).hexdigest()[:16]


def _bare(path: Path) -> ast.Module:
    """The syntax tree of a file without statements that are texts."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            if isinstance(statements := getattr(node, name, None), list):
                setattr(node, name, [one for one in statements if not _is_text(one)])
    return tree


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _modules(strategy: Any) -> set[str]:
    found = {type(strategy).__module__}
    for field in dataclasses.fields(strategy) if dataclasses.is_dataclass(strategy) else ():
        value = getattr(strategy, field.name)
        if callable(getattr(value, "ask", None)):
            found |= _modules(value)
    return found


@lru_cache(maxsize=256)
def _imported(name: str) -> frozenset[str]:
    """The strategies' modules that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(_source(name) or b"")):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("archwright.strategies."):
            found.add(str(node.module))
    return frozenset(found)


@lru_cache(maxsize=256)
def _source(name: str) -> bytes:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).read_bytes() if spec is not None and spec.origin is not None else b""
