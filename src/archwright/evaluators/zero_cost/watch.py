"""Looking into a network while it runs: its layers, the functions it calls, what its batch norms get."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
_ACTIVATIONS = frozenset(
    {
        functional.relu,
        torch.relu,
        torch.relu_,
        Tensor.relu,
        Tensor.relu_,
        functional.relu6,
        functional.leaky_relu,
        functional.prelu,
        functional.elu,
        functional.gelu,
        functional.silu,
        functional.mish,
        functional.hardswish,
        torch.tanh,
        Tensor.tanh,
    }
)


def weights(network: nn.Module) -> list[nn.Parameter]:
    """The matrices and kernels: of convolutions and linear layers, not of normalisation, no biases."""
    return [parameter for parameter in network.parameters() if parameter.dim() > 1]


def layers(network: nn.Module) -> list[nn.Module]:
    """The modules that own such weights."""
    return [module for module in network.modules() if any(own.dim() > 1 for own in module.parameters(recurse=False))]


def normalisations(network: nn.Module) -> list[nn.Module]:
    """Batch, layer, group and instance norms."""
    return [module for module in network.modules() if isinstance(module, _NORMS)]


class Calls(TorchFunctionMode):
    """Within it, ``told(function, first argument, result)`` is called after every function of a kind, those of modules included.

    Args:
        told: Called with each.
        activations: Tell of activation functions.
        maps: Tell of functions that give images' maps, ``(n, C, H, W)``.
    """

    def __init__(
        self, told: Callable[[object, Tensor, Tensor], object], *, activations: bool = False, maps: bool = False
    ) -> None:
        super().__init__()
        self.told, self.activations, self.maps, self.seen = told, activations, maps, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls the function and tells of it."""
        result = func(*args, **(kwargs or {}))
        is_map = self.maps and isinstance(result, Tensor) and result.dim() == 4
        if args and isinstance(args[0], Tensor) and (is_map or (self.activations and func in _ACTIVATIONS)):
            self.seen += 1
            self.told(func, args[0], result)
        return result


class BatchNorms:
    """Within it, the logarithms of the mean variances that batch norms get are collected, one for each call.

    Attributes:
        variances: As tensors without dimensions.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._handles: list[Any] = []
        self.variances: list[Tensor] = []

    def _take(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        axes = [axis for axis in range(inputs[0].dim()) if axis != 1]
        self.variances.append(inputs[0].var(axes, correction=0).mean().log())

    def __enter__(self) -> Self:
        found = [m for m in self._network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self._handles = [module.register_forward_pre_hook(self._take) for module in found]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
