"""The graph of a mixture: all open options of every choice at once, their results weighted and summed (Liu et al., DARTS, ICLR 2019,
arXiv 1806.09055).

A choice among settings of one operation that are slices of one another is mixed in the weights and not in the results: a sum of slices, each
times its weight, is one tensor, and the operation runs once (Sukthanker et al., weight entanglement, arXiv 2312.10440). A choice among settings that
an operation's block can weigh itself is left to it: a recurrent cell weighs what its nodes read within each step, and runs over the sequence once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from archwright.errors import SupernetError
from archwright.graph.build import GraphBuilder, Value
from archwright.graph.ops import PASSING, get_op, load_block
from archwright.graph.shapes import call
from archwright.problem import Signature
from archwright.space.bound import Bound, BoundChoice, BoundDag, BoundNode, BoundOp, BoundParallel, BoundRepeat, join
from archwright.space.emit import Around, Emission, Values
from archwright.supernet.mixing import Beside, Entangled, Front, Mix, Mixture, Relaxed, Term, Terms, Where
from archwright.supernet.place import masks


def mixture_graph(
    root: Bound,
    fixed: Mapping[str, int],
    active: Mapping[str, tuple[int, ...]],
    counts: Mapping[str, int],
    signature: Signature,
    partial: int = 1,
) -> Mixture:
    """The graph in which all active options are computed.

    Args:
        root: The bound expression.
        fixed: Choices that are made.
        active: For the others the options that are computed. A choice of what a node of a dag reads may be in neither: then all is read.
        counts: The number of options of each choice.
        signature: Of the network.
        partial: Choices among operations see one of this many channels, the others pass them by (PC-DARTS: Xu et al. 2020, arXiv 1907.05737).

    Raises:
        SupernetError: Where options cannot be mixed.
    """
    builder = GraphBuilder(signature)
    run = _Mixture(builder, dict(fixed), signature, active, counts, partial)
    outputs = run.emit(root, tuple(builder.input(index) for index in range(len(signature.inputs))), "", Around())
    return Mixture(builder.finish(outputs), run.entangled, run.relaxed)


class _Mixture(Emission):
    choices: dict[str, int]

    def __init__(
        self,
        builder: GraphBuilder,
        choices: dict[str, int],
        signature: Signature,
        active: Mapping[str, tuple[int, ...]],
        counts: Mapping[str, int],
        partial: int,
    ) -> None:
        super().__init__(builder, choices, signature)
        self.active, self.counts, self.partial = active, counts, partial
        self.entangled: dict[Where, dict[str, Entangled]] = {}
        self.relaxed: dict[Where, dict[str, Relaxed]] = {}

    def emit(self, node: Bound, values: Values, scope: str, around: Around) -> Values:
        """Adds all that the node may be."""
        if isinstance(node, BoundChoice) and self._open(node.address):
            if self.partial > 1 and self._divisible(values):
                return (self._beside(node, values[0], scope, around),)
            return self._each(
                node.address,
                scope,
                lambda option: self.emit(node.options[option], values, join(scope, node.segments[option]), around),
            )
        if isinstance(node, BoundRepeat) and self._open(node.times.address):
            return self._prefixes(node, values, scope, around)
        return super().emit(node, values, scope, around)

    def _divisible(self, values: Values) -> bool:
        return len(values) == 1 and len(values[0].shape) == 3 and values[0].shape[0] % self.partial == 0

    def _beside(self, node: BoundChoice, value: Value, scope: str, around: Around) -> Value:
        """The mixture of a choice on some of the channels, the others beside it; on all where an option changes their number."""
        part = self.builder.add(Front, [value], scope=scope, width=value.shape[0] // self.partial)
        narrow = around._replace(width=part.shape[0]) if around.width == value.shape[0] else around

        def option(index: int, given: Value, near: Around) -> Values:
            return self.emit(node.options[index], (given,), join(scope, node.segments[index]), near)

        (mixed,) = self._each(node.address, scope, lambda index: option(index, part, narrow))
        if mixed.shape[0] != part.shape[0] or mixed.is_zeros or value.is_zeros:
            return self._each(node.address, scope, lambda index: option(index, value, around))[0]
        return self.builder.add(Beside, [mixed, value], scope=scope, groups=self.partial)

    def _open(self, address: str | None) -> bool:
        return address is not None and address not in self.choices

    def _options(self, address: str | None) -> tuple[int, ...]:
        assert address is not None
        if address not in self.active:
            raise SupernetError(
                f"Got no weights for the choice {address!r}; a mixture needs those of every choice that is not made."
            )
        return self.active[address]

    @contextmanager
    def _under(self, address: str, option: int) -> Iterator[None]:
        """A choice made for a while."""
        self.choices[address] = option
        try:
            yield
        finally:
            del self.choices[address]

    def _part(self, node: Any, values: Values, scope: str, around: Around) -> Values:
        return self.emit(node.body, values, scope, around)

    def _each(self, address: str | None, scope: str, emit: Callable[[int], Values]) -> Values:
        """The mixture of what the options of a choice give."""
        assert address is not None
        options = self._options(address)
        results = []
        for option in options:
            with self._under(address, option):
                results.append(emit(option))
        return self._mixed(address, options, results, scope)

    def _mixed(self, address: str, options: Sequence[int], results: Sequence[Values], scope: str) -> Values:
        if len({len(values) for values in results}) > 1:
            raise SupernetError(
                f"At {scope!r}: the options of {address!r} give {', '.join(str(len(v)) for v in results)} values, which cannot be mixed."
            )
        return tuple(
            self._mix([(((address, (option,), False),), value) for option, value in zip(options, column)], scope)
            for column in zip(*results)
        )

    def _mix(self, named: list[tuple[Terms, Value]], scope: str) -> Value:
        """The weighted sum; larger maps are pooled to the size of the smallest."""
        shapes = [value.shape for _, value in named]
        if len({len(shape) for shape in shapes}) > 1:
            raise SupernetError(
                f"At {scope!r}: cannot mix results of the shapes {', '.join(map(str, shapes))}; expected all images or all vectors."
            )
        size = tuple(min(sizes) for sizes in zip(*(shape[1:] for shape in shapes)))
        live = []
        for index, (terms, value) in enumerate(named):
            if value.shape[1:] != size and not value.is_zeros:
                value = self.builder.add("resize", [value], scope=f"{scope}.{index}", height=size[0], width=size[1])
            if not value.is_zeros:
                live.append((terms, value))
        width = max(shape[0] for shape in shapes)
        if not live:
            return self.builder.zeros((width, *size))
        if all(value.shape[0] < width for _, value in live):
            live.append(((), self.builder.zeros((width, *size))))
        mixed = self.builder.add(
            Mix,
            [value for _, value in live],
            scope=join(scope, "mix"),
            terms=tuple(terms for terms, _ in live),
            rest=self._rest(named),
        )
        parts = {value.parts for _, value in live}
        return mixed._replace(parts=parts.pop()) if len(parts) == 1 else mixed

    def _rest(self, named: list[tuple[Terms, Value]]) -> Terms:
        """The options that are not computed, of the choice that the values are the options of."""
        addresses = {term[0] for terms, _ in named for term in terms}
        if len(addresses) != 1 or any(len(terms) != 1 or terms[0][2] for terms, _ in named):
            return ()
        address = addresses.pop()
        taken = {option for terms, _ in named for option in terms[0][1]}
        closed = tuple(sorted(set(range(self.counts.get(address, 0))) - taken))
        return ((address, closed, False),) if closed else ()

    def _prefixes(self, node: BoundRepeat, values: Values, scope: str, around: Around) -> Values:
        address = node.times.address
        options = self._options(address)
        assert address is not None
        counts = {node.times.values[option]: option for option in options}
        found = {0: values}
        for index in range(max(counts)):
            values = self.emit(node.items[index], values, join(scope, node.segments[index]), around)
            found[index + 1] = values
        return self._mixed(address, list(counts.values()), [found[count] for count in counts], scope)

    def _op(self, node: BoundOp, values: Values, scope: str, around: Around) -> Values:
        for key, decided in node.decided:
            if self._open(decided.address):
                assert decided.address is not None
                made = self._relax(node, decided.address, scope or node.source.title)
                if made is None:
                    made = self._entangle(
                        node, key, decided.values, decided.address, values, scope or node.source.title, around
                    )
                if made is None:
                    return self._each(decided.address, scope, lambda _: self._op(node, values, scope, around))
                with self._under(decided.address, made):
                    return self._op(node, values, scope, around)
        return super()._op(node, values, scope, around)

    def _relax(self, node: BoundOp, address: str, scope: str) -> int | None:
        """The first option of a choice that the block weighs itself; ``None`` where it does not."""
        op = node.source.op
        keys = {key: decided for key, decided in node.decided if decided.address == address}
        if op in PASSING or op == "adapt" or not keys.keys() <= set(get_op(op).relaxed):
            return None
        options = self._options(address)
        found = self.relaxed.setdefault((scope, get_op(op).name), {})
        for key, decided in keys.items():
            found[key] = Relaxed(address, options, tuple(decided.values[option] for option in options))
        return options[0]

    def _entangle(
        self,
        node: BoundOp,
        key: str,
        settings: tuple[Any, ...],
        address: str | None,
        values: Values,
        scope: str,
        around: Around,
    ) -> int | None:
        """The largest option of a choice whose options are slices of it; ``None`` where they are not."""
        op = node.source.op
        options = self._options(address)
        assert address is not None
        if op in PASSING or op == "adapt" or key == "stride" or key not in get_op(op).elastic:
            return None
        largest = next((o for o in options if all(_covers(settings[o], settings[other]) for other in options)), None)
        if (
            largest is None
            or not isinstance(load_block(get_op(op).block), type)
            or any(value.is_zeros for value in values)
        ):
            return None
        with self._under(address, largest):
            others = {d.address: len(d.values) - 1 for _, d in node.decided if self._open(d.address)}
            self.choices.update({a: o for a, o in others.items() if a is not None})
            attributes = self._attributes(node, values, scope, around)
            for a in others:
                self.choices.pop(a, None)  # type: ignore[arg-type]
        shapes = tuple(value.shape for value in values)
        calls = [call(op, tuple((attributes | {key: settings[option]}).items()), shapes, scope) for option in options]
        found = masks(calls[options.index(largest)], calls)
        if not found:
            return None
        self.entangled.setdefault((scope, get_op(op).name), {})[address] = Entangled(address, options, found)
        return largest

    def _parallel(self, node: BoundParallel, values: Values, scope: str, around: Around) -> Values:
        if not self._open(node.merge.address):
            return super()._parallel(node, values, scope, around)
        results: list[Value] = []
        for segment, branch in zip(node.segments, node.branches):
            results.extend(self.emit(branch, values, join(scope, segment), around))
        return self._each(
            node.merge.address, scope, lambda option: (self._merge(results, node.merge.values[option], scope),)
        )

    def _dag(self, dag: BoundDag, values: Values, scope: str, around: Around) -> Values:
        inner, reading = self._around(dag, values, scope, around)
        states = list(values)
        unread: dict[int, list[Term] | None] = {dag.inputs + index: [] for index in range(len(dag.nodes))}
        for node in dag.nodes:
            edges = self._edges(node, dag.inputs)
            strengths = f"{dag.address}.{node.segment}:edges"
            if strengths in self.active:
                every = dict.fromkeys(edge for read in node.reads for option in read.sets for edge in option)
                for index, edge in enumerate(every):
                    if edge in edges:
                        edges[edge] = (*edges[edge], (strengths, (index,), False))
            results = []
            for (source, slot), terms in edges.items():
                op, state = node.ops[slot], states[source]
                if source in unread:
                    unread[source] = _not_read(unread[source], tuple(t for t in terms if t[0] != strengths))
                near = reading if source < dag.inputs else inner
                given = self.emit(op, (state,), join(scope, node.segments[slot]), near) if op else (state,)
                here = join(scope, node.segments[slot])
                results.append(self._mix([(terms, given[0])], here) if terms else given[0])
            states.append(self._node(node, results, [slot for _, slot in edges], any(edges.values()), scope, inner))
        if dag.output == "last":
            return (states[-1],)
        kept, labels = [], []
        for index in range(dag.inputs, len(states)):
            factors = [] if dag.output == "nodes" else unread[index]
            if factors is not None:
                labels.append(index)
                kept.append(
                    self._mix([(tuple(factors), states[index])], join(scope, f"node{index}"))
                    if factors
                    else states[index]
                )
        return (self._merge(kept, "concat", scope, labels),)

    def _edges(self, node: BoundNode, inputs: int) -> dict[tuple[int, int], Terms]:
        """What a node may read, and the factors of the weight of each."""
        found: dict[tuple[int, int], Terms] = {}
        nothing: list[Term] | None = []
        for read in node.reads:
            options: tuple[int, ...]
            if read.address is None or read.address in self.choices:
                options = (0 if read.address is None else self.choices[read.address],)
            else:
                options = self.active.get(read.address, tuple(range(len(read.sets))))
            weighted = read.address in self.active and read.address not in self.choices
            for edge in dict.fromkeys(edge for option in options for edge in read.sets[option]):
                having = tuple(option for option in options if edge in read.sets[option])
                everywhere = not weighted or (len(having) == len(options) and len(options) == len(read.sets))
                found[edge] = () if everywhere else ((str(read.address), having, False),)
            empty = tuple(option for option in options if not read.sets[option])
            if not empty or nothing is None or (not weighted and len(empty) < len(options)):
                nothing = None
            elif weighted:
                nothing.append((str(read.address), empty, False))
        if nothing is not None:
            found.update({(source, source): tuple(nothing) for source in range(inputs)})
        return found

    def _node(
        self, node: BoundNode, results: list[Value], slots: list[int], weighted: bool, scope: str, inner: Around
    ) -> Value:
        here = join(scope, node.segment)

        def merged(how: str) -> Values:
            if weighted and how in ("mul", "mean"):
                raise SupernetError(
                    f"At {here!r}: which states are read cannot be mixed under the merge {how!r}; expected add or concat."
                )
            value = self._merge(results, how, here, slots)
            return self.emit(node.node, (value,), here, inner) if node.node else (value,)

        if self._open(node.merge.address):
            return self._each(node.merge.address, here, lambda option: merged(node.merge.values[option]))[0]
        return merged(node.merge.of(self.choices))[0]


def _not_read(before: list[Term] | None, terms: Terms) -> list[Term] | None:
    """The factors of a state's weight in the output, once a node reads it with a weight of these factors."""
    if before is None or len(terms) != 1:
        return None
    return [*before, (terms[0][0], terms[0][1], True)]


def _covers(one: Any, other: Any) -> bool:
    """Whether a setting, a number or a tuple of numbers, is nowhere smaller than another."""
    if isinstance(one, bool | str) or isinstance(other, bool | str) or one is None or other is None:
        return False
    pairs = zip(one, other) if isinstance(one, tuple) and isinstance(other, tuple) else [(one, other)]
    return all(a >= b for a, b in pairs)
