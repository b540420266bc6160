"""Parity: a path of the supernet, the extracted network and a fresh one with the same weights compute the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archwright.errors import SupernetError
from archwright.graph.module import build
from archwright.problem import Signature
from archwright.space import OUTPUTS, Space, chain, choice, get_space, integer, op, repeat
from archwright.supernet import Supernet

SPACES: dict[str, dict[str, Any]] = {
    "nas-bench-201": {"cells": 1, "channels": 4},
    "nasnet": {"cells": 1, "channels": 4, "blocks": 3},
    "darts": {"cells": 3, "channels": 4},
    "cnn": {"depth": 2, "widths": ((4, 8), (8, 12), (8, 16))},
    "layers": {"layers": 4},
    "mlp": {},
    "enas-macro": {},
    "enas-micro": {"cells": 1, "channels": 4, "blocks": 3},
    "memory-bank": {},
    "mobilenet": {},
    "vit": {},
    "rnn-cell": {"nodes": 3, "width": 8, "embedding": 4},
}


def signature(name: str) -> Signature:
    if name == "rnn-cell":
        return Signature(((7,),), (4,), (7,))
    return Signature(((13,) if name == "mlp" else (1, 12, 12),), (4,))


def inputs(sig: Signature, seed: int = 1) -> torch.Tensor:
    """Four random inputs; symbols, where the signature is a text's."""
    generator = torch.Generator().manual_seed(seed)
    if sig.positions:
        return torch.randint(sig.outputs[0], (4, *sig.inputs[0]), generator=generator).float()
    return torch.randn(4, *sig.inputs[0], generator=generator)


def disturb(net: nn.Module) -> None:
    """Moves all weights from where they begin, biases and scales too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def check_parity(space: Space, sig: Signature, count: int, **options: Any) -> None:
    net = Supernet(space, sig, **options)
    disturb(net)
    rng = np.random.default_rng(1)
    x = inputs(sig)
    for _ in range(count):
        architecture = space.sample(rng)
        own = any("dropout" in str(value) for value in space.describe(architecture))
        for training in (False,) if own else (True, False):
            net.train(training)
            extracted = net.extract(architecture)
            fresh = build(net.graph(architecture), seed=3)
            fresh.load_state_dict(net.weights_of(architecture))
            expected = net(x, architecture)
            torch.testing.assert_close(extracted(x), expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(fresh.train(training)(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SPACES)
def test_path_extracted_and_fresh_networks_agree(name: str) -> None:
    check_parity(get_space(name, **SPACES[name]), signature(name), 6)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_parity_of_fifty(name: str) -> None:
    check_parity(get_space(name, **SPACES[name]), signature(name), 50)


@pytest.mark.parametrize("options", [{"elastic": ()}, {"elastic": ("kernel",)}, {"transforms": True}])
def test_parity_however_weights_are_shared(options: dict[str, Any]) -> None:
    check_parity(get_space("cnn", **SPACES["cnn"]), signature("cnn"), 6, **options)


def kernels() -> Space:
    return Space(
        chain(
            op("conv_bn_relu", width=choice(4, 8), kernel=choice(1, 3, 5), name="conv"),
            op("conv_bn_relu", width=6, name="between"),
            repeat(op("mbconv", width=6, kernel=choice(3, 5), expansion=choice(2, 3), name="block"), integer(1, 3)),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS),
        ),
        "kernels",
    )


def test_smaller_settings_are_parts_of_the_largest() -> None:
    net, sig = Supernet(kernels(), Signature(((2, 8, 8),), (3,))), Signature(((2, 8, 8),), (3,))
    large = net.space.fill(lambda _, n: n - 1)
    small = net.space.fill(lambda _, n: 0)
    whole, part = net.weights_of(large), net.weights_of(small)
    torch.testing.assert_close(part["conv.conv.weight"], whole["conv.conv.weight"][:4, :, 2:3, 2:3])
    key = next(name for name in part if name.endswith("depthwise.0.weight"))
    torch.testing.assert_close(part[key], whole[key][:12, :, 1:4, 1:4])
    assert net.graph(small).cost.params < sum(p.numel() for p in net.parameters())
    assert Supernet(kernels(), sig, elastic=()).counts == net.counts


def test_transforms_begin_as_centres_and_are_learned() -> None:
    sig = Signature(((2, 8, 8),), (3,))
    plain, net = Supernet(kernels(), sig), Supernet(kernels(), sig, transforms=True)
    small, x = net.space.fill(lambda _, n: 0), torch.randn(2, 2, 8, 8)
    torch.testing.assert_close(plain(x, small), net(x, small))
    net(x, small).sum().backward()
    moved = [name for name, p in net.named_parameters() if "kernels" in name and p.grad is not None and p.grad.any()]
    assert moved


def one_hot(net: Supernet, architecture: Any) -> dict[str, torch.Tensor]:
    chosen = architecture.as_dict()
    return {a: nn.functional.one_hot(torch.tensor(chosen.get(a, 0)), n).float() for a, n in net.counts.items()}


@pytest.mark.parametrize("name", ["nas-bench-201", "nasnet", "darts", "layers", "rnn-cell"])
def test_a_mixture_with_all_weight_on_one_architecture_is_its_path(name: str) -> None:
    space, rng = get_space(name, **SPACES[name]), np.random.default_rng(2)
    sig = signature(name) if name == "rnn-cell" else Signature(((1, 16, 16),), (4,))
    net = Supernet(space, sig)
    x = inputs(sig)
    for _ in range(4):
        architecture = space.sample(rng)
        torch.testing.assert_close(net(x, one_hot(net, architecture)), net(x, architecture), atol=1e-5, rtol=1e-5)


def test_a_mixture_of_slices_is_its_path() -> None:
    net = Supernet(kernels(), Signature(((2, 8, 8),), (3,)))
    disturb(net)
    x, rng = torch.randn(4, 2, 8, 8), np.random.default_rng(0)
    for _ in range(6):
        architecture = net.space.sample(rng)
        torch.testing.assert_close(net(x, one_hot(net, architecture)), net(x, architecture), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["nas-bench-201", "cnn", "layers", "rnn-cell"])
def test_every_choice_gets_a_gradient(name: str) -> None:
    net = Supernet(get_space(name, **SPACES[name]), signature(name))
    alphas = {address: torch.zeros(n, requires_grad=True) for address, n in net.counts.items()}
    net(inputs(signature(name)), {a: v.softmax(0) for a, v in alphas.items()}).square().sum().backward()
    assert all(alpha.grad is not None and alpha.grad.isfinite().all() for alpha in alphas.values())
    assert sum(bool(alpha.grad.any()) for alpha in alphas.values()) > 0.9 * len(alphas)


def test_weights_depend_on_place_and_seed_alone() -> None:
    space, sig = get_space("nas-bench-201", cells=1, channels=4), Signature(((1, 8, 8),), (3,))
    one, two, other = Supernet(space, sig), Supernet(space, sig), Supernet(space, sig, seed=1)
    name = next(name for name, p in one.named_parameters() if p.dim() > 1)
    assert torch.equal(one.get_parameter(name), two.get_parameter(name))
    assert not torch.equal(one.get_parameter(name), other.get_parameter(name))


def test_a_place_grows_for_a_setting_that_was_not_foreseen(monkeypatch: pytest.MonkeyPatch) -> None:
    space, sig = get_space("layers", layers=3), Signature(((1, 8, 8),), (3,))
    rng = np.random.default_rng(0)
    monkeypatch.setattr("archwright.supernet.supernet.covering", lambda space, seed: [space.sample(rng)])
    net = Supernet(space, sig)
    first = space.sample(np.random.default_rng(0))
    before, identities = net(torch.ones(2, 1, 8, 8), first), {id(p) for p in net.parameters()}
    before.sum().backward()
    before = before.detach()
    gradients = {id(p): p.grad.abs().sum() for p in net.parameters() if p.grad is not None}
    for _ in range(10):
        check = space.sample(rng)
        torch.testing.assert_close(net.extract(check)(torch.ones(2, 1, 8, 8)), net(torch.ones(2, 1, 8, 8), check))
    assert net.version > 1
    assert identities <= {id(p) for p in net.parameters()}
    torch.testing.assert_close(net(torch.ones(2, 1, 8, 8), first), before)
    for parameter in net.parameters():
        if id(parameter) in gradients:
            torch.testing.assert_close(parameter.grad.abs().sum(), gradients[id(parameter)])
            assert parameter.grad.shape == parameter.shape
    net(torch.ones(2, 1, 8, 8), first).sum().backward()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"elastic": ("dilation",)}, r"conv.*'dilation' of the operation 'conv_bn_relu'.*cannot share")],
)
def test_an_attribute_that_cannot_be_shared_is_refused(options: dict[str, Any], words: str) -> None:
    space = Space(
        chain(
            op("conv_bn_relu", width=4, dilation=choice(1, 2), name="conv"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS),
        )
    )
    with pytest.raises(SupernetError, match=words):
        Supernet(space, Signature(((1, 8, 8),), (2,)), **options)


def test_a_space_without_choices_is_refused() -> None:
    with pytest.raises(SupernetError, match="nothing is chosen"):
        Supernet(Space(chain(op("flatten"), op("linear", width=OUTPUTS))), Signature(((3,),), (2,)))


def test_weights_of_a_mixture_are_checked() -> None:
    net = Supernet(kernels(), Signature(((2, 8, 8),), (3,)))
    x = torch.zeros(1, 2, 8, 8)
    with pytest.raises(SupernetError, match="no weights for the choice"):
        net(x, {})
    full = {address: torch.ones(count) for address, count in net.counts.items()}
    with pytest.raises(SupernetError, match=r"no choice of the space"):
        net(x, full | {"conv.with": torch.ones(2)})
    with pytest.raises(SupernetError, match="Got 9 weights"):
        net(x, full | {"conv.width": torch.ones(9)})
