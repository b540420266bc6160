"""The Python files of an export, put together from source text: nothing in them imports archwright."""

from __future__ import annotations

import ast
import inspect
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archwright.graph import Graph

_LOAD = '''
def load(path: str | Path = Path(__file__).resolve().parent / "model.safetensors") -> Network:
    """The trained network, in evaluation mode: ``network(x)`` takes what the comments in ``Network`` say."""
    network = Network()
    network.load_state_dict(read_safetensors(path))
    return network.eval()
'''


def model_source(graph: Graph) -> str:
    """The text of ``model.py``: the network as plain PyTorch, and ``load(path)``."""
    from archwright.export import reading
    from archwright.graph.source import source

    note = '"""A trained network as plain PyTorch: ``load()`` builds it with its weights. Needs torch alone."""'
    return combine(note, source(graph), inspect.getsource(reading), _LOAD)


def predict_source() -> str:
    """The text of ``predict.py``: preprocessing, network and answers in one file."""
    from archwright.export import predict
    from archwright.tasks import preprocess

    note = (
        '"""Predicts with the network of this folder: ``python predict.py FILE ...``, or ``predict(raw)`` from Python.\n\n'
        'Needs torch and numpy, and Pillow for images.\n"""'
    )
    return combine(note, inspect.getsource(preprocess), inspect.getsource(predict))


def combine(docstring: str, *sources: str) -> str:
    """One module out of several: their imports merged at the top, their docstrings dropped, archwright's imports left out.

    >>> print(combine('"It."', "import os\\nx = os", "import os\\nfrom archwright import y\\nz = x"))
    "It."
    <BLANKLINE>
    from __future__ import annotations
    <BLANKLINE>
    import os
    <BLANKLINE>
    x = os
    <BLANKLINE>
    <BLANKLINE>
    z = x
    <BLANKLINE>
    """
    plain: dict[str, None] = {}
    named: dict[str, dict[str, None]] = {}
    bodies = []
    for source in sources:
        lines = source.splitlines()
        for number, node in enumerate(ast.parse(source).body):
            documents = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, ast.Import):
                plain |= dict.fromkeys(_alias(name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if module != "__future__" and module.partition(".")[0] != "archwright":
                    named.setdefault(module, {}).update(dict.fromkeys(_alias(name) for name in node.names))
            elif not documents:
                continue
            for line in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[line] = ""
        bodies.append("\n".join(lines).strip("\n"))
    imports = [("", name, f"import {name}") for name in sorted(plain)]
    imports += [
        ("from", module, f"from {module} import {', '.join(sorted(names))}") for module, names in sorted(named.items())
    ]
    groups = [
        [text for _, name, text in imports if (name.partition(".")[0] in sys.stdlib_module_names) is standard]
        for standard in (True, False)
    ]
    blocks = [docstring, "from __future__ import annotations", *("\n".join(group) for group in groups if group)]
    text = "\n\n\n".join(_squeeze(body) for body in bodies)
    first = next(iter(ast.parse(text).body), None)
    gap = "\n\n\n" if isinstance(first, ast.ClassDef | ast.FunctionDef) else "\n\n"
    return "\n\n".join(blocks) + gap + text + "\n"


def _alias(name: ast.alias) -> str:
    return f"{name.name} as {name.asname}" if name.asname else name.name


def _squeeze(text: str) -> str:
    """At most two blank lines in a row."""
    while "\n\n\n\n" in text:
        text = text.replace("\n\n\n\n", "\n\n\n")
    return text.strip("\n")
