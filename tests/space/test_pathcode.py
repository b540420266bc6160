"""The path encoding of BANANAS."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import SpaceError
from archwright.space import Space, chain, choice, dag, get_space, op, repeat, shared
from archwright.space.zoo.nas_bench_201 import architecture

OPS = choice(op("none"), op("relu"), op("tanh"))


def test_paths_of_a_known_cell() -> None:
    space = get_space("nas-bench-201")
    cell = architecture(
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|",
    )
    assert space.paths(cell) == {("cell", "nor_conv_1x1"), ("cell", "nor_conv_3x3", "skip_connect", "avg_pool_3x3")}
    nothing = architecture("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|avg_pool_3x3~2|")
    assert space.paths(nothing) == frozenset()


def test_the_vector_marks_the_paths_there_are() -> None:
    space, rng = get_space("nas-bench-201"), np.random.default_rng(0)
    every = 1 + 4 + 4**2 + 4**3
    for _ in range(20):
        cell = space.sample(rng)
        assert space.encode_paths(cell, every).sum() == len(space.paths(cell))
        short = space.encode_paths(cell, 5)
        assert short.shape == (5,)
        assert np.array_equal(short, space.encode_paths(cell, every)[:5])


def test_every_filling_has_its_own_vector_where_each_edge_is_on_a_path_of_its_own() -> None:
    space = Space(dag(1, inputs=2, ops=OPS))
    vectors = {space.encode_paths(architecture, 64).tobytes() for architecture in space.architectures()}
    assert len(vectors) == space.size == 9


@pytest.mark.parametrize("output", ["last", "nodes", "loose"])
def test_outputs(output: str) -> None:
    space = Space(dag(2, edges="any", node=op("relu"), output=output))  # type: ignore[arg-type]
    found = {space.paths(architecture) for architecture in space.architectures()}
    one, two = ("dag", "relu"), ("dag", "relu", "relu")
    expected = {"last": {frozenset({one}), frozenset({two})}, "nodes": {frozenset({one}), frozenset({one, two})}}
    assert found == expected.get(output, {frozenset({one}), frozenset({two})})


def test_only_dags_in_use_count_and_shared_ones_once() -> None:
    cell = shared("cell", dag(1, ops=OPS))
    space = Space(chain(choice(op("relu"), dag(1, ops=OPS), name="way"), repeat(cell, 3)))
    assert space.paths(space.architecture({"way": 0, "cell.edge0_1": "tanh"})) == {("cell", "tanh")}
    both = space.architecture({"way": 1, "way.dag.edge0_1": "relu", "cell.edge0_1": "tanh"})
    assert space.paths(both) == {("way.dag", "relu"), ("cell", "tanh")}


def test_what_is_decided_inside_a_step_is_in_its_label() -> None:
    space = Space(dag(1, ops=op("linear", width=choice(3, 5)), node=shared("tail", choice(op("relu"), op("none")))))
    assert space.paths(space.architecture({"edge0_1.width": "5", "tail": "relu"})) == {("dag", "linear(5)", "relu")}


def test_a_space_without_dags_has_no_paths() -> None:
    space = Space(op("linear", width=choice(1, 2)))
    architecture = space.sample(np.random.default_rng(0))
    with pytest.raises(SpaceError, match="encode"):
        space.paths(architecture)
    with pytest.raises(SpaceError, match="encode"):
        space.encode_paths(architecture)
