"""The most important units first, so that a narrower setting, which has the leading ones, loses least (Cai et al. 2020, arXiv 1908.09791).

Units inside an operation (the channels between an expansion and a projection, the heads of an attention) can change places without changing what it
computes: what makes them and what reads them moves with them. Their importance is the L1 norm of the weights that read them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Axes = dict[str, int]
"""For each tensor of a block the dimension along which its units lie."""


def units_of(op: str, block: nn.Module) -> tuple[Axes, str, int] | None:
    """Where the units of an operation are: the tensors and their dimensions, the tensor that reads them, and the rows of a unit; ``None`` for none."""
    found = _INSIDE.get(op)
    return None if found is None else found(block)


@torch.no_grad()
def sort_units(op: str, block: nn.Module) -> Tensor | None:
    """Sorts the units of a block by importance, in place; returns their old places in the new order, ``None`` where nothing moved."""
    units = units_of(op, block)
    if units is None:
        return None
    axes, reader, rows = units
    named = {**dict(block.named_parameters()), **dict(block.named_buffers())}
    weight = named[reader].transpose(0, axes[reader]).flatten(1).abs().sum(1)
    order = weight.view(-1, rows).sum(1).argsort(descending=True, stable=True)
    if bool((order == torch.arange(len(order))).all()):
        return None
    index = (order.view(-1, 1) * rows + torch.arange(rows)).flatten()
    for name, dim in axes.items():
        named[name].copy_(named[name].index_select(dim, index))
    return order


def _mbconv(block: nn.Module) -> tuple[Axes, str, int] | None:
    axes = {"project.0.weight": 1}
    for part in ("expand", "depthwise"):
        axes |= {f"{part}.{name}": 0 for name, tensor in _state(block, part).items() if tensor.dim() > 0}
    return None if "expand.0.weight" not in axes else (axes | _gate(block), "project.0.weight", 1)


def _gate(block: nn.Module) -> Axes:
    """The tensors of squeeze and excitation, if the block has it."""
    axes = {"se.reduce.weight": 1, "se.expand.weight": 0, "se.expand.bias": 0}
    return {name: dim for name, dim in axes.items() if name in dict(block.named_parameters())}


def _ffn(block: nn.Module) -> tuple[Axes, str, int]:
    axes = {"expand.weight": 0, "expand.bias": 0, "project.weight": 1}
    return axes | _gate(block), "project.weight", 1


def _attention(block: nn.Module) -> tuple[Axes, str, int]:
    axes = {f"{part}.{name}": 0 for part in "qkv" for name in ("weight", "bias")} | {"out.weight": 1}
    rows = block.get_parameter("q.weight").shape[0] // int(block.heads)  # type: ignore[arg-type]
    return axes, "out.weight", rows


def _state(block: nn.Module, part: str) -> dict[str, Tensor]:
    inside = block.get_submodule(part)
    return {**dict(inside.named_parameters()), **dict(inside.named_buffers())}


_INSIDE: dict[str, Callable[[nn.Module], tuple[Axes, str, int] | None]] = {
    "attention": _attention,
    "convnext": _ffn,
    "ffn": _ffn,
    "mbconv": _mbconv,
}
