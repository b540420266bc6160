"""Runs an operation once on the meta device: output shape, cost, and whether it has state. Imports torch."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from archwright.graph.ops import Attributes, OpSpec, load_block
from archwright.problem import Cost, Shape

_FLOAT_BYTES = 4
_FILLS = frozenset(
    {Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_, Tensor.copy_, Tensor.fill_diagonal_}
    | {torch.nn.init.kaiming_uniform_, torch.nn.init.normal_}
)
_CONSTRUCTORS = _device_constructors()
_POINTWISE = frozenset(
    {Tensor.add, Tensor.mul, Tensor.div, torch.add, torch.mul, torch.lerp, torch.tanh, torch.sigmoid, torch.relu}
)
_PRODUCTS = frozenset({Tensor.matmul, Tensor.__matmul__, torch.matmul})
_ELEMENTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.ELU, nn.Tanh, nn.Sigmoid, nn.Dropout)


class Measured(NamedTuple):
    """What one run on the meta device tells."""

    shape: Shape
    cost: Cost
    stateful: bool


_ALIKE: dict[tuple[object, Attributes, tuple[Shape, ...]], Measured] = {}
"""What runs of operations with relaxed attributes told, by all but these."""


class _OnMeta(TorchFunctionMode):
    """Makes new tensors on the meta device, leaves them as they are where an initialisation would fill them, and goes by
    shapes where it adds, multiplies, stacks or applies a function.

    ``with torch.device("meta")`` and torch's own meta functions would do, but their first use loads torch's compiler, which takes seconds.

    Args:
        counter: Gets the FLOPs of matrix products.
    """

    def __init__(self, counter: CountFlops) -> None:
        super().__init__()
        self.counter = counter

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FILLS:
            return args[0] if args else kwargs["tensor"]
        if func in _POINTWISE and not kwargs:
            shapes = [value.shape if isinstance(value, Tensor) else () for value in args]
            return torch.empty(np.broadcast_shapes(*shapes), device="meta")
        if func in _PRODUCTS and len(args) == 2 and min(args[0].ndim, args[1].ndim) > 1:
            return self._product(*args)
        if func is torch.stack:
            return self._stack(*args, **(kwargs or {}))
        named = kwargs or {}
        if func in _CONSTRUCTORS and named.get("device") is None:
            named = {**named, "device": "meta"}
        return func(*args, **named)

    def _stack(self, parts: Sequence[Tensor], dim: int = 0) -> Tensor:
        if len({part.shape for part in parts}) != 1:
            raise ValueError(f"a stack of the shapes {', '.join(str(tuple(part.shape)) for part in parts)}")
        shape = list(parts[0].shape)
        shape.insert(dim % (len(shape) + 1), len(parts))
        return torch.empty(shape, device="meta")

    def _product(self, left: Tensor, right: Tensor) -> Tensor:
        if left.shape[-1] != right.shape[-2]:
            raise ValueError(f"a matrix product of the shapes {tuple(left.shape)} and {tuple(right.shape)}")
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        out = torch.empty(*batch, left.shape[-2], right.shape[-1], device="meta")
        self.counter.flops += 2 * out.numel() * left.shape[-1]
        return out


class CountFlops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the FLOPs of convolutions and matrix products, two for each multiply-add."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and skipping would load torch's compiler, which takes seconds

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


def meta_block(spec: OpSpec, attrs: Attributes, shapes: tuple[Shape, ...]) -> nn.Module:
    """The module of an operation without memory for its weights, to read their shapes from."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]) if spec.real else _OnMeta(CountFlops()):
        block = make_block(spec, attrs, shapes)
    assert isinstance(block, nn.Module), spec.name
    return block


def measure(spec: OpSpec, attrs: Attributes, shapes: tuple[Shape, ...]) -> Measured:
    """Builds an operation, on the meta device if it has many weights, and runs it on one sample.

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

    counter = CountFlops()
    alike = (spec.block, tuple(pair for pair in attrs if pair[0] not in spec.relaxed), shapes)
    with torch.no_grad(), contextlib.ExitStack() as stack:
        if spec.real:
            stack.enter_context(torch.random.fork_rng(devices=[]))
        elif isinstance(load_block(spec.block), type):
            stack.enter_context(
                _OnMeta(counter)
            )  # a plain function has no weights: it runs on one real sample, sooner than on the meta device
        block = make_block(spec, attrs, shapes)
        if spec.relaxed and alike in _ALIKE:
            return _ALIKE[alike]
        inputs = [torch.empty(1, *shape) for shape in shapes]
        if not isinstance(block, nn.Module):
            output = block(*inputs, **dict(attrs))
            parameters, stateful = 0, False
        else:
            block.eval()
            for module in block.modules():
                if not any(True for _ in module.children()):
                    _shorten(module, counter)
                    module.register_forward_hook(count)
            with counter:
                output = block(*inputs)
            parameters = sum(parameter.numel() for parameter in block.parameters() if parameter.requires_grad)
            stateful = bool(block.state_dict())
    if not isinstance(output, Tensor) or output.ndim < 1 or len(output) != 1:
        raise TypeError(f"returned {_describe(output)}, expected one tensor that keeps the batch dimension")
    if not last or last[0] is not output:
        activation_bytes += output.numel() * _FLOAT_BYTES
    found = Measured(tuple(output.shape[1:]), Cost(parameters, int(counter.flops), activation_bytes), stateful)
    if spec.relaxed:
        _ALIKE[alike] = found
    return found


def _shorten(module: nn.Module, counter: CountFlops) -> None:
    """Replaces common layers by their shape rule.

    Torch's meta kernels of batch norm take milliseconds, and those of layer norm and matrix products load torch's compiler, which takes seconds.
    """
    if isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward:
        weight = module.weight

        def multiplied(x: Tensor) -> Tensor:
            if x.shape[-1] != weight.shape[1]:
                raise ValueError(f"a linear layer of {weight.shape[1]} features got the shape {tuple(x.shape[1:])}")
            out = torch.empty(*x.shape[:-1], weight.shape[0])
            counter.flops += 2 * out.numel() * weight.shape[1]
            return out

        module.forward = multiplied  # type: ignore[method-assign, assignment]
    elif type(module) is nn.Embedding:
        width = module.embedding_dim
        module.forward = lambda x: torch.empty(*x.shape, width)  # type: ignore[method-assign, assignment]
    elif type(module) in _ELEMENTWISE:
        module.forward = _alike
    elif type(module) is nn.BatchNorm1d or type(module) is nn.BatchNorm2d:
        ranks, features = ((4,) if type(module) is nn.BatchNorm2d else (2, 3)), module.num_features

        def checked(x: Tensor) -> Tensor:
            if x.ndim not in ranks or x.shape[1] != features:
                raise ValueError(f"a batch norm of {features} features got the shape {tuple(x.shape[1:])}")
            return _alike(x)

        module.forward = checked  # type: ignore[assignment]
    elif type(module) is nn.LayerNorm:
        sizes = tuple(module.normalized_shape)

        def normalised(x: Tensor) -> Tensor:
            if tuple(x.shape[-len(sizes) :]) != sizes:
                raise ValueError(f"a layer norm of the shape {sizes} got the shape {tuple(x.shape[1:])}")
            return _alike(x)

        module.forward = normalised  # type: ignore[method-assign, assignment]


def _alike(x: Tensor) -> Tensor:
    """A tensor of the same shape; ``torch.empty_like`` of a view loads torch's compiler."""
    return torch.empty(x.shape)


def _describe(output: Any) -> str:
    return f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"{type(output).__name__}"
