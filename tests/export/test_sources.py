from __future__ import annotations

import ast

import pytest

from archwright.export.sources import combine, predict_source


def test_imports_are_merged_and_archwright_is_left_out() -> None:
    one = '"""One."""\nfrom __future__ import annotations\nimport torch\nfrom pathlib import Path\n\nA = Path()\n'
    two = "import json\nimport numpy as np\nfrom pathlib import PurePath, Path\nfrom archwright.x import (\n    B,\n)\nC = B, np\n"
    text = combine('"""Both."""', one, two)
    tree = ast.parse(text)
    assert ast.get_docstring(tree) == "Both."
    assert "One." not in text
    assert "archwright" not in text
    imports = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports == [
        "from __future__ import annotations",
        "import json",
        "from pathlib import Path, PurePath",
        "import numpy as np",
        "import torch",
    ]
    assert text.index("A = Path()") < text.index("C = B, np")


def test_predict_needs_only_what_it_says() -> None:
    tree = ast.parse(predict_source())
    allowed = {"torch", "numpy", "PIL"}
    import sys

    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            top = name.partition(".")[0]
            assert top in sys.stdlib_module_names or top in allowed, name


@pytest.mark.parametrize(
    ("first", "gap"),
    [("class A:\n    x = 1", 2), ("@f\ndef a(): ...", 2), ("# About a.\ndef a(): ...", 2), ("A = 1", 1)],
)
def test_a_definition_follows_the_imports_after_two_empty_lines(first: str, gap: int) -> None:
    text = combine('"""It."""', f"import torch\n\n\n{first}\n", "import os\n\nB = 2\n")
    assert f"import torch\n{chr(10) * gap}{first}" in text
