"""What a space refuses, and draws that follow the promised distributions."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from archwright.errors import ArchitectureError, SpaceError
from archwright.problem import Architecture
from archwright.problem import Space as SpaceContract
from archwright.space import Expression, Space, chain, choice, get_space, integer, op, parallel, repeat, shared

RELU, TANH = op("relu"), op("tanh")
BLOCK = op("dense", width=choice(1, 2, 4), name="block")
CELL = shared("cell", choice(RELU, TANH, op("silu"), name="kind"))
NESTED = shared("nested", parallel(CELL, choice(RELU, TANH, name="side")))
UNEVEN = {
    "depth": repeat(BLOCK, integer(1, 3)),
    "option": choice(RELU, BLOCK, chain(RELU, repeat(BLOCK, 2))),
    "shared in options": chain(
        choice(RELU, CELL, name="a"), choice(RELU, CELL, name="b"), choice(CELL, TANH, name="c")
    ),
    "nested shared": chain(choice(RELU, NESTED, name="a"), choice(RELU, CELL, name="b")),
    "shared value": chain(
        *(choice(RELU, op("dense", width=shared("w", choice(1, 2, 4)), name="d"), name=name) for name in "ab")
    ),
}


@pytest.fixture
def space() -> Space:
    return Space(chain(repeat(BLOCK, integer(1, 3), name="stage"), choice(RELU, TANH, name="act")), "small")


@pytest.mark.parametrize("expression", UNEVEN.values(), ids=UNEVEN)
def test_uniform_draws_are_uniform(expression: Expression) -> None:
    space, rng = Space(expression), np.random.default_rng(5)
    every = list(space.architectures())
    counts = Counter(space.sample(rng, uniform=True) for _ in range(60 * len(every)))
    assert set(counts) <= set(every)
    assert stats.chisquare([counts[architecture] for architecture in every]).pvalue > 1e-3


def test_ordinary_draws_are_uniform_over_the_options_of_each_choice() -> None:
    space, rng = Space(UNEVEN["depth"]), np.random.default_rng(5)
    counts = Counter(space.sample(rng).as_dict()["times"] for _ in range(1200))
    assert stats.chisquare([counts[index] for index in range(3)]).pvalue > 1e-3


def test_sizes_beyond_64_bits_are_exact() -> None:
    space = Space(repeat(op("dense", width=choice(*range(1, 11))), 40))
    assert space.size == 10**40
    assert space.sample(np.random.default_rng(0), uniform=True) != space.sample(np.random.default_rng(1), uniform=True)


def test_it_keeps_the_contract(space: Space) -> None:
    assert isinstance(space, SpaceContract)
    assert repr(space) == "Space('small': 78 architectures, 5 choices)"
    assert str(space).startswith("# small: 78 architectures, 5 choices\nspace = chain(")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ((("stage.times", 0), ("act", 0)), "'stage.block0.width' is missing; expected one of 1, 2, 4"),
        ((("stage.times", 0), ("stage.block0.width", 3), ("act", 0)), "got option 3 .* expected 0 to 2"),
        ((("stage.times", 0), ("stage.block0.width", -1), ("act", 0)), "got option -1"),
        ((("stage.times", 0), ("stage.block0.width", True), ("act", 0)), "got option True"),
        ((("stage.times", 0), ("stage.block0.widht", 0), ("act", 0)), "Did you mean 'stage.block0.width'"),
        (
            (("stage.times", 0), ("stage.block0.width", 0), ("stage.block1.width", 0), ("act", 0)),
            "inactive choices: st",
        ),
        ((("act", 0), ("stage.times", 0), ("stage.block0.width", 0)), "out of order"),
        ((("stage.times", 0), ("stage.block0.width", 0), ("act", 0), ("act", 0)), "twice"),
    ],
)
def test_foreign_architectures_are_refused(space: Space, choices: tuple[tuple[str, int], ...], said: str) -> None:
    with pytest.raises(ArchitectureError, match=said):
        space.validate(Architecture(choices))


def test_foreign_architectures_are_not_varied(space: Space) -> None:
    rng = np.random.default_rng(0)
    foreign = Architecture((("elsewhere", 0),))
    ours = space.sample(rng)
    for vary in (
        lambda: space.mutate(foreign, rng),
        lambda: space.crossover(foreign, foreign, rng),
        lambda: space.crossover(Architecture((("stage.times", 7),)), ours, rng),
        lambda: list(space.neighbours(foreign)),
        lambda: space.encode(foreign),
        lambda: space.describe(foreign),
        lambda: space.decode(np.zeros(3)),
    ):
        with pytest.raises(ArchitectureError):
            vary()


def test_a_space_of_one_cannot_be_mutated() -> None:
    space, rng = Space(RELU, "one"), np.random.default_rng(0)
    assert space.size == 1
    assert list(space.neighbours(space.sample(rng))) == []
    with pytest.raises(SpaceError, match="Space 'one' has a single architecture"):
        space.mutate(space.sample(rng), rng)


def test_architectures_are_made_from_labels(space: Space) -> None:
    made = space.architecture({"stage.times": "1", "stage.block0.width": "4", "stage.block1.width": 0, "act": "tanh"})
    assert made.choices == (("stage.times", 0), ("stage.block0.width", 2), ("act", 1))
    with pytest.raises(ArchitectureError, match="got option 'sigmoid'"):
        space.architecture({"stage.times": "1", "stage.block0.width": "4", "act": "sigmoid"})


def test_soft_vectors_decode_to_the_largest_entries(space: Space) -> None:
    architecture = space.sample(np.random.default_rng(3))
    noise = np.random.default_rng(0).uniform(0, 0.4, space.encode(architecture).shape)
    assert space.decode(space.encode(architecture) + noise) == architecture


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_filling_with_its_own_choices_gives_an_architecture_back(seed):
    space = get_space("cnn")
    architecture = space.sample(np.random.default_rng(seed))
    asked: list[tuple[str, int]] = []
    labels = {choice.address: choice.labels for choice in space.choices()}

    def pick(address: str, options: int) -> int:
        assert options == len(labels[address])
        asked.append((address, architecture.as_dict()[address]))
        return asked[-1][1]

    assert space.fill(pick) == architecture
    assert tuple(asked) == architecture.choices


def test_filling_with_an_option_that_there_is_not_is_an_error():
    with pytest.raises(ArchitectureError, match="got option 99"):
        get_space("mlp").fill(lambda address, options: 99)


def test_weights_say_how_likely_options_are_drawn() -> None:
    width = choice(8, 16, 32, weights=(1, 2, 7))
    space = Space(chain(op("dense", width=width), repeat(op("relu"), integer(1, 2, weights=(9, 1)))))
    rng = np.random.default_rng(0)
    drawn = [space.describe(space.sample(rng)) for _ in range(4000)]
    share = {label: np.mean([dict(made)["dense.width"] == label for made in drawn]) for label in ("8", "16", "32")}
    assert share == pytest.approx({"8": 0.1, "16": 0.2, "32": 0.7}, abs=0.03)
    assert np.mean([dict(made)["repeat.times"] == "1" for made in drawn]) == pytest.approx(0.9, abs=0.03)
    uniform = [dict(space.describe(space.sample(rng, uniform=True)))["dense.width"] for _ in range(3000)]
    assert np.mean([label == "32" for label in uniform]) == pytest.approx(1 / 3, abs=0.05)
    assert [info.weights for info in space.choices()] == [(1.0, 2.0, 7.0), (9.0, 1.0)]


def test_a_mutation_goes_by_the_weights_of_the_other_options() -> None:
    space = Space(op("dense", width=choice(8, 16, 32, weights=(1, 9, 90))))
    rng = np.random.default_rng(0)
    mutants = [space.mutate(space.at(2), rng).choices[0][1] for _ in range(2000)]
    assert 2 not in mutants
    assert np.mean(np.array(mutants) == 1) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("weights", [(1,), (1, 2, 3), (1, 0), (1, -1), (1, float("inf")), ("a", "b"), (True, 1)])
def test_weights_that_are_none_are_refused(weights: tuple[object, ...]) -> None:
    with pytest.raises(SpaceError, match="one positive number for each of the 2 options"):
        choice(8, 16, weights=weights)  # type: ignore[arg-type]


def test_references_are_architectures_of_the_space() -> None:
    body = op("dense", width=choice(8, 16))
    space = Space(body, "tiny", {"wide": {"width": "16"}, "narrow": Architecture((("width", 0),))})
    assert space.references == {"wide": space.at(1), "narrow": space.at(0)}
    read = Space.from_json(space.to_json())
    assert (read, read.references) == (space, space.references)
    assert pickle.loads(pickle.dumps(space)).references == space.references
    with pytest.raises(ArchitectureError, match=r"The reference .huge. is not of the space\..*expected 0 to 1"):
        Space(body, "tiny", {"huge": {"width": "64"}})
