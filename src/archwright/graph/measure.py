"""Runs an operation once on the meta device: output shape, cost, and whether it has state. Imports torch."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from archwright.graph.ops import Attributes, OpSpec, load_block
from archwright.problem import Cost, Shape

_FLOAT_BYTES = 4
_FILLS = frozenset(
    {Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_, Tensor.copy_, torch.nn.init.kaiming_uniform_}
)
_ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Dropout)


class Measured(NamedTuple):
    """What one run on the meta device tells."""

    shape: Shape
    cost: Cost
    stateful: bool


class _SkipInit(TorchFunctionMode):
    """Leaves tensors as they are where an initialisation would fill them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in _FILLS and args else func(*args, **(kwargs or {}))


class _CountFlops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the FLOPs of convolutions and matrix products, two for each multiply-add."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        return out


def make_block(spec: OpSpec, attrs: Attributes, shapes: tuple[Shape, ...]) -> Any:
    """The module of an operation, freshly initialised, or its function.

    Args:
        spec: The operation.
        attrs: Its complete attributes.
        shapes: The shapes of its inputs, without the batch dimension.
    """
    block = load_block(spec.block)
    if not isinstance(block, type):
        return block
    leading = {"channels": shapes[0][:1], "shape": (), "nothing": ()}[spec.receives]
    named = {"in_shape": shapes[0]} if spec.receives == "shape" else {}
    return block(*leading, **named, **dict(attrs))


def measure(spec: OpSpec, attrs: Attributes, shapes: tuple[Shape, ...]) -> Measured:
    """Builds an operation on the meta device and runs it on one sample.

    Raises:
        Exception: Whatever the block raises where the attributes or the shapes do not suit it.
    """
    activation_bytes = 0
    last: list[Tensor] = []

    def count(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal activation_bytes
        if isinstance(output, Tensor) and not isinstance(module, nn.Identity):
            activation_bytes += output.numel() * _FLOAT_BYTES
            last[:] = [output]

    with torch.device("meta"), torch.no_grad():
        with _SkipInit():
            block = make_block(spec, attrs, shapes)
        inputs = [torch.empty(1, *shape) for shape in shapes]
        if not isinstance(block, nn.Module):
            output = block(*inputs, **dict(attrs))
            parameters, stateful = 0, False
        else:
            block.eval()
            for module in block.modules():
                if not any(True for _ in module.children()):
                    _shorten(module)
                    module.register_forward_hook(count)
            with _CountFlops() as counter:
                output = block(*inputs)
            parameters = sum(parameter.numel() for parameter in block.parameters() if parameter.requires_grad)
            stateful = bool(block.state_dict())
    if not isinstance(output, Tensor) or output.ndim < 1 or len(output) != 1:
        raise TypeError(f"returned {_describe(output)}, expected one tensor that keeps the batch dimension")
    if not last or last[0] is not output:
        activation_bytes += output.numel() * _FLOAT_BYTES
    flops = counter.flops if isinstance(block, nn.Module) else 0
    return Measured(tuple(output.shape[1:]), Cost(parameters, int(flops), activation_bytes), stateful)


def _shorten(module: nn.Module) -> None:
    """Layers whose output has the shape of their input only check it: torch's meta kernels of batch norm take milliseconds."""
    if type(module) in _ELEMENTWISE:
        module.forward = torch.empty_like
    elif type(module) is nn.BatchNorm1d or type(module) is nn.BatchNorm2d:
        ranks, features = ((4,) if type(module) is nn.BatchNorm2d else (2, 3)), module.num_features

        def checked(x: Tensor) -> Tensor:
            if x.ndim not in ranks or x.shape[1] != features:
                raise ValueError(f"a batch norm of {features} features got the shape {tuple(x.shape[1:])}")
            return torch.empty_like(x)

        module.forward = checked  # type: ignore[assignment]


def _describe(output: Any) -> str:
    return f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"{type(output).__name__}"
