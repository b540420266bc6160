"""From a graph to a PyTorch module."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import GraphError
from archwright.graph.graph import Graph, Node
from archwright.graph.measure import make_block
from archwright.graph.names import names


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds torch's global generator inside the block and restores it after: for initialisation, which takes no generator.

    >>> with seeded(0):
    ...     first = torch.rand(2)
    >>> with seeded(0):
    ...     second = torch.rand(2)
    >>> bool((first == second).all())
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class Network(nn.Module):
    """The module of a graph: one named child for each node that has a block, the rest are functions.

    Called with one tensor for each input, it returns a tensor, or a tuple where there are several outputs. Intermediate results are dropped after
    their last use.

    Args:
        graph: What to build.
        make: Gives the block of a node by its index, a module or a function, where these are not new ones.
    """

    def __init__(self, graph: Graph, make: Callable[[int, Node], Any] | None = None) -> None:
        super().__init__()
        self.inputs = len(graph.inputs)
        self.outputs = graph.outputs
        self.plan: list[tuple[str | None, Any, dict[str, Any], tuple[int, ...], tuple[int, ...]]] = []
        last = {source: index for index, node in enumerate(graph.nodes) for source in node.inputs}
        for name, (index, node) in zip(names(graph)[self.inputs :], graph.operations()):
            block = make(index, node) if make else make_block(node.call.spec, node.attrs, node.call.inputs)
            done = tuple(source for source in set(node.inputs) if last[source] == index and source not in graph.outputs)
            if isinstance(block, nn.Module):
                self.add_module(name, block)
                self.plan.append((name, None, {}, node.inputs, done))
            else:
                self.plan.append((None, block, dict(node.attrs), node.inputs, done))

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Runs the network.

        Args:
            *inputs: One tensor ``(N, *shape)`` for each input.
        """
        if len(inputs) != self.inputs:
            raise GraphError(f"Got {len(inputs)} inputs; expected {self.inputs}.")
        values: list[Any] = list(inputs)
        for name, function, attrs, sources, done in self.plan:
            arguments = [values[source] for source in sources]
            values.append(function(*arguments, **attrs) if name is None else self._modules[name](*arguments))  # type: ignore[misc]
            del arguments
            for source in done:
                values[source] = None
        results = tuple(values[output] for output in self.outputs)
        return results[0] if len(results) == 1 else results


class _Calibrated(Exception):
    """Ends a run of a network once all its blocks are calibrated: the rest of it need not be computed."""


def calibrate(module: nn.Module, *inputs: Tensor) -> None:
    """Let blocks whose constants come from the data see what they get: whitening filters, bins of a feature.

    Such a block has a method ``calibrate(x)``, called once with its inputs for some training rows, before the
    first step. Blocks that come later see the outputs of those that were calibrated before.

    Args:
        module: The network, freshly initialised; left in the mode it was in.
        *inputs: One tensor ``(N, *shape)`` of training rows for each input.
    """
    found = [block for block in module.modules() if callable(getattr(block, "calibrate", None))]
    if not found:
        return
    left = set(found)

    def see(block: Any, args: tuple[Tensor, ...]) -> None:
        block.calibrate(*args)
        left.discard(block)
        if not left:
            raise _Calibrated

    handles = [block.register_forward_pre_hook(see) for block in found]
    training = module.training
    try:
        with torch.no_grad(), contextlib.suppress(_Calibrated):
            module.eval()(*inputs)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()


def build(graph: Graph, seed: int) -> Network:
    """The network with freshly initialised weights, a function of the graph and the seed.

    Args:
        graph: What to build.
        seed: Of the weights.
    """
    with seeded(seed):
        return Network(graph)
