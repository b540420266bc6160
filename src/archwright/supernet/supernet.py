"""The supernet: one module that holds the weights of every network of a space."""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from archwright.errors import ArchwrightError, SupernetError
from archwright.graph.graph import Graph, Node, Parts, as_tuples
from archwright.graph.measure import make_block
from archwright.graph.module import Network, build, seeded
from archwright.graph.names import names
from archwright.graph.ops import get_op, load_block, op_from_name, op_name
from archwright.graph.shapes import Call
from archwright.problem import Architecture, Signature
from archwright.space import Space
from archwright.space.covering import covering
from archwright.supernet.elastic import check_elastic
from archwright.supernet.mixing import Entangled, Mix, Mixture, Relaxed, Weights, expected, listed
from archwright.supernet.mixture import mixture_graph
from archwright.supernet.place import Cut, Key, Place, key_of, owner_of, shape_of, tensors, unfilled
from archwright.supernet.sorting import sort_units

Binding = tuple[dict[str, Any], str, str, Cut, tuple[tuple[str, tuple[int, ...], Tensor], ...]]
"""A tensor of a setting's module: the dictionary it stands in, its name there, the shared tensor's name, the part of it, and the masks."""

_KEPT = 512
"""Paths and mixtures whose modules are remembered."""


class _Run(NamedTuple):
    """A network on shared weights: what binds its modules to them, its weighted sums, and the blocks that weigh settings themselves."""

    network: Network
    bindings: list[tuple[Place, list[Binding]]]
    mixes: list[Mix]
    relaxed: list[tuple[Any, dict[str, Relaxed]]]


class Supernet(nn.Module):
    """All networks of a space in one module, with weights in common.

    Each operation has its weights at its place in the space: architectures that have it there share them, and where only its elastic attributes
    (width, kernel, expansion, heads, number of blocks) differ, a smaller setting uses a part of the weights of the largest one. An architecture
    is a path: ``supernet(x, architecture)`` gives what its own network gives with these weights. ``supernet(x, weights)`` gives a mixture, the
    options of each choice weighted and summed.

    >>> from archwright.space import get_space
    >>> space = get_space("nas-bench-201", channels=4, cells=1)
    >>> net = Supernet(space, Signature(((1, 8, 8),), (3,)))
    >>> tuple(net(torch.zeros(2, 1, 8, 8), space.sample(np.random.default_rng(0))).shape)
    (2, 3)

    Args:
        space: What is searched.
        signature: Input shapes and output sizes of the networks.
        seed: Of the weights.
        elastic: Attributes whose settings share weights, such as ``("width", "kernel")``; the settings of all others are kept apart. Default: all
            for which the operation at hand can do so.
        partial: In mixtures, choices among operations see one of this many channels, and the others pass them by (Xu et al. 2020).
        transforms: Whether a smaller kernel is a learned linear function of the centre of a larger one (Cai et al. 2020) and not the centre itself.

    Raises:
        SupernetError: Where the space has no choices, or an attribute named in ``elastic`` cannot be shared by an operation that chooses it.
    """

    def __init__(
        self,
        space: Space,
        signature: Signature,
        *,
        seed: int = 0,
        elastic: Sequence[str] | None = None,
        transforms: bool = False,
        partial: int = 1,
    ) -> None:
        super().__init__()
        if not isinstance(space, Space) or not space.choices():
            raise SupernetError(
                f"Got the space {getattr(space, 'name', space)!r}, in which nothing is chosen; expected an archwright.Space with choices that share weights."
            )
        self.space, self.signature, self.seed, self.transforms, self.partial = (
            space,
            signature,
            seed,
            transforms,
            partial,
        )
        self.elastic = None if elastic is None else frozenset(elastic)
        self.counts = {info.address: len(info.labels) for info in space.choices()}
        self.version = 0
        self._places: dict[Key, Place] = {}
        self._runs: OrderedDict[Any, _Run] = OrderedDict()
        self._shells: dict[tuple[Key, Any, Parts], tuple[nn.Module, list[Binding]]] = {}
        check_elastic(space, self.elastic)
        for architecture in covering(space, np.random.default_rng([seed, 0x5FE7])):
            try:
                graph = space.graph(architecture, signature)
            except ArchwrightError:
                continue
            for index, node in _weighted(graph):
                self._meet(node, _parts(graph, index))
        for key, place in self._places.items():
            self._build(key, place)

    def _meet(self, node: Node, parts: Parts) -> tuple[Key, Place, bool]:
        """The place of a node, with room for it; and whether that is new or grew."""
        key, elastic = key_of(node, self.elastic)
        place = self._places.get(key)
        if place is None:
            default = dict(node.call.spec.attributes)
            apart = ",".join(f"{name}={value}" for name, value in key[2] if default.get(name, _UNSET) != value)
            title = f"{node.scope.replace('.', '/')}:{node.call.spec.name}" + (f"[{apart}]" if apart else "")
            place = self._places[key] = Place.of(title.replace(".", ","), node, parts, elastic)
            return key, place, True
        return key, place, place.take(node.call, parts)

    def _build(self, key: Key, place: Place) -> None:
        """Makes the weights of a place; they depend on the place and the seed only."""
        digest = hashlib.blake2b(f"{self.seed}:{place.name}".encode(), digest_size=7).digest()
        with seeded(int.from_bytes(digest, "big")):
            place.build()
        assert place.block is not None
        self.add_module(place.name, place.block.train(self.training))
        sizes = sorted(place.kernels, reverse=True)
        if self.transforms and len(sizes) > 1:
            holder = nn.ParameterDict()
            for large, small in itertools.pairwise(sizes):
                matrix = place.transforms.setdefault((large, small), nn.Parameter(torch.eye(small * small)))
                holder[f"{large}to{small}"] = matrix
            self.add_module(f"{place.name}:kernels", holder)
        self._shells = {known: shell for known, shell in self._shells.items() if known[0] != key}
        self._runs.clear()
        self.version += 1

    def forward(
        self, x: Tensor, how: Architecture | Mapping[str, Any], active: Mapping[str, Sequence[int]] | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Runs one path or a mixture.

        Args:
            x: Inputs ``(N, *shape)``.
            how: An architecture; or for each choice (by its address) the weights of its options, a tensor ``(options,)`` or a sequence of numbers
                or ``None`` each, or an option's index where it is made. Where the choice of what a node of a dag reads has neither, it reads all.
            active: Options that are computed, by address; the weights of the others only pass on their gradient. Default: all whose weight is
                not ``None``.

        Returns:
            The outputs ``(N, units)``, or a tuple of them where there are several.
        """
        run, weights = self._run(how, active)
        for mix in run.mixes:
            mix.weights = weights
        for block, choices in run.relaxed:
            block.mixed = {key: choice.weighed(weights) for key, choice in choices.items()}  # type: ignore[arg-type]
        made = self._made(how)
        for place, bindings in run.bindings:
            whole = made(place)
            for holder, leaf, name, cut, mixed in bindings:
                value = place.part(whole[name], cut)
                for address, options, mask in mixed:
                    value = value * expected(weights[address], options, mask)  # type: ignore[index]
                holder[leaf] = value
        for block in run.network.children():
            if block.training != self.training:
                block.train(self.training)
        result: Tensor | tuple[Tensor, ...] = run.network(x)
        return result

    def foresee(self, architectures: Sequence[Architecture]) -> None:
        """Makes room for architectures, so that none of them grows the weights while gradients of another are on them."""
        for architecture in architectures:
            self._run(architecture, None)

    def sort(self) -> list[str]:
        """Puts the most important units of every operation first, which changes no network that has them all; returns the parameters that moved.

        Of operations with units inside: see :mod:`archwright.supernet.sorting`.
        """
        moved = []
        for place in self._places.values():
            assert place.block is not None
            if sort_units(place.spec.name, place.block) is not None:
                moved += [f"{place.name}.{name}" for name, _ in place.block.named_parameters()]
        return moved

    def generate_by(self, hyper: nn.Module) -> None:
        """Lets a hypernetwork, whose ``at(architecture)`` gives a function of a place, the name of a tensor there and its value, make the weights; it becomes a part of the supernet."""
        self.add_module("hypernetwork", hyper)
        self.version += 1
        self._runs.clear()
        self._shells.clear()

    def _made(self, how: Any) -> Callable[[Place], dict[str, Tensor]]:
        """The tensors of a place, as an architecture uses them."""
        hyper: Any = self._modules.get("hypernetwork")
        if hyper is None or not isinstance(how, Architecture):
            return lambda place: place.whole
        generate = hyper.at(how)
        return lambda place: {name: generate(place, name, tensor) for name, tensor in place.whole.items()}

    def _run(
        self, how: Architecture | Mapping[str, Any], active: Mapping[str, Sequence[int]] | None
    ) -> tuple[_Run, Weights | None]:
        weights: dict[str, Sequence[Tensor | None]] | None = None
        key: Any = how
        if not isinstance(how, Architecture):
            fixed = {address: int(given) for address, given in how.items() if isinstance(given, int)}
            weights = {
                address: listed(address, given, self.counts) for address, given in how.items() if address not in fixed
            }
            chosen = {
                address: tuple((active or {}).get(address, (i for i, value in enumerate(given) if value is not None)))
                for address, given in weights.items()
            }
            key = (tuple(sorted(fixed.items())), tuple(sorted(chosen.items())))
        run = self._runs.get(key)
        if run is None:
            if isinstance(how, Architecture):
                run = self._compile(Mixture(self.space.graph(how, self.signature), {}, {}))
            else:
                run = self._compile(
                    mixture_graph(self.space._bound, fixed, chosen, self.counts, self.signature, self.partial)
                )
            self._runs[key] = run
            while len(self._runs) > _KEPT:
                self._runs.popitem(last=False)
        self._runs.move_to_end(key)
        return run, weights

    def _compile(self, mixture: Mixture) -> _Run:
        """The network of a graph on the shared weights."""
        graph = mixture.graph
        met = {index: self._meet(node, _parts(graph, index)) for index, node in _weighted(graph)}
        for key, place, grew in met.values():
            if grew:
                self._build(key, place)
        bindings: list[tuple[Place, list[Binding]]] = []
        mixes: list[Mix] = []
        relaxed: list[tuple[Any, dict[str, Relaxed]]] = []

        def make(index: int, node: Node) -> Any:
            if node.op is Mix:
                mixes.append(Mix(**dict(node.attrs)))
                return mixes[-1]
            if index not in met:
                return make_block(node.call.spec, node.attrs, node.call.inputs)
            key, place, _ = met[index]
            where = node.scope, node.call.spec.name
            weighed = mixture.relaxed.get(where, {})
            block, bound = self._shell(
                key, place, node, _parts(graph, index), mixture.entangled.get(where, {}), bool(weighed)
            )
            if weighed:
                relaxed.append((block, weighed))
            if bound:
                bindings.append((place, bound))
            return block

        return _Run(Network(graph, make), bindings, mixes, relaxed)

    def _shell(
        self, key: Key, place: Place, node: Node, parts: Parts, mixed: Mapping[str, Entangled], weighed: bool
    ) -> tuple[nn.Module, list[Binding]]:
        """A module of this setting whose tensors are bound to parts of the shared ones before each run; the shared module itself where that is it."""
        alone = not mixed and not weighed
        if alone and (key, node.call, parts) in self._shells:
            return self._shells[key, node.call, parts]
        assert place.block is not None
        cuts = place.cuts(node.call, parts)
        whole = place.whole
        largest = dict(node.attrs) == place.attrs and all(
            cut.ranges == tuple(((0, size),) for size in whole[name].shape) for name, cut in cuts.items()
        )
        if "hypernetwork" not in self._modules and largest and alone and cuts.keys() == whole.keys():
            found: tuple[nn.Module, list[Binding]] = place.block, []
        else:
            shell = unfilled(node, weighed)
            bound: list[Binding] = []
            for name, cut in cuts.items():
                owner, leaf = owner_of(shell, name)
                parameter = leaf in owner._parameters
                factors = tuple(
                    (found.address, found.options, found.masks[name])
                    for found in mixed.values()
                    if parameter and name in found.masks
                )
                bound.append((owner._parameters if parameter else owner._buffers, leaf, name, cut, factors))
            found = shell, bound
        if alone:
            self._shells[key, node.call, parts] = found
        return found

    @property
    def places(self) -> tuple[Place, ...]:
        """Where weights are shared."""
        return tuple(self._places.values())

    def _apply(self, fn: Any, recurse: bool = True) -> Supernet:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for place in self._places.values():
            place.whole = tensors(place.block)  # type: ignore[arg-type]
        return self

    def layout(self) -> list[Any]:
        """The places and the sizes of their weights, as JSON values."""
        return [
            [
                *(op_name(place.op), key, place.name, sorted(place.elastic), place.attrs, place.inputs),
                *(place.parts, sorted(place.kernels)),
            ]
            for key, place in self._places.items()
        ]

    def restore(self, layout: list[Any]) -> None:
        """Makes all places as large as they were where :meth:`layout` was called; weights of state dicts from there fit then."""
        for op, key, name, elastic, attrs, inputs, parts, kernels in layout:
            key = as_tuples(key)
            place = self._places.get(key)
            plain = {attribute: as_tuples(value) for attribute, value in attrs.items()}
            if place is None:
                kind = op_from_name(op)
                place = Place(name, kind, key[0], get_op(kind), frozenset(elastic), plain, as_tuples(inputs))
                self._places[key] = place
            elif (place.attrs, place.inputs, place.parts, place.kernels) == (
                plain,
                as_tuples(inputs),
                parts,
                set(kernels),
            ):
                continue
            place.attrs, place.inputs, place.parts, place.kernels = plain, as_tuples(inputs), dict(parts), set(kernels)
            place.forget()
            self._build(key, place)

    def graph(self, architecture: Architecture) -> Graph:
        """The graph of an architecture for this supernet's signature."""
        return self.space.graph(architecture, self.signature)

    @torch.no_grad()
    def weights_of(self, architecture: Architecture) -> dict[str, Tensor]:
        """The state dict of an architecture's own network, as it is in the supernet.

        Args:
            architecture: Of the space.
        """
        graph, state = self.graph(architecture), {}
        labels = names(graph)
        met = [(index, node, *self._meet(node, _parts(graph, index))) for index, node in _weighted(graph)]
        for _, _, key, place, grew in met:
            if grew:
                self._build(key, place)
        made = self._made(architecture)
        for index, node, _, place, _ in met:
            whole = made(place)
            for name, cut in place.cuts(node.call, _parts(graph, index)).items():
                state[f"{labels[index]}.{name}"] = place.part(whole[name], cut).detach().clone()
        return state

    def extract(self, architecture: Architecture) -> Network:
        """The ordinary network of an architecture, with a copy of its weights."""
        network = build(self.graph(architecture), seed=0)
        network.load_state_dict(self.weights_of(architecture))
        return network.train(self.training)


_UNSET = object()


def _weighted(graph: Graph) -> Iterator[tuple[int, Node]]:
    """The nodes that have weights."""
    return (
        (index, node)
        for index, node in graph.operations()
        if node.op is not Mix and isinstance(load_block(node.call.spec.block), type) and _has_state(node.call)
    )


_STATEFUL: dict[Call, bool] = {}


def _has_state(call: Call) -> bool:
    found = _STATEFUL.get(call)
    if found is None:
        found = _STATEFUL[call] = bool(tensors(shape_of(call)))
    return found


def _parts(graph: Graph, index: int) -> Parts:
    return graph.parts[index] if graph.parts else ()
