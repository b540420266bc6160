"""Invalid expressions fail where they are written, with the place and what to do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from archwright.errors import SpaceError
from archwright.graph.blocks import common as blocks
from archwright.graph.blocks.vector import Dense
from archwright.space import (
    OUTPUTS,
    STRIDE,
    WIDTH,
    Space,
    chain,
    choice,
    dag,
    integer,
    op,
    parallel,
    repeat,
    shared,
    take,
)
from archwright.space.checks import ACTIVATIONS, NORMS

RELU = op("relu")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda: op("conv_bn_rleu", width=3), r"unknown operation 'conv_bn_rleu'. Did you mean 'conv_bn_relu'\?"),
        (lambda: op("idenity"), "Did you mean 'identity'"),
        (lambda: op(int), r"op\(int\).*torch.nn.Module"),
        (lambda: op("linear", widht=3), r"op\('linear'\) has no attribute 'widht'. Did you mean 'width'\?"),
        (lambda: op("relu", width=3), "has no attribute 'width'. It has none."),
        (lambda: op("conv_bn"), r"op\('conv_bn'\) needs the attribute 'width'"),
        (lambda: op("adapt"), "needs the attribute 'width'"),
        (lambda: op("linear", width=[3]), r"attribute 'width': got \[3\].*Write a tuple"),
        (lambda: op("linear", width=RELU), "attribute 'width': got the expression relu"),
        (
            lambda: op("conv_bn", width=choice(1, 2, name="n"), kernel=choice(3, 5, name="n")),
            "two choices are named 'n'",
        ),
        (lambda: op("idnetity"), "Did you mean 'identity'"),
        (lambda: op("adpt", width=3), "Did you mean 'adapt'"),
        (
            lambda: op("dense", width=8, activation="rleu"),
            r"op\('dense'\), attribute 'activation': got 'rleu'. Did you mean 'relu'\?",
        ),
        (lambda: op("mbconv", width=8, activation=choice("relu", "sliu")), "got 'sliu'. Did you mean 'silu'"),
        (lambda: op("dense", width=8, activation=None), "attribute 'activation': got None. Did you mean 'none'"),
        (lambda: op("dense", width=8, norm="bacth"), "attribute 'norm': got 'bacth'. Did you mean 'batch'"),
        (
            lambda: op("linear", width=0),
            r"op\('linear'\), attribute 'width': got 0; expected a whole number of at least 1",
        ),
        (lambda: op("linear", width=None), "attribute 'width': got None"),
        (lambda: op("linear", width=choice(8, 2.5)), "attribute 'width': got 2.5"),
        (lambda: op("linear", width=True), "attribute 'width': got True"),
        (lambda: op("linear", width="8"), "attribute 'width': got '8'"),
        (lambda: op("conv_bn", width=8, kernel=shared("k", choice(-1, 3))), "attribute 'kernel': got -1"),
        (lambda: op("conv_bn", width=8, kernel=(3, 0)), r"attribute 'kernel': got \(3, 0\)"),
        (lambda: op("conv_bn", width=(8, 8)), r"attribute 'width': got \(8, 8\)"),
        (lambda: op("identity", stride=integer(0, 2)), r"op\('identity'\), attribute 'stride': got 0"),
        (lambda: op("conv_bn", width=8, dilation=0), "attribute 'dilation': got 0"),
        (lambda: op("attention", heads=choice(0, 4)), "attribute 'heads': got 0"),
        (lambda: op("mbconv", width=8, expansion=choice(1.5, 4)), "attribute 'expansion': got 1.5"),
        (lambda: op("relu", name="a.b"), "got the name 'a.b'"),
        (lambda: choice(name="kind"), "choice 'kind' has no options"),
        (lambda: choice(3, 5, 3), "has the option 3 twice"),
        (lambda: choice(RELU, op("relu")), "twice"),
        (lambda: choice(RELU, 3), "mixes expressions and values"),
        (lambda: choice(RELU, choice(3, 5)), "option 1: got a choice of values"),
        (lambda: choice(1, "1"), "read the same: 1, 1"),
        (lambda: choice([3]), "option 0: got"),
        (lambda: choice(op("relu", name="a"), op("tanh", name="a")), "two parts are named 'a'"),
        (lambda: integer(3, 2), r"integer\(3, 2\)"),
        (lambda: integer(1, 2.5), "whole numbers"),  # type: ignore[arg-type]
        (lambda: chain(), "is empty"),
        (lambda: chain(RELU, "relu"), r"part 1: got 'relu'.*Write op\('relu'\)"),  # type: ignore[arg-type]
        (lambda: chain(RELU, choice(3, 5), name="c"), "chain 'c', part 1: got a choice of values"),
        (lambda: chain(op("relu", name="a"), op("tanh", name="a")), "two parts are named 'a'"),
        (lambda: repeat(RELU, -1), "times=-1"),
        (lambda: repeat(RELU, 0), "0 times"),
        (lambda: repeat(RELU, True), "times=True"),
        (lambda: repeat(RELU, choice(1.5, 2.5)), "expected a whole number"),
        (lambda: repeat(RELU, choice(RELU, op("tanh"))), "expected a whole number"),
        (lambda: repeat(choice(3, 5), 2), "body: got a choice of values"),
        (lambda: parallel(), "has no branches"),
        (lambda: parallel(RELU, merge="sum"), "got merge='sum'"),
        (lambda: parallel(RELU, merge=choice("add", "max")), "got merge='max'"),
        (lambda: dag(0), "nodes=0"),
        (lambda: dag(2, inputs=0), "inputs=0"),
        (lambda: dag(4, edges=2), "edges=2, but the first node can only read the 1 input"),
        (lambda: dag(4, edges="some"), "edges='some'"),  # type: ignore[arg-type]
        (lambda: dag(4, output="first"), "output='first'"),  # type: ignore[arg-type]
        (lambda: dag(4, stride=0), "stride=0"),
        (lambda: dag(4, stride=OUTPUTS), "stride=OUTPUTS"),
        (lambda: dag(4, ops="relu"), "ops: got 'relu'"),  # type: ignore[arg-type]
        (lambda: dag(4, merge="cat"), "merge='cat'"),
        (lambda: shared("a b", RELU), "'a b' for a shared expression"),
        (lambda: shared("a", 3), "shared 'a': got 3"),  # type: ignore[arg-type]
        (lambda: chain(shared("a", RELU), shared("a", op("tanh"))), "two different expressions are shared as 'a'"),
        (lambda: shared("a", chain(RELU, shared("a", RELU))), "two different expressions are shared as 'a'"),
        (lambda: take(-1), r"take\(-1\)"),
        (lambda: OUTPUTS[-1], r"OUTPUTS\[-1\]"),
        (lambda: WIDTH[0], r"WIDTH\[0\]"),
        (lambda: Space(choice(3, 5)), "Space 'space': got a choice of values"),  # type: ignore[arg-type]
        (
            lambda: Space(chain(shared("a", choice(RELU, op("tanh"))), choice(RELU, op("tanh"), name="a"))),
            "address 'a'",
        ),
        (lambda: Space(dag(2, edges="any", ops=choice(RELU, op("tanh")))), "edges='any'"),
    ],
)
def test_errors_name_the_place(write: Callable[[], Any], said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        write()


def test_the_known_names_are_those_the_blocks_take() -> None:
    assert set(ACTIVATIONS) == set(blocks.ACTIVATIONS)
    for activation, norm in itertools.product(ACTIVATIONS, NORMS):
        Dense(3, 2, activation, norm)
    with pytest.raises(ValueError, match=f"expected one of {', '.join(NORMS)}"):
        Dense(3, 2, norm="group")


class Scaled(nn.Module):
    """A module of the user's, whose attributes mean what the user likes."""

    def __init__(self, channels: int, width: float = 0.5, activation: str = "mine") -> None:
        super().__init__()


def test_allowed_values_are_allowed() -> None:
    op("conv_bn", width=OUTPUTS, kernel=(1, 3), stride=STRIDE)
    op("sep_conv", width=None, stride=choice(1, 2))
    op("adapt", width=WIDTH)
    op(Scaled, width=0.25, activation="other")


def test_expressions_are_values() -> None:
    first = chain(op("relu"), op("linear", width=choice(2, OUTPUTS.index + 3)))
    assert first == chain(op("relu"), op("linear", width=choice(2, 3)))
    assert hash(first) == hash(chain(op("relu"), op("linear", width=choice(2, 3))))
    assert first != chain(op("relu"), op("linear", width=choice(2, 4)))


def test_chains_without_names_are_flat() -> None:
    assert chain(chain(RELU, op("tanh")), RELU) == chain(RELU, op("tanh"), RELU)
    assert chain(chain(RELU, name="inner"), RELU) != chain(RELU, RELU)


@pytest.mark.parametrize(
    ("expression", "addresses"),
    [
        (op("linear", width=choice(1, 2)), ["width"]),
        (choice(RELU, op("tanh")), ["choice"]),
        (choice(RELU, op("tanh"), name="act"), ["act"]),
        (chain(choice(RELU, op("tanh")), choice(RELU, op("tanh"))), ["choice0", "choice1"]),
        (chain(choice(RELU, op("tanh"), name="choice0"), choice(RELU, op("tanh")), choice(RELU, op("elu"))), None),
        (repeat(op("dense", width=choice(1, 2), name="block"), integer(1, 2), name="stage"), ["stage"]),
        (
            chain(repeat(op("dense", width=choice(1, 2), name="block"), integer(1, 2), name="stage")),
            ["stage.times", "stage.block0.width", "stage.block1.width"],
        ),
        (chain(repeat(op("dense", width=choice(1, 2)), 2, name="stage")), ["stage.0.width", "stage.1.width"]),
        (chain(parallel(RELU, choice(RELU, op("none"), name="skip"))), ["parallel.skip"]),
        (parallel(RELU, op("tanh"), merge=choice("add", "mul")), ["merge"]),
        (
            chain(choice(op("dense", width=choice(1, 2)), op("linear", width=choice(1, 2)), name="kind")),
            ["kind", "kind.dense.width", "kind.linear.width"],
        ),
        (
            chain(
                op("dense", width=shared("all.width", choice(1, 2))),
                op("linear", width=shared("all.width", choice(1, 2))),
            ),
            ["all.width"],
        ),
        (repeat(shared("cell", choice(RELU, op("tanh"))), 3), ["cell"]),
        (dag(2, ops=choice(RELU, op("none")), name="cell"), None),
        (chain(dag(2, ops=choice(RELU, op("none")), name="cell")), ["cell.edge0_1", "cell.edge0_2", "cell.edge1_2"]),
        (chain(dag(3, edges="any", name="net")), ["net.node2.from1", "net.node3.from1", "net.node3.from2"]),
        (chain(dag(2, inputs=2, edges=2, name="net")), ["net.node3.inputs"]),
        (
            dag(2, edges="pairs", ops=choice(RELU, op("none")), merge=choice("add", "concat")),
            [
                "node1.left.op",
                "node1.right.op",
                "node1.merge",
                "node2.left.from",
                "node2.left.op",
                "node2.right.from",
                "node2.right.op",
                "node2.merge",
            ],
        ),
        (dag(1, ops=op("avg_pool", stride=STRIDE), node=op("linear", width=choice(1, 2)), stride=2), ["node1.width"]),
        (op("linear", width=choice(3)), []),
    ],
)
def test_addresses_are_readable(expression: Any, addresses: list[str] | None) -> None:
    found = [info.address for info in Space(expression).choices()]
    assert len(set(found)) == len(found)
    if addresses == ["stage"]:
        addresses = ["stage.times", "stage.block0.width", "stage.block1.width"]
    if addresses is not None:
        assert found == addresses


def test_conditions_say_when_a_choice_is_active() -> None:
    block = op("dense", width=choice(1, 2), name="block")
    space = Space(chain(repeat(block, integer(1, 3), name="stage"), choice(RELU, block, name="tail")))
    conditions = {info.address: info.conditions for info in space.choices()}
    assert conditions == {
        "stage.times": ((),),
        "stage.block0.width": ((),),
        "stage.block1.width": ((("stage.times", (1, 2)),),),
        "stage.block2.width": ((("stage.times", (2,)),),),
        "tail": ((),),
        "tail.block.width": ((("tail", (1,)),),),
    }
    assert [info.always for info in space.choices()] == [True, True, False, False, True, False]
