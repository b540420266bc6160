"""Handing a network over: plain PyTorch, safetensors, ONNX, a command line and a card, verified without archwright."""

from archwright.export.card import Facts
from archwright.export.folder import Exported, export
from archwright.export.verify import Checks, read_checks, verify

__all__ = ["Checks", "Exported", "Facts", "export", "read_checks", "verify"]
