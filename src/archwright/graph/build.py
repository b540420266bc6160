"""The builder: makes graphs that are valid by construction, and fast.

What computes nothing is kept out. ``identity`` is its input. ``none`` is zeros, and zeros are no node: an operation that reads only zeros gives
zeros again (the constant a batch norm or a bias would add is dropped too), and a merge leaves zeros out as a branch that is not there, except
``concat``, which keeps their channels. Zeros become a node only where something that stays has to read them: a classifier, a concatenation, an output.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, NamedTuple

from archwright.errors import GraphError
from archwright.graph.catalogue import MERGES
from archwright.graph.graph import Graph, Parts, assemble
from archwright.graph.ops import Op
from archwright.graph.shapes import Call, call, input_call
from archwright.problem import Shape, Signature

Merge = Literal["add", "mul", "mean", "concat"]

_ZEROS = -1
_TEMPLATES_KEPT = 4096


class Value(NamedTuple):
    """What an operation gives: the output of a node, or zeros.

    Attributes:
        shape: Without the batch dimension.
        node: Index of the node in its builder; -1 for zeros.
        parts: Where its channels come from, where they were put side by side; see :attr:`archwright.graph.graph.Graph.parts`.
    """

    shape: Shape
    node: int
    parts: Parts = ()

    @property
    def is_zeros(self) -> bool:
        """Whether it is nothing but zeros."""
        return self.node == _ZEROS


class _Template(NamedTuple):
    steps: tuple[tuple[Call, tuple[int, ...], str, Parts], ...]
    results: tuple[tuple[Shape, int, Parts], ...]


_TEMPLATES: dict[Hashable, _Template] = {}


class GraphBuilder:
    """Builds one graph.

    >>> builder = GraphBuilder(Signature(((1, 8, 8),), (10,)))
    >>> x = builder.add("conv_bn_relu", [builder.input()], width=4)
    >>> x = builder.add("linear", [builder.add("global_avg_pool", [x])], width=10)
    >>> builder.finish([x]).cost.params
    94

    Args:
        signature: Input shapes and output sizes of the network.
    """

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._calls: list[Call] = []
        self._inputs: list[tuple[int, ...]] = []
        self._scopes: list[str] = []
        self._parts: list[Parts] = []
        for index, shape in enumerate(signature.inputs):
            self._emit(input_call(index, tuple(shape)), (), "")

    def input(self, index: int = 0) -> Value:
        """An input of the network.

        Raises:
            GraphError: Where the signature has no such input.
        """
        if not 0 <= index < len(self.signature.inputs):
            raise GraphError(
                f"Got the input {index}; expected one of the {len(self.signature.inputs)} inputs of {self.signature}."
            )
        return Value(self._calls[index].shape, index)

    def zeros(self, shape: Shape) -> Value:
        """Zeros of this shape; computes nothing."""
        return Value(tuple(shape), _ZEROS)

    def add(self, op: Op, inputs: Sequence[Value], *, scope: str = "", **attrs: Any) -> Value:
        """Applies an operation.

        Args:
            op: A registered name or an ``nn.Module`` class. ``identity`` and ``none`` take the attributes ``width`` and ``stride``: where these
                change the shape, identity is a ``factorized_reduce``.
            inputs: What it reads. Merges reconcile their shapes, see :meth:`merge`.
            scope: Where it stands in the space, for error messages, names of layers, and drawings.
            **attrs: Attributes of the operation.

        Raises:
            GraphError: Where the operation or an attribute is unknown, or the operation does not take such inputs.
        """
        if op in MERGES:
            return self.merge(inputs, op, scope, **attrs)  # type: ignore[arg-type]
        if op == "identity" or op == "none":
            return self._pass(op, inputs, scope, **attrs)
        found = call(op, tuple(attrs.items()), tuple([value[0] for value in inputs]), scope)
        sources = tuple([value[1] for value in inputs])
        parts = inputs[0][2] if inputs else ()
        if _ZEROS in sources:
            if not found.spec.head and max(sources) == _ZEROS:
                return Value(found.shape, _ZEROS, parts if found.spec.channelwise else ())
            sources = tuple([self._node(value, scope) for value in inputs])
        return self._emit(found, sources, scope, parts)

    def merge(
        self,
        values: Sequence[Value],
        how: Merge,
        scope: str = "",
        *,
        pad: bool = True,
        labels: Sequence[object] | None = None,
    ) -> Value:
        """Merges any number of values; one value is itself.

        Zeros are left out (``concat`` keeps their channels). Where the shapes differ, ``add``, ``mul`` and ``mean`` adapt all values (see
        :meth:`adapt`) to the smallest height and width and the largest number of channels among them; ``concat`` keeps the channels and
        zero-pads maps to the largest height and width (Zoph and Le 2017), or adapts them down to the smallest. Where images meet vectors,
        images become vectors by global average pooling first.

        Args:
            values: At least one.
            how: ``"add"``, ``"mul"``, ``"mean"`` or ``"concat"``.
            scope: Where it stands in the space.
            pad: Whether ``concat`` pads smaller maps rather than shrinking larger ones.
            labels: What tells the values apart in other networks of the space, where not all are merged in each; default: their places.

        Raises:
            GraphError: Where there is nothing to merge, or no rule makes the shapes agree.
        """
        if how not in MERGES:
            raise GraphError(f"At {scope!r}: got the merge {how!r}; expected one of {', '.join(MERGES)}.")
        if not values:
            raise GraphError(
                f"At {scope!r}: got no values to merge; expected at least one. Use zeros(shape) for an empty set."
            )
        named = list(zip(labels or range(len(values)), values))
        if how == "concat":
            return self._concat(named, pad, scope)
        live = [(label, value) for label, value in named if value[1] != _ZEROS]
        if not live:
            return Value(self._merged_shape(values, how, pad, scope), _ZEROS)
        if len(live) == 1:
            return live[0][1]
        merged = [value for _, value in live]
        if len({value[0] for value in merged}) > 1:
            target = self._target(merged, how, pad, scope)
            merged = [self.adapt(value, target, f"{scope}.{label}") for label, value in live]
        parts = merged[0][2]
        if parts and any(value[2] != parts for value in merged):
            merged[0] = merged[0]._replace(parts=())
        return self._join(how, merged, scope)

    def _concat(self, named: list[tuple[object, Value]], pad: bool, scope: str) -> Value:
        """Channels side by side, each remembering where it comes from."""
        values = [value._replace(parts=_labelled(label, value)) for label, value in named]
        if all(value[1] == _ZEROS for value in values):
            return Value(self._merged_shape(values, "concat", pad, scope), _ZEROS)
        if len(values) > 1 and len({value[0][1:] for value in values}) > 1:
            size = self._target(values, "concat", pad, scope)[1:]
            values = [
                self.adapt(value, (value.shape[0], *size), f"{scope}.{label}", pad=pad)
                for (label, _), value in zip(named, values)
            ]
            values = [
                value._replace(parts=value[2] or _labelled(label, value)) for (label, _), value in zip(named, values)
            ]
        if len(values) == 1:
            return values[0]
        parts = tuple([part for value in values for part in value[2]])
        return self._join("concat", values, scope)._replace(parts=parts)

    def _join(self, how: str, values: Sequence[Value], scope: str) -> Value:
        found = call(how, (), tuple([value[0] for value in values]), scope)
        sources = tuple([self._node(value, scope) for value in values])
        return self._emit(found, sources, scope, values[0][2])

    def adapt(self, value: Value, shape: Shape, scope: str = "", *, pad: bool = False) -> Value:
        """Gives a value this shape with the least that does it.

        A map is average-pooled to the smaller size (``resize``; with ``pad`` and to a larger one, zero-padded), then its channels are changed by
        a 1x1 convolution with batch norm. A vector's width is changed by a linear layer. An image becomes a vector by global average
        pooling, a vector an image by standing at every position.

        Raises:
            GraphError: Where the shapes are neither images nor vectors and differ.
        """
        shape = tuple(shape)
        if value.shape == shape:
            return value
        if value.is_zeros:
            return Value(shape, _ZEROS, value.parts if shape[0] == value.shape[0] else ())
        if not {len(value.shape), len(shape)} <= {1, 3}:
            raise GraphError(
                f"At {scope!r}: cannot adapt the shape {value.shape} to {shape}; expected images (C, H, W) or vectors (F,)."
            )
        if _is_vector(shape):
            if not _is_vector(value.shape):
                value = self.add("global_avg_pool", [value], scope=scope)
            return value if value.shape == shape else self.add("linear", [value], scope=scope, width=shape[0])
        channels, height, width = shape
        if _is_vector(value.shape):
            if value.shape[0] != channels:
                value = self.add("linear", [value], scope=scope, width=channels)
            return self.add("expand", [value], scope=scope, height=height, width=width)
        if value.shape[1:] != shape[1:]:
            grows = value.shape[1] <= height and value.shape[2] <= width
            value = self.add("pad" if pad and grows else "resize", [value], scope=scope, height=height, width=width)
        return (
            value if value.shape[0] == channels else self.add("conv_bn", [value], scope=scope, width=channels, kernel=1)
        )

    def template(
        self,
        key: Hashable,
        inputs: Sequence[Value],
        emit: Callable[[Sequence[Value]], Sequence[Value]],
        scope: str = "",
    ) -> tuple[Value, ...]:
        """Emits a subgraph; where the same was emitted before, in any graph of the process, replays it several times faster.

        Args:
            key: Names what ``emit`` does, all choices included; unique in the process.
            inputs: The values the subgraph reads; it may read no others (zeros in it hang on the first input of the network).
            emit: Adds the subgraph to this builder, given ``inputs``, and returns its values. All its scopes begin with ``scope``.
            scope: Where the subgraph stands.
        """
        first = [*(value[1] for value in inputs), 0]
        alias = tuple([_ZEROS if node == _ZEROS else first.index(node) for node in first])
        full = (key, tuple([(value[0], value[2]) for value in inputs]), alias, self._calls[0])
        start = len(self._calls)
        found = _TEMPLATES.get(full)
        if found is None:
            results = tuple(emit(inputs))
            if len(_TEMPLATES) >= _TEMPLATES_KEPT:
                del _TEMPLATES[next(iter(_TEMPLATES))]
            _TEMPLATES[full] = self._record(start, first, results, scope)
            return results
        nodes = [*first]
        count = len(first)
        for step, sources, suffix, parts in found.steps:
            self._inputs.append(tuple([nodes[source] for source in sources]))
            self._calls.append(step)
            self._scopes.append(scope + suffix)
            self._parts.append(parts)
            nodes.append(start + len(nodes) - count)
        return tuple(
            [Value(shape, _ZEROS if node == _ZEROS else nodes[node], parts) for shape, node, parts in found.results]
        )

    def finish(self, outputs: Sequence[Value]) -> Graph:
        """The graph of these outputs, without the nodes that none of them needs; equal nodes without weights on equal inputs are one.

        Raises:
            GraphError: Where the outputs are not those of the signature.
        """
        expected, positions = self.signature.outputs, self.signature.positions
        if len(outputs) != len(expected) or any(
            value.shape[:1] != (units,) or (value.shape[1:] != positions and (positions or len(value.shape) == 2))
            for value, units in zip(outputs, expected)
        ):
            got = ", ".join(str(value.shape) for value in outputs) or "none"
            at = f" at each of {' x '.join(map(str, positions))} positions" if positions else ""
            raise GraphError(
                f"Got outputs of shape {got}; expected {len(expected)} of {', '.join(map(str, expected))} units{at}. "
                f"End each with a {'positionwise_linear' if positions else 'linear'} layer of the signature's width."
            )
        roots = [self._node(value, "output") for value in outputs]
        return assemble(self.signature, self._calls, self._inputs, self._scopes, roots, self._parts)

    def _emit(self, found: Call, sources: tuple[int, ...], scope: str, parts: Parts = ()) -> Value:
        """Adds a node; `parts` are those of what it reads."""
        self._calls.append(found)
        self._inputs.append(sources)
        self._scopes.append(scope)
        self._parts.append(parts)
        return Value(found.shape, len(self._calls) - 1, parts if found.spec.channelwise else ())

    def _node(self, value: Value, scope: str) -> int:
        """The node of a value; zeros become one, which hangs on the first input to know the size of the batch."""
        if value[1] != _ZEROS:
            return value[1]
        found = call("zeros", (("shape", value.shape),), (self._calls[0].shape,))
        return self._emit(found, (0,), f"{scope}.zeros" if scope else "zeros").node

    def _pass(self, op: Op, inputs: Sequence[Value], scope: str, width: int | None = None, stride: int = 1) -> Value:
        if len(inputs) != 1:
            raise GraphError(f"At {scope!r}: operation {op!r} got {len(inputs)} inputs, expected 1.")
        value = inputs[0]
        width = width or value.shape[0]
        if width == value.shape[0] and (stride == 1 or len(value.shape) == 1):
            return value if op == "identity" else Value(value.shape, _ZEROS)
        if op == "identity" and len(value.shape) == 1:
            return self.adapt(value, (width,), scope)
        found = call("factorized_reduce", (("width", width), ("stride", stride)), (value.shape,), scope)
        if op == "none" or value.is_zeros:
            return Value(found.shape, _ZEROS)
        return self._emit(found, (value.node,), scope, value.parts)

    def _target(self, values: Sequence[Value], how: str, pad: bool, scope: str) -> Shape:
        shapes = [value.shape for value in values]
        ranks = {len(shape) for shape in shapes}
        if not ranks <= {1, 3}:
            raise GraphError(
                f"At {scope!r}: cannot {how} the shapes {', '.join(map(str, shapes))}; expected images (C, H, W) or vectors (F,)."
            )
        channels = max(shape[0] for shape in shapes)
        if 1 in ranks:
            return (channels,)
        size = max if how == "concat" and pad else min
        return (channels, size(shape[1] for shape in shapes), size(shape[2] for shape in shapes))

    def _merged_shape(self, values: Sequence[Value], how: str, pad: bool, scope: str) -> Shape:
        if how != "concat":
            shapes = {value.shape for value in values}
            return shapes.pop() if len(shapes) == 1 else self._target(values, how, pad, scope)
        target = (
            self._target(values, how, pad, scope) if len({value.shape for value in values}) > 1 else values[0].shape
        )
        return (sum(value.shape[0] for value in values), *target[1:])

    def _record(self, start: int, first: list[int], results: tuple[Value, ...], scope: str) -> _Template:
        local = {node: place for place, node in reversed(list(enumerate(first)))}
        local.update({node: len(first) + node - start for node in range(start, len(self._calls))})
        try:
            steps = tuple(
                (
                    self._calls[node],
                    tuple([local[source] for source in self._inputs[node]]),
                    self._scopes[node].removeprefix(scope),
                    self._parts[node],
                )
                for node in range(start, len(self._calls))
            )
            return _Template(
                steps,
                tuple(
                    (value.shape, value.node if value.is_zeros else local[value.node], value.parts) for value in results
                ),
            )
        except KeyError as error:
            raise GraphError(
                f"At {scope!r}: a template read the node {error}, expected only its inputs and its own nodes."
            ) from error


def _labelled(label: object, value: Value) -> Parts:
    """The parts of a value as parts of a longer one."""
    return tuple([(f"{label}/{name}", size) for name, size in value.parts]) or ((str(label), value.shape[0]),)


def _is_vector(shape: Shape) -> bool:
    return len(shape) == 1
