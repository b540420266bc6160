from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from archwright.evaluators import Recipe, State, predict
from archwright.evaluators.engine import fit
from archwright.evaluators.numerics import MODES
from archwright.evaluators.sizes import Sizes
from archwright.graph.module import build
from archwright.problem import Signature
from archwright.space import get_space

SMALL = ((0.4, 0.5), (0.7, 0.75))
RECIPE = Recipe(small=SMALL, batch_size=8)


class Noted(nn.Module):
    """A network that notes the sizes of what it is trained on."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head, self.seen = head, []

    def forward(self, x):
        if self.training:
            self.seen.append(tuple(x.shape[2:]))
        return self.head(x)


def convolutions() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


def dense() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 32 * 32, 3))


def maps() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten())


class Positions(nn.Module):
    """Patches with a position each, as a transformer has them."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.position, self.head = nn.Conv2d(3, 4, 4, 4), nn.Parameter(torch.zeros(64, 4)), nn.Linear(4, 3)

    def forward(self, x):
        return self.head((self.patch(x).flatten(2).transpose(1, 2) + self.position).mean(1))


def trained(head, recipe=RECIPE, epochs=5):
    module = Noted(head)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(16, 3, 32, 32)).astype(np.float32))
    y = torch.from_numpy(rng.integers(3, size=16))
    state = State.fresh(module, recipe, MODES["fp32"], 0)
    list(fit(state, x, y, kind="classification", epochs=epochs, valid=x))
    return module, x


def test_a_network_of_convolutions_sees_smaller_pictures_first_and_whole_ones_last():
    module, _ = trained(convolutions())
    assert set(module.seen) == {(16, 16), (24, 24), (32, 32)}
    assert module.seen == sorted(module.seen)
    assert module.seen.count((16, 16)) == 0.4 * len(module.seen)
    assert module.seen[-1] == (32, 32)


@pytest.mark.parametrize("head", [dense, maps, Positions])
def test_a_network_made_for_one_size_is_trained_at_it(head):
    outputs = 3 if head is not maps else 4 * 32 * 32
    module = head()
    x = torch.zeros(2, 3, 32, 32)
    assert module(x).shape == (2, outputs)
    assert Sizes.of(module, x, RECIPE).shape is None
    if head is not maps:
        assert set(trained(head())[0].seen) == {(32, 32)}


@pytest.mark.parametrize(("name", "shrinks"), [("vit", False), ("cnn", True)])
def test_spaces_are_told_apart_by_their_networks(name, shrinks):
    space, signature = get_space(name), Signature(((3, 32, 32),), (10,))
    network = next(iter(space.references.values()))
    module = build(space.graph(network, signature), seed=0)
    found = Sizes.of(module, torch.zeros(2, 3, 32, 32), RECIPE)
    assert (found.at(0.0) is not None) is shrinks


def test_whether_it_takes_them_is_found_out_without_a_trace():
    module = convolutions().train()
    module.insert(1, nn.BatchNorm2d(4))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    random = torch.get_rng_state()
    Sizes.of(module, torch.ones(2, 3, 32, 32), RECIPE)
    assert module.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_outputs_are_those_for_whole_pictures():
    module, x = trained(convolutions())
    assert not module.training
    with torch.no_grad():
        assert np.array_equal(predict(module, x), module(x).numpy())


@pytest.mark.parametrize("x", [torch.zeros(4, 5), torch.zeros(4, 3, 32, 32)], ids=["rows", "no recipe"])
def test_nothing_is_shrunk_that_is_no_picture_or_if_the_recipe_does_not_say_so(x):
    module = nn.Linear(5, 2) if x.dim() == 2 else convolutions()
    recipe = RECIPE if x.dim() == 2 else Recipe()
    assert [Sizes.of(module, x, recipe).at(place) for place in (0.0, 0.5, 1.0)] == [None] * 3


def test_sides_are_shrunk_each_and_none_below_the_least():
    found = Sizes.of(convolutions(), torch.zeros(2, 3, 48, 20), RECIPE)
    assert [found.at(place) for place in (0.0, 0.5, 0.9)] == [(24, 16), (36, 16), None]
    assert Sizes.of(convolutions(), torch.zeros(2, 3, 16, 16), RECIPE).shape is None
