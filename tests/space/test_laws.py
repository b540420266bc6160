"""Laws that hold for any expression, checked on random ones against brute force."""

from __future__ import annotations

import pickle
from itertools import islice

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from archwright.problem import Signature
from archwright.space import (
    DOWN,
    OUTPUTS,
    STRIDE,
    WIDTH,
    Expression,
    Space,
    chain,
    choice,
    dag,
    integer,
    op,
    parallel,
    repeat,
    shared,
)

SIGNATURE = Signature(((2, 9, 8),), (3,))
ANY = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
FEW = settings(ANY, max_examples=25)

WIDTHS = shared("all.width", choice(2, 3))
INNER = shared("inner", choice(op("relu"), op("conv_bn_relu", width=choice(2, 4), kernel=1)))
OUTER = shared("outer", choice(op("identity"), parallel(INNER, choice(op("none"), op("relu")))))
LEAVES = st.sampled_from(
    [
        op("identity"),
        op("none"),
        op("relu"),
        op("max_pool", stride=DOWN),
        op("avg_pool", kernel=DOWN[3], stride=DOWN[3]),
        op("conv_bn_relu", width=choice(2, 3), kernel=choice(1, 3)),
        op("conv_bn_relu", width=WIDTHS, kernel=1),
        INNER,
        OUTER,
    ]
)
CELL_OPS = st.sampled_from(
    [None, op("relu"), choice(op("none", stride=STRIDE), op("identity", stride=STRIDE), op("avg_pool", stride=STRIDE))]
)


@st.composite
def dags(draw: st.DrawFn) -> Expression:
    edges = draw(st.sampled_from(["all", "any", "pairs", 1]))
    ops = draw(CELL_OPS)
    node = draw(st.sampled_from([None, op("adapt", width=WIDTH), op("conv_bn", width=2, kernel=choice(1, 3))]))
    return dag(
        draw(st.integers(1, 3)),
        edges=edges,
        ops=op("avg_pool", stride=STRIDE) if edges == "any" and ops is not None else ops,
        node=node,
        merge=draw(st.sampled_from(["add", "concat", choice("add", "concat")])),
        output=draw(st.sampled_from(["last", "nodes", "loose"])),
        stride=draw(st.sampled_from([1, 2])),
    )


def bigger(inside: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inside, min_size=1, max_size=3)
    named = several.map(lambda parts: [chain(part, name=f"way{index}") for index, part in enumerate(parts)])
    times = st.sampled_from([1, 2, integer(0, 2), choice(1, 3)])
    merges = st.sampled_from(["add", "concat", "mean", choice("add", "concat")])
    return st.one_of(
        several.map(lambda parts: chain(*parts)),
        named.map(lambda parts: choice(*parts)),
        st.builds(lambda parts, merge: parallel(*parts, merge=merge), several, merges),
        st.builds(repeat, inside, times),
    )


EXPRESSIONS = st.recursive(st.one_of(LEAVES, dags()), bigger, max_leaves=6)


def make(expression: Expression) -> Space:
    return Space(chain(expression, op("global_avg_pool"), op("linear", width=OUTPUTS)), "random")


@ANY
@given(EXPRESSIONS)
def test_size_is_the_number_of_architectures(expression: Expression) -> None:
    space = make(expression)
    assume(space.size <= 3000)
    every = list(space.architectures())
    assert len(every) == len(set(every)) == space.size


@ANY
@given(EXPRESSIONS, st.integers(0, 2**32))
def test_samples_are_members_and_codes_invert(expression: Expression, seed: int) -> None:
    space, rng = make(expression), np.random.default_rng(seed)
    for uniform in (False, True):
        architecture = space.sample(rng, uniform=uniform)
        space.validate(architecture)
        assert space.decode(space.encode(architecture)) == architecture
        assert space.architecture(dict(space.describe(architecture))) == architecture
        assert space.encode(architecture).sum() == len(architecture.choices)


@ANY
@given(EXPRESSIONS)
def test_choices_tell_when_they_are_active(expression: Expression) -> None:
    space = make(expression)
    for architecture in islice(space.architectures(), 50):
        made = architecture.as_dict()
        for info in space.choices():
            holds = any(all(made.get(a) in options for a, options in terms) for terms in info.conditions)
            assert holds == (info.address in made), (info, architecture)


@ANY
@given(EXPRESSIONS, st.integers(0, 2**32))
def test_mutation_changes_one_choice_and_keeps_what_stays_active(expression: Expression, seed: int) -> None:
    space, rng = make(expression), np.random.default_rng(seed)
    assume(space.size > 1)
    parent = space.sample(rng)
    mutant = space.mutate(parent, rng)
    space.validate(mutant)
    before, after = parent.as_dict(), mutant.as_dict()
    assert sum(before[address] != after[address] for address in before.keys() & after.keys()) == 1


@FEW
@given(EXPRESSIONS, st.integers(0, 2**32))
def test_neighbours_are_all_single_changes(expression: Expression, seed: int) -> None:
    space, rng = make(expression), np.random.default_rng(seed)
    architecture = space.sample(rng)
    options = {info.address: len(info.labels) for info in space.choices()}
    near = list(space.neighbours(architecture))
    assert len(near) == sum(options[address] - 1 for address, _ in architecture.choices)
    assert len(set(near)) == len(near)
    for neighbour in near:
        space.validate(neighbour)
        before, after = architecture.as_dict(), neighbour.as_dict()
        assert sum(before[address] != after[address] for address in before.keys() & after.keys()) == 1
        assert all(after[address] == 0 for address in after.keys() - before.keys())


@ANY
@given(EXPRESSIONS, st.integers(0, 2**32))
def test_a_child_takes_each_choice_from_a_parent(expression: Expression, seed: int) -> None:
    space, rng = make(expression), np.random.default_rng(seed)
    first, second = space.sample(rng), space.sample(rng)
    child = space.crossover(first, second, rng)
    space.validate(child)
    assert set(child.choices) <= set(first.choices) | set(second.choices)


@ANY
@given(EXPRESSIONS)
def test_text_json_and_pickle_give_the_same_space(expression: Expression) -> None:
    space = make(expression)
    assert Space.from_json(space.to_json()) == space
    assert pickle.loads(pickle.dumps(space)) == space
    names = {f.__name__: f for f in (chain, choice, dag, integer, op, parallel, repeat, shared)}
    scope = {**names, "OUTPUTS": OUTPUTS, "WIDTH": WIDTH, "STRIDE": STRIDE, "DOWN": DOWN}
    exec(str(space), scope)
    assert scope["space"] == space.expression


@FEW
@given(EXPRESSIONS, st.integers(0, 2**32))
def test_every_architecture_has_a_graph(expression: Expression, seed: int) -> None:
    space, rng = make(expression), np.random.default_rng(seed)
    for architecture in (space.sample(rng), space.sample(rng, uniform=True)):
        graph = space.graph(architecture, SIGNATURE)
        assert graph.nodes[graph.outputs[0]].shape == (3,)
        assert graph.cost.params > 0
        assert space.graph(architecture, SIGNATURE).fingerprint == graph.fingerprint
        fresh = pickle.loads(pickle.dumps(space))
        assert fresh.graph(architecture, SIGNATURE) == graph
