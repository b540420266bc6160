"""In which numbers and memory layout a network trains fastest: by a rule, or by trying.

The rule reads the mix of operations and gives the same answer on every run; the probe times a few steps. A probe's answer depends on what else
the machine does, so it is used only where the budget is wall time and runs differ anyway.

Measured on AVX512 with bf16 (one thread): channels_last is 1.05-1.2 times as fast as contiguous on dense convolutions and 1.2-1.6 times on
depthwise ones; bf16 with channels_last 1.5-2.1 times on dense ones of enough work, but 0.6-0.9 times on depthwise ones.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from archwright.errors import EvaluationError, closest
from archwright.graph.module import seeded


@dataclasses.dataclass(frozen=True)
class Mode:
    """A memory layout and a number format."""

    channels_last: bool = False
    bf16: bool = False

    @property
    def name(self) -> str:
        """For people and records: ``"fp32"``, ``"fp32, channels_last"``, ``"bf16, channels_last"``."""
        return ("bf16" if self.bf16 else "fp32") + (", channels_last" if self.channels_last else "")

    def cast(self) -> AbstractContextManager[object]:
        """Context in which the network's forward pass runs."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)


FP32 = Mode()
"""float32 in the contiguous layout."""
MODES = {mode.name: mode for mode in (FP32, Mode(True), Mode(True, True))}

SMALL = 1.5e6
"""FLOPs of the convolutions in a training step's forward pass below which layout conversions cost more than they save."""
LARGE = 3e7
"""FLOPs of one convolution in a step's forward pass from which bf16 pays."""
GROUPED = 27.0
"""How many times the FLOPs of grouped convolutions the dense ones must have for bf16 to pay."""


def fast_bf16() -> bool:
    """Whether this processor multiplies bf16 natively."""
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(check() for check in checks if check is not None)


def rule(module: nn.Module, sample: Tensor, batch: int) -> Mode:
    """The mode for a network by its mix of operations; the network is left as it was.

    Args:
        module: The network.
        sample: One input, ``(1, C, H, W)`` or ``(1, F)``.
        batch: Samples in a step.
    """
    if sample.dim() != 4:
        return FP32
    work = convolutions(module, sample)
    total = sum(flops for flops, _ in work) * batch
    if total < SMALL:
        return FP32
    grouped = sum(flops for flops, groups in work if groups > 1)
    dense = sum(flops for flops, groups in work if groups == 1)
    large = sum(flops for flops, groups in work if groups == 1 and flops * batch >= LARGE)
    return Mode(True, fast_bf16() and large > 0.5 * dense and dense > GROUPED * grouped)


def convolutions(module: nn.Module, sample: Tensor) -> list[tuple[int, int]]:
    """FLOPs for one sample and groups of each 2-d convolution that a forward pass runs."""
    found: list[tuple[int, int]] = []

    def note(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        found.append((2 * layer.weight[0].numel() * output[0].numel(), layer.groups))

    handles = [layer.register_forward_hook(note) for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(sample)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    return found


PROBE_STEPS = 3
WORTH = 200
"""Training steps from which a probe (three modes, four steps each) costs less than 6% of the training."""

_known: dict[tuple[object, ...], Mode] = {}


def choose(
    module: nn.Module,
    x: Tensor,
    batch: int,
    steps: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    probe: bool,
    key: str = "",
) -> Mode:
    """The mode a network will train in.

    Args:
        module: The network; its weights and buffers are left as they were.
        x: Training inputs, of which the probe uses the first rows.
        batch: Samples in a step.
        steps: Steps of the training, which a probe must be short against.
        loss: Loss of outputs and the first row numbers.
        probe: Try the modes; else, and where it would cost too much, go by the rule.
        key: Name of the network's function, under which a probe's answer is remembered in this process; empty for none.
    """
    guess = rule(module, x[:1], batch)
    if not probe or x.dim() != 4 or steps < WORTH or guess == FP32:
        return guess
    remembered = (key, batch, tuple(x.shape[1:]))
    if not key or remembered not in _known:
        modes = [FP32, Mode(True)] + ([Mode(True, True)] if fast_bf16() else [])
        times = {mode: step_seconds(module, x[:batch], loss, mode) for mode in modes}
        best = min(times, key=lambda mode: times[mode])
        if not key:
            return best if math.isfinite(times[best]) else guess
        _known[remembered] = best if math.isfinite(times[best]) else guess
    return _known[remembered]


def step_seconds(
    module: nn.Module, x: Tensor, loss: Callable[[Tensor, Tensor], Tensor], mode: Mode, steps: int = PROBE_STEPS
) -> float:
    """Median seconds of a forward and backward pass of a copy of the network; infinite where the loss is not finite."""
    trial = copy.deepcopy(module).train()
    index = torch.arange(len(x))
    if mode.channels_last:
        trial, x = trial.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seconds = []
    with seeded(0):
        for _ in range(steps + 1):
            start = time.perf_counter()
            with mode.cast():
                outputs = trial(x)
            value = loss(outputs.float(), index)
            value.backward()  # type: ignore[no-untyped-call]
            trial.zero_grad()
            if not math.isfinite(value.item()):
                return math.inf
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def named(name: str) -> Mode:
    """The mode of this name.

    Raises:
        EvaluationError: Where there is none.
    """
    if name not in MODES:
        raise EvaluationError(f"Got the numerics mode {name!r}. {closest(name, ['auto', *MODES])}")
    return MODES[name]
