"""The functions that write expressions. Each checks what it is given, where it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archwright.errors import SpaceError
from archwright.space.checks import (
    check_attributes,
    check_constant,
    check_merge,
    check_name,
    check_part,
    check_shared,
    check_shared_name,
    check_siblings,
    check_weights,
    is_whole,
)
from archwright.space.expression import (
    Chain,
    Choice,
    Dag,
    EdgesKind,
    Expression,
    Op,
    OutputKind,
    Parallel,
    Repeat,
    Shared,
    Symbol,
    Take,
    is_value,
    labels,
    values_of,
)


def op(operation: str | type, /, *, name: str | None = None, **attributes: Any) -> Op:
    """One operation.

    Args:
        operation: A name of the registry (:func:`archwright.graph.ops`), ``identity``, ``none``, ``adapt``, or an
            ``nn.Module`` class of your own.
        name: Its part of addresses.
        **attributes: Values, or choices of values; `OUTPUTS`, `COLUMNS`, `WIDTH`, `STRIDE` and `DOWN` are filled in where the
            network is built.

    Raises:
        SpaceError: Where the operation or an attribute is unknown, or one is missing.

    >>> op("conv_bn_relu", width=choice(16, 32), kernel=3).name is None
    True
    """
    where = f"op({operation!r})" if isinstance(operation, str) else f"op({getattr(operation, '__name__', operation)!s})"
    check_name(name, where)
    check_attributes(operation, attributes, where)
    made = Op(operation, tuple(attributes.items()), name=name)
    check_shared(made, where)
    return made


def choice(*options: Any, weights: Sequence[float] | None = None, name: str | None = None) -> Choice:
    """One of several expressions (a choice of architecture) or of several attribute values.

    Choices inside an option that is not taken are inactive: they are no part of the architecture.

    Args:
        *options: Expressions, or attribute values.
        weights: How likely a random draw takes each option, up to a factor; by default all are equally likely.
            They say what a sensible network looks like; every option stays reachable.
        name: Its part of addresses.

    Raises:
        SpaceError: If there is no option, two are equal, expressions and values are mixed, or the weights are not
            one positive number for each option.

    >>> choice(16, 32, 64, weights=(1, 2, 1)).weights
    (1.0, 2.0, 1.0)
    """
    where = f"choice {name!r}" if name else "choice(...)"
    check_name(name, where)
    if not options:
        raise SpaceError(f"{where} has no options; expected at least one.")
    kinds = {isinstance(option, Expression) for option in options}
    if len(kinds) > 1:
        raise SpaceError(
            f"{where} mixes expressions and values: {options!r}. Expected one kind; for an operation write op('name')."
        )
    for number, option in enumerate(options):
        if isinstance(option, Expression):
            check_part(option, f"{where}, option {number}")
        else:
            check_constant(option, f"{where}, option {number}")
    distinct = {(type(option), option) for option in options}
    if len(distinct) < len(options):
        twice = next(option for option in options if options.count(option) > 1)
        raise SpaceError(f"{where} has the option {twice!r} twice; expected distinct options.")
    made = Choice(tuple(options), check_weights(weights, len(options), where), name=name)
    check_siblings(made.children, where)
    if len(set(labels(made.options))) < len(options):
        raise SpaceError(f"{where} has options that read the same: {', '.join(labels(made.options))}. Give them names.")
    check_shared(made, where)
    return made


def integer(low: int, high: int, *, weights: Sequence[float] | None = None, name: str | None = None) -> Choice:
    """A choice of the whole numbers from `low` to `high`, both included; `weights` as for :func:`choice`.

    >>> integer(2, 4).options
    (2, 3, 4)
    """
    where = f"integer({low!r}, {high!r})"
    if not (is_whole(low) and is_whole(high)) or low > high:
        raise SpaceError(f"{where}: expected two whole numbers, the first not above the second.")
    return choice(*range(low, high + 1), weights=weights, name=name)


def chain(*parts: Expression, name: str | None = None) -> Chain:
    """One after the other. A chain without a name inside a chain is part of it.

    Raises:
        SpaceError: Where it is empty or two parts have one name.
    """
    where = f"chain {name!r}" if name else "chain(...)"
    check_name(name, where)
    if not parts:
        raise SpaceError(f"{where} is empty; expected at least one part, for example op('identity').")
    flat: list[Expression] = []
    for number, part in enumerate(parts):
        check_part(part, f"{where}, part {number}")
        flat.extend(part.parts if isinstance(part, Chain) and part.name is None else [part])
    made = Chain(tuple(flat), name=name)
    check_siblings(made.parts, where)
    check_shared(made, where)
    return made


def repeat(body: Expression, times: int | Choice, *, name: str | None = None) -> Repeat:
    """A body several times in a row; each time makes its own choices (write ``repeat(shared(...), n)`` for the same
    ones).

    Args:
        body: What is repeated.
        times: How often: a whole number, or a choice of them. 0 is allowed.
        name: Its part of addresses.

    Raises:
        SpaceError: Where the number of times is no whole number or negative.
    """
    where = f"repeat {name!r}" if name else "repeat(...)"
    check_name(name, where)
    check_part(body, f"{where}, body")
    counts = values_of(times) if isinstance(times, Choice) and is_value(times) else (times,)
    if not all(is_whole(count) and count >= 0 for count in counts):
        raise SpaceError(
            f"{where}: got times={times!r}; expected a whole number of 0 or more, "
            "or a choice of such, for example integer(1, 4)."
        )
    if max(counts) == 0:
        raise SpaceError(f"{where} repeats its body 0 times; leave it out, or write op('identity').")
    made = Repeat(body, times, name=name)
    check_shared(made, where)
    return made


def parallel(*branches: Expression, merge: str | Choice | Shared | None = "add", name: str | None = None) -> Parallel:
    """Branches that read the same values.

    Args:
        *branches: The branches.
        merge: How their results become one: ``add``, ``concat``, ``mul``, ``mean``, or a choice of them (shapes are
            reconciled); ``None`` keeps them as several values, in order.
        name: Its part of addresses.

    Raises:
        SpaceError: Where there is no branch, two have one name, or the merge is unknown.
    """
    where = f"parallel {name!r}" if name else "parallel(...)"
    check_name(name, where)
    if not branches:
        raise SpaceError(f"{where} has no branches; expected at least one.")
    for number, branch in enumerate(branches):
        check_part(branch, f"{where}, branch {number}")
    if merge is not None:
        check_merge(merge, where)
    made = Parallel(tuple(branches), merge, name=name)
    check_siblings(made.branches, where)
    check_shared(made, where)
    return made


def dag(
    nodes: int,
    *,
    inputs: int = 1,
    edges: EdgesKind | int = "all",
    ops: Expression | None = None,
    node: Expression | None = None,
    merge: str | Choice | Shared = "add",
    output: OutputKind = "last",
    stride: int | Symbol = 1,
    name: str | None = None,
) -> Dag:
    """A directed acyclic graph: states 0 to `inputs` - 1 are the values that come in, each node makes one more state
    from earlier ones.

    A node reads some earlier states, applies `ops` on each edge, merges the results, and applies `node` to the merged
    value.

    Args:
        nodes: How many nodes.
        inputs: How many values come in.
        edges: What a node reads. ``"all"``: every earlier state (NAS-Bench-201; hierarchical motifs, with `none`
            among the operations). ``"any"``: any subset of the earlier nodes, one yes/no choice each; a node that
            reads no other node reads the inputs (Zoph and Le 2017). A number k: a choice of k distinct earlier states
            (DARTS). ``"pairs"``: two, each chosen freely among the earlier states (NASNet).
        ops: The operation on each edge, each edge with its own choices (for ``"pairs"``: each of the two); by default
            none is applied.
        node: The operation on each node's merged value; by default none is applied.
        merge: How the values on the edges into a node become one; may be a choice, made for each node.
        output: ``"last"``: the last node. ``"nodes"``: all nodes, concatenated. ``"loose"``: the nodes that no node
            reads, concatenated.
        stride: What `STRIDE` means on the edges that read the inputs: 2 makes a reduction cell.
        name: Its part of addresses.

    Raises:
        SpaceError: Where a number is out of range, a node has fewer earlier states than it must read, or a keyword is
            unknown.
    """
    where = f"dag {name!r}" if name else "dag(...)"
    check_name(name, where)
    for key, value in (("nodes", nodes), ("inputs", inputs)):
        if not is_whole(value) or value < 1:
            raise SpaceError(f"{where}: got {key}={value!r}; expected a whole number of 1 or more.")
    if is_whole(edges):
        if not 1 <= int(edges) <= inputs:
            raise SpaceError(
                f"{where}: got edges={edges!r}, but the first node can only read the {inputs} input(s). "
                "Give the dag more inputs or fewer edges."
            )
    elif edges not in ("all", "any", "pairs"):
        raise SpaceError(f"{where}: got edges={edges!r}; expected 'all', 'any', 'pairs' or a whole number.")
    if output not in ("last", "nodes", "loose"):
        raise SpaceError(f"{where}: got output={output!r}; expected 'last', 'nodes' or 'loose'.")
    if not (is_whole(stride) and int(stride) >= 1) and not (
        isinstance(stride, Symbol) and stride.kind in ("stride", "down")
    ):
        raise SpaceError(f"{where}: got stride={stride!r}; expected a whole number of 1 or more, STRIDE or DOWN.")
    for key, part in (("ops", ops), ("node", node)):
        if part is not None:
            check_part(part, f"{where}, {key}")
    check_merge(merge, where)
    made = Dag(nodes, inputs, edges, ops, node, merge, output, stride, name=name)
    check_shared(made, where)
    return made


def shared(name: str, body: Expression) -> Shared:
    """The same choices wherever the name stands, such as a cell that is stacked; each place has its own weights.

    Addresses of the choices inside start with `name`, which may have several parts ("stage1.width"). The body may
    also be a choice of values.

    Raises:
        SpaceError: Where the body is no expression.
    """
    where = f"shared {name!r}"
    check_shared_name(name)
    if not is_value(body):
        check_part(body, where)
    made = Shared(body, name=name)
    check_shared(made, where)
    return made


def take(index: int) -> Take:
    """One of the values that come in: of the network's inputs at the start, of the branches after ``parallel(...,
    merge=None)``.

    Raises:
        SpaceError: Where the index is negative.
    """
    if not is_whole(index) or index < 0:
        raise SpaceError(f"take({index!r}): expected a whole number of 0 or more.")
    return Take(index)
