"""The weights of one operation at one place of a space, which all architectures that have it there share.

They are those of the largest setting met there. A smaller setting has slices of them: the leading channels, heads and units, the centres of
kernels (Cai et al., once for all, ICLR 2020, arXiv 1908.09791). Channels that were put side by side keep a slice for each source, so that a
layer finds its weights for a source whichever other sources an architecture leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archwright.errors import SupernetError
from archwright.graph.graph import Node, Parts
from archwright.graph.measure import make_block, meta_block
from archwright.graph.module import seeded
from archwright.graph.ops import Attributes, Op, OpSpec
from archwright.graph.shapes import Call
from archwright.problem import Shape

Range = tuple[int, int]
Key = tuple[str, str, Attributes]
"""What tells places apart: scope, operation, and the attributes whose settings do not share weights."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Cut(NamedTuple):
    """Which part of a tensor a setting uses: for each dimension the ranges, and the kernel sizes on the way to its own."""

    ranges: tuple[tuple[Range, ...], ...]
    sizes: tuple[int, ...] = ()

    def of(self, whole: Tensor) -> Tensor:
        """The part; a view wherever it is one box."""
        part = whole
        for dim, ranges in enumerate(self.ranges):
            if len(ranges) == 1:
                start, stop = ranges[0]
                if stop - start != part.shape[dim]:
                    part = part.narrow(dim, start, stop - start)
            else:
                part = torch.cat([part.narrow(dim, start, stop - start) for start, stop in ranges], dim)
        return part

    def put(self, whole: Tensor, part: Tensor) -> None:
        """Copies a part to where it is in the whole."""
        for dim, ranges in enumerate(self.ranges):
            if len(ranges) > 1:
                done = 0
                for start, stop in ranges:
                    piece = part.narrow(dim, done, stop - start)
                    Cut((*self.ranges[:dim], ((start, stop),), *self.ranges[dim + 1 :])).put(whole, piece)
                    done += stop - start
                return
        self.of(whole).copy_(part)


@dataclass(eq=False)
class Place:
    """The weights shared at one place.

    Attributes:
        name: Of its module in the supernet.
        op: The operation, by name or class.
        scope: Where it is in the space, for messages.
        spec: The operation.
        elastic: Attributes whose settings share weights.
        attrs: Those of the largest setting.
        inputs: Input shapes of the largest setting.
        parts: Where the input's channels come from: label to first channel and number.
        kernels: Sizes of square kernels met, for transforms.
        block: The module of the largest setting.
        transforms: From kernel size to smaller kernel size the linear function of the centre.
        whole: The tensors of the block, by name.
    """

    name: str
    op: Op
    scope: str
    spec: OpSpec
    elastic: frozenset[str]
    attrs: dict[str, Any]
    inputs: tuple[Shape, ...]
    parts: dict[str, int] = field(default_factory=dict)
    kernels: set[int] = field(default_factory=set)
    block: nn.Module | None = None
    transforms: dict[tuple[int, int], nn.Parameter] = field(default_factory=dict)
    whole: dict[str, Tensor] = field(default_factory=dict)
    _layouts: dict[tuple[Call, Parts], dict[str, Cut]] = field(default_factory=dict)
    _tied: dict[str, tuple[int, ...]] | None = None
    _built: Parts = ()

    @classmethod
    def of(cls, name: str, node: Node, parts: Parts, elastic: frozenset[str]) -> Place:
        """A place with one setting."""
        place = cls(name, node.op, node.scope, node.call.spec, elastic, dict(node.attrs), node.call.inputs)
        place.take(node.call, parts)
        return place

    def take(self, call: Call, parts: Parts) -> bool:
        """Makes room for a setting; returns whether the largest one grew, or a kernel size is new."""
        before = dict(self.attrs), self.inputs, dict(self.parts), set(self.kernels)
        for key, value in call.attrs:
            if key in self.elastic:
                self.attrs[key] = _larger(self.attrs[key], value)
                if key == "kernel" and isinstance(value, int):
                    self.kernels.add(value)
        for label, size in parts:
            self.parts[label] = max(size, self.parts.get(label, 0))
        shapes = []
        for old, new in zip(self.inputs, call.inputs):
            shapes.append(tuple(max(pair) for pair in zip(old, new)))
        if self.parts:
            shapes[0] = (max(shapes[0][0], sum(self.parts.values())), *shapes[0][1:])
        self.inputs = tuple(shapes)
        grew = before != (self.attrs, self.inputs, self.parts, self.kernels)
        if grew:
            self.forget()
        return grew

    def forget(self) -> None:
        """Drops what was computed from the largest setting, which changed."""
        self._layouts.clear()
        self._tied = None

    def build(self) -> None:
        """Makes the weights, or larger ones that keep those there were, with their gradients."""
        old, before = self.block, self._built
        fresh = make_block(self.spec, tuple(sorted(self.attrs.items())), self.inputs)
        self.block, self._built = fresh, tuple(self.parts.items())
        if old is None:
            self.whole = tensors(fresh)
            return
        parameters = dict(old.named_parameters())
        with torch.no_grad():
            for name, tensor in tensors(old).items():
                new, cut = tensors(fresh)[name], self._cut(fresh, name, tensor, before)
                cut.put(new, tensor)
                if tensor.grad is not None:
                    new.grad = torch.zeros_like(new)
                    cut.put(new.grad, tensor.grad)
        for name, parameter in list(fresh.named_parameters()):
            if name in parameters:
                parameters[name].data, parameters[name].grad = parameter.data, parameter.grad
                owner, leaf = owner_of(fresh, name)
                owner._parameters[leaf] = parameters[name]
        self.whole = tensors(fresh)

    def cuts(self, call: Call, parts: Parts) -> dict[str, Cut]:
        """For each tensor of a setting's module which part of the shared one it is.

        Raises:
            SupernetError: Where the operation's weights cannot be sliced so.
        """
        found = self._layouts.get((call, parts))
        if found is None:
            found = self._layouts[call, parts] = self._cuts(call, parts)
        return found

    def _cuts(self, call: Call, parts: Parts) -> dict[str, Cut]:
        small = shape_of(call)
        for name, tensor in tensors(small).items():
            host = self.whole.get(name)
            if host is None or host.dim() != tensor.dim() or any(a > b for a, b in zip(tensor.shape, host.shape)):
                raise SupernetError(
                    f"At {self.scope!r}: the weights {name!r} of {call} cannot be a slice of those of its largest setting "
                    f"({tuple(tensor.shape)} of {None if host is None else tuple(host.shape)}). "
                    f"Keep its settings apart: leave {', '.join(sorted(self.elastic)) or 'its attributes'} out of `elastic`."
                )
        return {name: self._cut(small, name, tensor, parts) for name, tensor in tensors(small).items()}

    def _cut(self, small: nn.Module, name: str, tensor: Tensor, parts: Parts) -> Cut:
        """Where a tensor of a setting's module is in the shared one."""
        host = tensors(self.block)[name] if self.block is not None else tensor
        tied = self._tied_dims().get(name, ()) if parts else ()
        spatial = _spatial(small, name)
        ranges: list[tuple[Range, ...]] = []
        for dim, (size, full) in enumerate(zip(tensor.shape, host.shape)):
            if dim in spatial:
                centre = _centre(size, full)
                ranges.append(((centre.start, centre.stop),))
            else:
                ranges.append(self._ranges(parts) if dim in tied else ((0, size),))
        return Cut(tuple(ranges), self._sizes(tensor, host) if spatial and self.transforms else ())

    def _ranges(self, parts: Parts) -> tuple[Range, ...]:
        """Where the channels of these sources are."""
        starts, start = {}, 0
        for label, room in self.parts.items():
            starts[label] = start
            start += room
        merged: list[Range] = []
        for label, count in parts:
            begin = starts[label]
            if merged and merged[-1][1] == begin:
                merged[-1] = (merged[-1][0], begin + count)
            else:
                merged.append((begin, begin + count))
        return tuple(merged)

    def _sizes(self, small: Tensor, host: Tensor) -> tuple[int, ...]:
        """The kernel sizes from the largest to that of a setting, where kernels are square."""
        if small.dim() != 4 or small.shape[2] != small.shape[3] or host.shape[2] != host.shape[3]:
            return ()
        return tuple(k for k in sorted(self.kernels, reverse=True) if small.shape[2] <= k < host.shape[2])

    def part(self, whole: Tensor, cut: Cut) -> Tensor:
        """A setting's weights."""
        if not cut.sizes:
            return cut.of(whole)
        kernel = Cut((*cut.ranges[:2], ((0, whole.shape[2]),), ((0, whole.shape[3]),))).of(whole)
        for size in cut.sizes:
            centre, before = _centre(size, kernel.shape[-1]), kernel.shape[-1]
            kernel = kernel[..., centre, centre]
            kernel = (kernel.flatten(-2) @ self.transforms[before, size]).view_as(kernel)
        return kernel

    def _tied_dims(self) -> dict[str, tuple[int, ...]]:
        """For each tensor the dimensions that go with the channels of the input."""
        if self._tied is None:
            channels = self.inputs[0][0]
            attrs = tuple(sorted(self.attrs.items()))
            doubled = meta_block(self.spec, attrs, ((2 * channels, *self.inputs[0][1:]), *self.inputs[1:]))
            once, twice = tensors(self.block), tensors(doubled)  # type: ignore[arg-type]
            self._tied = {
                name: tuple(
                    dim
                    for dim, (size, double) in enumerate(zip(tensor.shape, twice[name].shape))
                    if size == channels and double == 2 * channels
                )
                for name, tensor in once.items()
                if name in twice and twice[name].dim() == tensor.dim()
            }
        return self._tied


@lru_cache(maxsize=4096)
def shape_of(call: Call) -> nn.Module:
    """The module of a setting, without memory for its weights."""
    return meta_block(call.spec, call.attrs, call.inputs)


def unfilled(node: Node, weighed: bool) -> nn.Module:
    """A module for a node whose tensors are to be bound; a user's class may keep tensors that are not registered, and is made as it is."""
    call = node.call
    if weighed:
        assert call.spec.mixture is not None
        return meta_block(replace(call.spec, block=call.spec.mixture), call.attrs, call.inputs)
    if isinstance(call.op, str):
        return meta_block(call.spec, call.attrs, call.inputs)
    with seeded(0):
        block: nn.Module = make_block(call.spec, call.attrs, call.inputs)
    return block


def key_of(node: Node, elastic: frozenset[str] | None) -> tuple[Key, frozenset[str]]:
    """The key of a node's place, and which of its attributes are elastic.

    Args:
        node: A node of a graph, with weights.
        elastic: Names of the attributes whose settings may share weights; ``None`` for all for which that is possible.
    """
    able = frozenset(node.call.spec.elastic)
    chosen = able if elastic is None else able & elastic
    spared = chosen.union(node.call.spec.relaxed)
    apart = tuple((name, value) for name, value in node.attrs if name not in spared)
    if elastic is not None and "width" not in elastic:
        apart = (*apart, ("channels", tuple(shape[0] for shape in node.call.inputs)))
    return (node.scope, node.call.spec.name, apart), chosen


def tensors(block: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(block.named_parameters()), **dict(block.named_buffers())}


def _spatial(block: nn.Module, name: str) -> range:
    """The dimensions of a tensor that are those of a kernel."""
    owner, leaf = owner_of(block, name)
    return range(2, 5) if isinstance(owner, _CONVOLUTIONS) and leaf == "weight" else range(0)


def owner_of(block: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The submodule that has the tensor, and its name there."""
    path, _, leaf = name.rpartition(".")
    return block.get_submodule(path), leaf


def _centre(size: int, full: int) -> slice:
    start = (full - size) // 2
    return slice(start, start + size)


def _larger(old: Any, new: Any) -> Any:
    """The larger setting: of numbers and tuples of numbers the greater, of anything else the first."""
    if isinstance(old, bool) or isinstance(new, bool) or isinstance(old, str) or old is None or new is None:
        return old
    if isinstance(old, tuple) or isinstance(new, tuple):
        pairs = zip(
            old if isinstance(old, tuple) else (old,) * len(new), new if isinstance(new, tuple) else (new,) * len(old)
        )
        return tuple(max(pair) for pair in pairs)
    return max(old, new)


def masks(largest: Call, settings: Sequence[Call]) -> dict[str, Tensor] | None:
    """For each tensor that a choice among settings cuts: ones where a setting has weights, ``(settings, ...)``, of size 1 along what it does not cut.

    Args:
        largest: The setting that all others are parts of.
        settings: One for each option of the choice.

    Returns:
        ``None`` where the settings do not have the same tensors, so that a sum of them is no setting of the largest.
    """
    block = shape_of(largest)
    whole = tensors(block)
    parts = [tensors(shape_of(call)) for call in settings]
    if any(part.keys() != whole.keys() for part in parts):
        return None
    found = {}
    for name, tensor in whole.items():
        dims = [d for d in range(tensor.dim()) if any(part[name].shape[d] != tensor.shape[d] for part in parts)]
        if not dims:
            continue
        spatial = _spatial(block, name)
        mask = torch.zeros([len(parts), *(tensor.shape[d] if d in dims else 1 for d in range(tensor.dim()))])
        for row, part in zip(mask, parts):
            box = [
                (_centre(part[name].shape[d], tensor.shape[d]) if d in spatial else slice(0, part[name].shape[d]))
                if d in dims
                else slice(None)
                for d in range(tensor.dim())
            ]
            row[tuple(box)] = 1.0
        found[name] = mask
    return found
