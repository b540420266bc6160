"""Names with options as people write them: ``evolution(population=10)``."""

from __future__ import annotations

import ast
import re
from typing import Any

_WORDS = {"true": True, "false": False}


def named(text: str) -> tuple[str, dict[str, Any]]:
    """A name and the options in brackets after it.

    Raises:
        ValueError: Where it is written in another way.

    >>> named("evolution( sample=3, replacement=false )")
    ('evolution', {'sample': 3, 'replacement': False})
    >>> named("halving(proposer=random)")
    ('halving', {'proposer': 'random'})
    """
    match = re.fullmatch(r"\s*([\w.:-]+)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
    if match is None:
        raise ValueError(text)
    try:
        call = ast.parse(f"_({match.group(2) or ''})", mode="eval").body
    except SyntaxError as error:
        raise ValueError(text) from error
    if not isinstance(call, ast.Call) or call.args or any(word.arg is None for word in call.keywords):
        raise ValueError(text)
    return match.group(1), {str(word.arg): _value(word.value) for word in call.keywords}


def value(text: str) -> Any:
    """The value of an option: a number, a truth value, a list and the like as in Python, all else as text.

    >>> [value(text) for text in ("3", "1e-3", "true", "False", "two-point", "optuna:TPESampler")]
    [3, 0.001, True, False, 'two-point', 'optuna:TPESampler']
    """
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, SyntaxError):
        return text.strip()


def _value(node: ast.expr) -> Any:
    return _WORDS.get(node.id, node.id) if isinstance(node, ast.Name) else ast.literal_eval(node)
