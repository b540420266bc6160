"""Reads safetensors with torch alone. This file stands alone: its source travels with exported networks."""

from __future__ import annotations

import json
from pathlib import Path

import torch

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def read_safetensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors of a file: eight bytes of length, a JSON header of that length, then the numbers."""
    content = Path(path).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        numbers = torch.frombuffer(bytearray(content[start + first : start + last]), dtype=_DTYPES[entry["dtype"]])
        tensors[name] = numbers.reshape(entry["shape"])
    return tensors
