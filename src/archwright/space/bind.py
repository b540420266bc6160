"""Gives every choice of an expression its address: the expression, unrolled, ready to be decided and built."""

from __future__ import annotations

from itertools import combinations, count
from typing import Any, Final

from archwright.errors import SpaceError
from archwright.space.bound import (
    Bound,
    BoundChain,
    BoundChoice,
    BoundDag,
    BoundEdges,
    BoundNode,
    BoundOp,
    BoundParallel,
    BoundPart,
    BoundRepeat,
    BoundTake,
    BoundValue,
    join,
)
from archwright.space.decisions import Once, Pick, Plan, joined, picks
from archwright.space.expression import (
    Chain,
    Choice,
    Dag,
    Expression,
    Op,
    Parallel,
    Repeat,
    Shared,
    Symbol,
    Take,
    labels,
    segments,
    values_of,
    weights_of,
)

_TOKENS: Final = count(1)


class Binder:
    """Binds one expression; remembers what is shared and which addresses are taken."""

    def __init__(self) -> None:
        self._shared: dict[str, Any] = {}
        self._addresses: set[str] = set()
        self._tokens: dict[Expression, int] = {}

    def pick(
        self,
        address: str,
        names: tuple[str, ...],
        options: tuple[Plan, ...],
        weights: tuple[float, ...] | None = None,
    ) -> Plan:
        """A decision among options; none is needed where there is one only."""
        if len(names) == 1:
            return options[0]
        if address in self._addresses:
            raise SpaceError(
                f"Two choices have the address {address!r}. Give one of the expressions there another name."
            )
        self._addresses.add(address)
        return (Pick(address, names, options, weights),)

    def value(self, value: Any, path: str, key: str) -> BoundValue:
        """An attribute value: constant, chosen, or chosen in one place for many."""
        if isinstance(value, Shared):
            assert value.name is not None
            if value.name not in self._shared:
                inner = self._decided(value, value.name)
                plan: Plan = (Once(value.name, inner.plan),) if inner.plan else ()
                self._shared[value.name] = BoundValue(plan, inner.address, inner.values)
            found: BoundValue = self._shared[value.name]
            return found
        if isinstance(value, Choice):
            return self._decided(value, join(path, value.name or key))
        return BoundValue((), None, (value,))

    def _decided(self, value: Choice | Shared, address: str) -> BoundValue:
        options = values_of(value)
        plan = self.pick(address, labels(options), ((),) * len(options), weights_of(value))
        return BoundValue(plan, address if plan else None, options)

    def bind(self, expression: Expression, path: str) -> Bound:
        """Binds an expression at an address."""
        if isinstance(expression, Op):
            return self._op(expression, path)
        if isinstance(expression, Choice):
            return self._choice(expression, path)
        if isinstance(expression, Chain):
            parts, names = self._all(expression.parts, path)
            return BoundChain(joined(part.plan for part in parts), names, parts)
        if isinstance(expression, Repeat):
            return self._repeat(expression, path)
        if isinstance(expression, Parallel):
            branches, names = self._all(expression.branches, path)
            merge = self.value(expression.merge, path, "merge")
            return BoundParallel(joined([*(branch.plan for branch in branches), merge.plan]), names, branches, merge)
        if isinstance(expression, Dag):
            return self._dag(expression, path)
        if isinstance(expression, Shared):
            return self._share(expression)
        assert isinstance(expression, Take), expression
        return BoundTake((), expression.index)

    def _all(self, expressions: tuple[Expression, ...], path: str) -> tuple[tuple[Bound, ...], tuple[str, ...]]:
        names = segments(expressions)
        return tuple(self.bind(part, join(path, name)) for part, name in zip(expressions, names)), names

    def _op(self, op: Op, path: str) -> Bound:
        decided = tuple(
            (key, self.value(value, path, key)) for key, value in op.attributes if isinstance(value, Expression)
        )
        symbols = tuple((key, value) for key, value in op.attributes if isinstance(value, Symbol))
        constants = {key: value for key, value in op.attributes if not isinstance(value, Expression | Symbol)}
        return BoundOp(joined(value.plan for _, value in decided), op, constants, symbols, decided)

    def _choice(self, choice: Choice, path: str) -> Bound:
        options, names = self._all(choice.options, path)
        address = path or choice.name or "choice"
        plans = tuple(option.plan for option in options)
        plan = self.pick(address, labels(choice.options), plans, choice.weights)
        return BoundChoice(plan, address if len(options) > 1 else None, labels(choice.options), names, options)

    def _repeat(self, repeat: Repeat, path: str) -> Bound:
        counts = values_of(repeat.times) if isinstance(repeat.times, Expression) else (repeat.times,)
        name = repeat.body.name or ""
        names = tuple(f"{name.rpartition('.')[2]}{index}" for index in range(max(counts)))
        items = tuple(self._item(repeat.body, join(path, name)) for name in names)
        if not isinstance(repeat.times, Choice):
            return BoundRepeat(joined(item.plan for item in items), BoundValue((), None, counts), names, items)
        address = join(path, repeat.times.name or "times")
        plan = self.pick(
            address,
            labels(counts),
            tuple(joined(item.plan for item in items[:count]) for count in counts),
            repeat.times.weights,
        )
        return BoundRepeat(plan, BoundValue((), address if len(counts) > 1 else None, counts), names, items)

    def _item(self, body: Expression, path: str) -> Bound:
        item = self.bind(body, path)
        return item if isinstance(item, BoundPart | BoundOp) else self._part(body, item, None)

    def _part(self, expression: Expression, body: Bound, name: str | None) -> BoundPart:
        token = self._tokens.get(expression) or self._tokens.setdefault(expression, next(_TOKENS))
        plan: Plan = body.plan if name is None else (Once(name, body.plan),) if body.plan else ()
        return BoundPart(plan, name, token, tuple(pick.address for pick in picks(body.plan)), body)

    def _share(self, shared: Shared) -> Bound:
        assert shared.name is not None
        if shared.name not in self._shared:
            body = self.bind(shared.body, shared.name)
            self._shared[shared.name] = self._part(shared.body, body, shared.name)
        found: Bound = self._shared[shared.name]
        return found

    def _dag(self, dag: Dag, path: str) -> Bound:
        nodes, plans = [], []
        for target in range(dag.inputs, dag.inputs + dag.nodes):
            node, plan = self._pairs(dag, path, target) if dag.edges == "pairs" else self._node(dag, path, target)
            nodes.append(node)
            plans.append(plan)
        return BoundDag(joined(plans), path or "dag", dag.inputs, tuple(nodes), dag.output, dag.stride)

    def _node(self, dag: Dag, path: str, target: int) -> tuple[BoundNode, Plan]:
        """A node whose edges each have their own operation."""
        here = join(path, f"node{target}")
        names = tuple(f"edge{source}_{target}" for source in range(target))
        ops = tuple(
            None if dag.ops is None else self.bind(dag.ops, join(join(path, name), dag.ops.name or ""))
            for name in names
        )
        plans: list[Plan] = [op.plan if op else () for op in ops]
        if dag.edges == "all":
            reads, steps = [BoundEdges(None, (tuple((s, s) for s in range(target)),))], [joined(plans)]
        elif dag.edges == "any":
            reads, steps = [], []
            for source in range(dag.inputs, target):
                address = join(here, f"from{source}")
                reads.append(BoundEdges(address, ((), ((source, source),))))
                steps.append(self.pick(address, ("no", "yes"), ((), plans[source])))
            if dag.ops is not None and any(plans[: dag.inputs]):
                raise SpaceError(
                    f"{here}: with edges='any' the inputs are read only where no node is, so `ops` must not "
                    "have choices. Put them into `node`."
                )
        else:
            subsets = tuple(combinations(range(target), int(dag.edges)))
            address = join(here, "inputs")
            plan = self.pick(
                address,
                tuple("+".join(map(str, s)) for s in subsets),
                tuple(joined(plans[i] for i in s) for s in subsets),
            )
            reads, steps = (
                [
                    BoundEdges(
                        address if len(subsets) > 1 else None,
                        tuple(tuple((s, s) for s in subset) for subset in subsets),
                    )
                ],
                [plan],
            )
        merge, node = self.value(dag.merge, here, "merge"), self._own(dag, here)
        bound = BoundNode(f"node{target}", tuple(reads), names, ops, merge, node)
        return bound, joined([*steps, merge.plan, node.plan if node else ()])

    def _pairs(self, dag: Dag, path: str, target: int) -> tuple[BoundNode, Plan]:
        """A node that reads two states, each freely chosen and each with an operation."""
        here = join(path, f"node{target}")
        reads, ops, steps = [], [], []
        for slot, side in enumerate(("left", "right")):
            address = join(join(here, side), "from")
            steps.append(self.pick(address, tuple(map(str, range(target))), ((),) * target))
            reads.append(
                BoundEdges(address if target > 1 else None, tuple(((source, slot),) for source in range(target)))
            )
            ops.append(None if dag.ops is None else self.bind(dag.ops, join(join(here, side), dag.ops.name or "op")))
            steps.append(ops[-1].plan if ops[-1] else ())
        merge, node = self.value(dag.merge, here, "merge"), self._own(dag, here)
        bound = BoundNode(
            f"node{target}", tuple(reads), (f"node{target}.left", f"node{target}.right"), tuple(ops), merge, node
        )
        return bound, joined([*steps, merge.plan, node.plan if node else ()])

    def _own(self, dag: Dag, here: str) -> Bound | None:
        return None if dag.node is None else self.bind(dag.node, join(here, dag.node.name or ""))
