"""Levels of spaces: blocks, simplest architectures, expansions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.space import Space, chain, choice, integer, op, repeat
from archwright.space.zoo import get_space
from archwright.strategies.levels import block_name, expand, levels, root, simplest
from archwright.testing.toy import ToyChoice, ToySpace

ZOO = (
    "nas-bench-201",
    "darts",
    "nasnet",
    "layers",
    "cnn",
    "mlp",
    "enas-macro",
    "enas-micro",
    "memory-bank",
    "mobilenet",
    "vit",
)


def towers() -> Space:
    """One to three layers, each with its own width; the first is always there."""
    layer = op("dense", width=choice(8, 16), name="layer")
    return Space(chain(op("dense", width=choice(4, 5)), repeat(layer, integer(1, 3, name="depth"), name="tower")))


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("cell.edge0_3", "cell.node3"),
        ("normal.edge11_12.op.kernel", "normal.node12"),
        ("layers.node3.from1", "layers.node3"),
        ("stage2.width", "stage2"),
        ("stage2.block10.kernel", "stage2.block10"),
        ("activation", "activation"),
        ("body.plain.depth", "body"),
    ],
)
def test_blocks_are_read_from_addresses(address, block):
    assert block_name(address) == block


@pytest.mark.parametrize(
    ("address", "labels", "expected"),
    [
        ("cell.edge1_2", ("none", "conv", "skip_connect"), "skip_connect"),
        ("cell.edge0_2", ("skip_connect", "conv", "none"), "none"),
        ("cell.edge0_2", ("conv", "identity"), "identity"),
        ("cell.edge0_1", ("conv", "pool"), "conv"),
        ("norm", ("batch", "none"), "none"),
        ("depth", ("4", "2", "3"), "2"),
        ("rate", ("0.3", "0.0"), "0.0"),
        ("kind", ("2x", "1x"), "2x"),
    ],
)
def test_the_simplest_option(address, labels, expected):
    assert labels[simplest(ToyChoice(address, labels))] == expected


def test_a_later_node_of_a_cell_passes_on_the_node_before():
    space = get_space("nas-bench-201")
    found = levels(space)
    assert [len(block.choices) for block in found.blocks] == [1, 2, 3]
    told = dict(space.describe(root(space, found)))
    assert [told[f"cell.edge{index}_{index + 1}"] for index in range(3)] == ["skip_connect"] * 3
    assert {told[f"cell.edge{edge}"] for edge in ("0_2", "0_3", "1_3")} == {"none"}


@pytest.mark.parametrize("name", ZOO)
def test_an_expansion_fills_one_block_and_leaves_later_ones_simple(name):
    space, rng = get_space(name), np.random.default_rng(1)
    found = levels(space)
    assert sorted(address for block in found.blocks for address in block.choices) == sorted(
        choice.address
        for choice in space.choices()
        if choice.address not in {address for block in found.blocks for address, _ in block.counts}
    )
    parent = root(space, found)
    for level, block in enumerate(found.blocks):
        children = expand(space, found, level, parent, 60, rng)
        assert len(children) == len(set(children)) <= 60
        later = {address for after in found.blocks[level + 1 :] for address in after.choices}
        before = parent.as_dict()
        for child in children:
            space.validate(child)
            for address, option in child.choices:
                if address in later:
                    assert option == found.simplest[address]
                elif address not in block.choices and address not in dict(block.counts):
                    assert option == before.get(address, found.simplest[address])
        parent = children[int(rng.integers(len(children)))] if children else parent


def test_a_block_of_a_repetition_makes_it_repeat():
    space = towers()
    found = levels(space)
    assert [(block.name, block.counts) for block in found.blocks] == [
        ("dense", ()),
        ("tower.layer0", ()),
        ("tower.layer1", (("tower.depth", 1),)),
        ("tower.layer2", (("tower.depth", 2),)),
    ]
    simple = root(space, found)
    assert dict(space.describe(simple))["tower.depth"] == "1"
    two = expand(space, found, 2, simple, 10, np.random.default_rng(0))
    assert [dict(space.describe(child))["tower.depth"] for child in two] == ["2", "2"]
    assert {child.as_dict()["tower.layer1.width"] for child in two} == {0, 1}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_last_level_is_the_space(options, random):
    space, rng = ToySpace(tuple(options)), np.random.default_rng(0)
    found = levels(space)
    target = space.sample(np.random.default_rng(random.randrange(2**31)))
    reached = root(space, found)
    for level, block in enumerate(found.blocks):
        wanted = {**reached.as_dict(), **{address: target.as_dict()[address] for address in block.choices}}
        children = [reached, *expand(space, found, level, reached, 100, rng)]
        assert len(children) == len(found.blocks[level].choices and space.choices()[level].labels)
        (reached,) = [child for child in children if child.as_dict() == wanted]
    assert reached == target


def test_too_many_fillings_are_sampled():
    space = get_space("darts")
    found = levels(space)
    simple = root(space, found)
    sampled = [expand(space, found, 3, simple, 20, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert sampled[0] == sampled[1] != sampled[2]
    assert 10 < len(sampled[0]) <= 20
    options = {dict(child.choices)["normal.node5.inputs"] for child in sampled[0]}
    assert len(options) > 4
