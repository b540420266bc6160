from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archwright.errors import ExportError
from archwright.graph import Graph, GraphBuilder
from archwright.graph.module import build, seeded
from archwright.graph.source import source
from archwright.problem import Signature

COMMON = """
import math

import torch
from torch import nn

SCALE = 2.0


def halve(x):
    return x / SCALE


class Base(nn.Module):
    pass
"""

BLOCKS = '''
import math as m
from functools import partial

import torch.nn.functional as F
from torch import nn

from .common import Base, halve

LIMIT: float = 6.0
clip = partial(F.hardtanh, min_val=-LIMIT, max_val=LIMIT)


def unused():
    raise RuntimeError


class Clip(Base):
    """Scales and clips."""

    def __init__(self, channels, power=1, names=("a",)):
        super().__init__()
        self.weight = nn.Parameter(__import__("torch").full((channels, 1, 1), m.sqrt(power)))

    def forward(self, x):
        return clip(halve(x) * self.weight)
'''


def run(text: str, name: str = "Network") -> Any:
    scope: dict[str, Any] = {"__name__": "exported"}
    exec(compile(text, "model.py", "exec"), scope)
    return scope[name]


def same(graph: Graph, inputs: tuple[torch.Tensor, ...]) -> str:
    """Checks the parity of source and module and returns the source."""
    text = source(graph)
    assert "archwright" not in text
    module = build(graph, 5)
    with seeded(5):
        exported = run(text)()
    assert list(exported.state_dict()) == list(module.state_dict())
    assert all(torch.equal(value, module.state_dict()[key]) for key, value in exported.state_dict().items())
    exported = run(text)()
    exported.load_state_dict(module.state_dict(), strict=True)
    for mode in (True, False):
        torch.testing.assert_close(exported.train(mode)(*inputs), module.train(mode)(*inputs), rtol=1e-5, atol=1e-5)
    return text


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of the user's, with blocks that need other definitions of it."""
    folder = tmp_path / "users_nets"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "common.py").write_text(COMMON)
    (folder / "blocks.py").write_text(BLOCKS)
    (folder / "other.py").write_text(
        "from torch import nn\n\n\nclass Clip(nn.Module):\n    def forward(self, x):\n        return x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("users_nets.blocks")
    for name in [name for name in sys.modules if name.startswith("users_nets")]:
        del sys.modules[name]


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_the_source_is_the_module(draw_graph, batch, data: st.DataObject) -> None:
    graph = draw_graph(data)
    same(graph, batch(graph))


@pytest.mark.skipif(
    shutil.which("ruff") is None and not (Path(sys.executable).parent / "ruff").exists(), reason="ruff is not installed"
)
def test_the_source_is_formatted_and_free_of_lint(draw_graph, tmp_path: Path) -> None:
    paths: list[Path] = []

    @settings(deadline=None, max_examples=10, database=None)
    @given(data=st.data())
    def write(data: st.DataObject) -> None:
        text = source(draw_graph(data))
        paths.append(tmp_path / f"model{len(paths)}.py")
        paths[-1].write_text(text)

    write()
    ruff = shutil.which("ruff") or str(Path(sys.executable).parent / "ruff")
    options = ["--isolated", "--line-length", "120"]
    checked = subprocess.run(
        [ruff, "check", *options, "--select", "E,F,W,I,B", *map(str, paths)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    formatted = subprocess.run([ruff, "format", *options, "--diff", *map(str, paths)], capture_output=True, text=True)
    assert formatted.returncode == 0, formatted.stdout


def test_it_reads_as_written_by_hand() -> None:
    builder = GraphBuilder(Signature(((3, 8, 8), (5,)), (2, 4)))
    stem = builder.add("conv_bn_relu", [builder.input(0)], width=4, scope="stem")
    skip = builder.merge([stem, builder.add("mbconv", [stem], width=4, scope="stage1.block0")], "add", "stage1.block0")
    pooled = builder.add(
        "global_avg_pool", [builder.add("max_pool", [skip], kernel=2, stride=2, scope="stage1.pool")], scope="head"
    )
    both = builder.merge([pooled, builder.input(1)], "concat", "head")
    graph = builder.finish(
        [
            builder.add("linear", [both], width=2, scope="first"),
            builder.add("linear", [pooled], width=4, scope="second"),
        ]
    )
    text = same(graph, (torch.ones(3, 3, 8, 8), torch.ones(3, 5)))
    assert text.endswith("""
    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBNReLU(3, width=4)  # 3x8x8 -> 4x8x8
        # stage1
        self.stage1_block0_mbconv = MBConv(4, width=4)  # 4x8x8 -> 4x8x8
        self.stage1_pool = MaxPool(in_shape=(4, 8, 8), kernel=2, stride=2)  # 4x8x8 -> 4x4x4
        self.first = Linear(9, width=2)  # 9 -> 2
        self.second = Linear(4, width=4)  # 4 -> 4

    def forward(self, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x0)
        # stage1
        y = self.stage1_block0_mbconv(x)
        x = x + y
        x = self.stage1_pool(x)
        # head
        x = x.mean((2, 3))
        y = torch.cat((x, x1), 1)
        y = self.first(y)
        x = self.second(x)
        return y, x
""")


def test_a_users_module_is_copied_with_what_it_needs(package: ModuleType) -> None:
    builder = GraphBuilder(Signature(((3, 4, 4),), (3,)))
    graph = builder.finish([builder.add(package.Clip, [builder.input()], power=4, names=("b", 'c"'))])
    text = same(graph, (torch.full((2, 3, 4, 4), 4.0),))
    assert "users_nets" not in text
    assert "unused" not in text
    for line in (
        "import math as m",
        "from functools import partial",
        "SCALE = 2.0",
        "LIMIT: float = 6.0",
        '    """Scales and clips."""',
    ):
        assert line in text


def test_modules_of_torch_are_imported() -> None:
    builder = GraphBuilder(Signature(((3, 4, 4),), (3,)))
    graph = builder.finish([builder.add(nn.BatchNorm2d, [builder.input()], momentum=0.5)])
    assert "self.batch_norm2d = nn.BatchNorm2d(3, momentum=0.5)" in same(graph, (torch.ones(2, 3, 4, 4),))


def test_what_cannot_be_copied_is_refused(package: ModuleType) -> None:
    class Local(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    other = importlib.import_module("users_nets.other")

    def graph(*classes: type) -> Graph:
        builder = GraphBuilder(Signature(((3, 4, 4),), (3,)))
        value = builder.input()
        for cls in classes:
            value = builder.add(cls, [value])
        return builder.finish([value])

    with pytest.raises(ExportError, match="top level of a module's file"):
        source(graph(Local))
    with pytest.raises(ExportError, match="Two definitions are named 'Clip'"):
        source(graph(package.Clip, other.Clip))
    with pytest.raises(ExportError, match="one of the file itself"):
        source(graph(other.Clip), class_name="Clip")
    with pytest.raises(ExportError, match="expected a Python identifier"):
        source(graph(other.Clip), class_name="my net")
