from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import archwright as aw
from archwright.errors import closest


def test_close_names_are_suggested():
    assert closest("fashion-mnits", ["digits", "fashion-mnist"]).startswith("Did you mean 'fashion-mnist'?")
    assert "Did you mean" not in closest("zzz", ["digits"])


@pytest.mark.parametrize("name", aw.__all__)
def test_every_public_name_is_there(name):
    assert getattr(aw, name) is not None


def test_unknown_names_are_an_attribute_error():
    with pytest.raises(AttributeError, match="serach"):
        _ = aw.serach


@pytest.mark.parametrize(
    "module",
    [
        "archwright",
        "archwright.cli",
        "archwright.strategies",
        "archwright.ledger",
        "archwright.space",
        "archwright.engine",
        "archwright.executors",
    ],
)
def test_importing_does_not_load_torch(module):
    importlib.import_module(module)
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
