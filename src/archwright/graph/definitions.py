"""Collects the source text of classes and functions with all that it needs, so that it stands alone in one file. No torch."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass, field
from functools import lru_cache

from archwright.errors import ExportError

_OWN = "archwright"


@dataclass
class Definitions:
    """Source texts of definitions, each after those it uses, and the imports they need.

    Attributes:
        texts: Name to source text.
        imports: Name bound to ``(module, name in it or None, name bound)``.
    """

    texts: dict[str, str] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    _origin: dict[str, str] = field(default_factory=dict)

    def add(self, thing: type | object) -> str:
        """Takes a class or function defined at the top level of a module; returns the name it has in the file.

        Raises:
            ExportError: Where its source cannot be read, or two different things have the same name.
        """
        module, name = getattr(thing, "__module__", ""), getattr(thing, "__qualname__", repr(thing))
        if "." in name or name not in _top_level(module):
            raise ExportError(
                f"Cannot read the source of {module}.{name}; expected a class or function at the top level of a module's file. "
                "Move it there (not into a function or a notebook cell) and search again."
            )
        self._visit(module, name)
        return name

    def reserve(self, name: str) -> None:
        """Keeps a name for something else in the file."""
        self._origin[name] = ""

    def need(self, name: str, module: str, attribute: str | None = None) -> None:
        """Adds an import."""
        self.imports[name] = (module, attribute)

    def import_lines(self) -> list[str]:
        """The imports, standard library first."""
        plain: list[str] = []
        named: dict[str, list[str]] = {}
        for bound, (module, attribute) in self.imports.items():
            if attribute is None:
                plain.append(f"import {module}" if bound == module.split(".")[0] else f"import {module} as {bound}")
            else:
                named.setdefault(module, []).append(attribute if attribute == bound else f"{attribute} as {bound}")
        lines = sorted(plain) + [
            f"from {module} import {', '.join(sorted(parts))}" for module, parts in sorted(named.items())
        ]
        standard = [line for line in lines if line.split()[1].split(".")[0] in sys.stdlib_module_names]
        others = [line for line in lines if line not in standard]
        return [*standard, *([""] if standard and others else []), *others]

    def _visit(self, module: str, name: str) -> None:
        if self._origin.get(name, module) != module:
            raise ExportError(
                f"Two definitions are named {name!r}: one of {module}, one of {self._origin[name] or 'the file itself'}. Rename one."
            )
        if name in self._origin:
            return
        self._origin[name] = module
        text, tree = _top_level(module)[name]
        for used in sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - {name}):
            self._use(module, used)
        self.texts[name] = text

    def _use(self, module: str, name: str) -> None:
        if name in _top_level(module):
            self._visit(module, name)
            return
        source = _imported(module).get(name)
        if source is None or source[0] == "__future__":
            return
        origin, attribute = source
        if attribute is not None and origin.split(".")[0] in (_OWN, module.split(".")[0]):
            if attribute != name:
                raise ExportError(
                    f"{module} imports {attribute} as {name}, which cannot be copied. Import it under its own name."
                )
            if name in _top_level(origin):
                self._visit(origin, name)
            else:
                self._use(origin, name)
            return
        self.need(name, origin, attribute)


@lru_cache(maxsize=256)
def _source(module: str) -> tuple[str, ast.Module]:
    try:
        text = inspect.getsource(importlib.import_module(module))
    except (ImportError, OSError, TypeError, ValueError):
        return "", ast.parse("")
    return text, ast.parse(text)


@lru_cache(maxsize=256)
def _top_level(module: str) -> dict[str, tuple[str, ast.stmt]]:
    """Classes, functions and constants of a module: name to source text and tree."""
    text, tree = _source(module)
    lines = text.splitlines()
    found: dict[str, tuple[str, ast.stmt]] = {}
    for statement in tree.body:
        begin = statement.lineno
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            begin = min([begin, *(decorator.lineno for decorator in statement.decorator_list)])
            bound = [statement.name]
        elif isinstance(statement, ast.Assign):
            bound = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            bound = [statement.target.id]
        else:
            continue
        piece = "\n".join(lines[begin - 1 : statement.end_lineno])
        found.update(dict.fromkeys(bound, (piece, statement)))
    return found


@lru_cache(maxsize=256)
def _imported(module: str) -> dict[str, tuple[str, str | None]]:
    """What a module imports: name bound to ``(module, name in it or None)``."""
    package = getattr(importlib.import_module(module), "__package__", None) or ""
    found: dict[str, tuple[str, str | None]] = {}
    for statement in ast.walk(_source(module)[1]):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                found[alias.asname or alias.name.split(".")[0]] = (alias.name, None)
        elif isinstance(statement, ast.ImportFrom):
            origin = (
                importlib.util.resolve_name("." * statement.level + (statement.module or ""), package)
                if statement.level
                else statement.module
            )
            for alias in statement.names:
                found[alias.asname or alias.name] = (origin or "", alias.name)
    return found
