"""The references of the zoo's spaces: all build, and published networks have the published sizes."""

from __future__ import annotations

from typing import Any

import pytest

from archwright.problem import Signature
from archwright.space import Space, get_space, list_spaces, op
from archwright.space.expression import OUTPUTS
from archwright.space.zoo.references import distinct, pairs, with_references

CIFAR = Signature(((3, 32, 32),), (10,))
IMAGENET = Signature(((3, 224, 224),), (1000,))
TEXT = Signature(((32,),), (27,), (32,))
USUAL = {"mlp": Signature(((13,),), (3,)), "rnn-cell": TEXT}
OTHERS = {"cnn", "mlp"}
"""Spaces whose references have tests of their own."""
PAPER: dict[str, dict[str, Any]] = {
    "darts": {"cells": 20, "channels": 36},
    "nasnet": {"cells": 6, "channels": 36},
    "mobilenet": {
        "widths": (24, 32, 64, 96, 160, 320),
        "strides": (2, 2, 2, 2, 1, 2, 1),
        "depths": (2, 3, 4, 3, 3, 1),
        "stem": (32, 16),
        "head": 1280,
    },
    "vit": {
        "widths": (192, 216, 240),
        "heads": (3, 4),
        "ratios": (3.5, 4),
        "depths": (12, 14),
        "head_dim": 64,
        "patch": 16,
    },
}
"""Options that give a paper's sizes."""


@pytest.mark.parametrize("name", [name for name in list_spaces() if name not in OTHERS])
def test_every_space_has_references_and_each_builds(name: str) -> None:
    space = get_space(name)
    assert space.references
    for architecture in space.references.values():
        space.validate(architecture)
        assert space.graph(architecture, USUAL.get(name, CIFAR)).cost.params > 0
    distinct_ones = {space.graph(made, USUAL.get(name, CIFAR)).fingerprint for made in space.references.values()}
    assert len(distinct_ones) == len(space.references)
    assert Space.from_json(space.to_json()).references == space.references


@pytest.mark.parametrize(
    ("space", "reference", "signature", "params"),
    [
        ("darts", "DARTS", CIFAR, 3_349_342),  # as the authors' code counts it
        ("darts", "DARTS-first-order", CIFAR, 3.2e6),
        ("darts", "PC-DARTS", CIFAR, 3.63e6),
        ("darts", "P-DARTS", CIFAR, 3.43e6),
        ("darts", "GDAS", CIFAR, 3.37e6),
        ("nasnet", "AmoebaNet-A", CIFAR, 3.15e6),
        ("nasnet", "NASNet-A-like", CIFAR, 3.83e6),
        ("mobilenet", "MobileNetV2", IMAGENET, 3_504_872),  # as torchvision counts it
        (
            "vit",
            "DeiT-like-192",
            IMAGENET,
            5_717_416 - 2 * 192,
        ),  # no class token, and no position of it
    ],
)
def test_published_networks_have_the_published_sizes(
    space: str, reference: str, signature: Signature, params: float
) -> None:
    found = get_space(space, **PAPER[space])
    counted = found.graph(found.references[reference], signature).cost.params
    assert counted == params if isinstance(params, int) else abs(counted / params - 1) < 0.01


def test_a_residual_block_is_two_convolutions_and_a_skip() -> None:
    space = get_space("nas-bench-201", cells=1)
    cell = dict(space.describe(space.references["ResNet"]))
    kept = {address.removeprefix("cell.edge"): label for address, label in cell.items() if label != "none"}
    assert kept == {
        "0_1": "nor_conv_3x3",
        "1_2": "nor_conv_3x3",
        "0_3": "skip_connect",
        "2_3": "skip_connect",
    }


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("darts", {"nodes": 3}, set()),
        ("nasnet", {"blocks": 2}, set()),
        ("enas-micro", {"blocks": 7}, set()),
        ("enas-macro", {"layers": 1}, {"ResNet-like"}),
        ("enas-macro", {"layers": 24}, {"ResNet-like", "ENAS-like"}),
        (
            "layers",
            {"layers": 2, "filters": (8,), "sizes": (3,), "strides": (1, 2)},
            {"VGG-like-8", "DenseNet-like-8"},
        ),
        ("layers", {"sizes": (5,)}, set()),
        (
            "memory-bank",
            {"blocks": 1, "layers": 1, "banks": 1, "kernels": (3,)},
            {"ResNet-like", "DenseNet-like"},
        ),
        (
            "vit",
            {"widths": (32,), "heads": (2,), "ratios": (4,), "depths": (3, 3)},
            {"DeiT-like-32"},
        ),
        ("vit", {"ratios": (2, 3)}, set()),
        ("rnn-cell", {"nodes": 1}, {"GRU-like", "RHN-like", "DARTS-like"}),
        ("rnn-cell", {"nodes": 8}, {"GRU-like", "RHN-like", "DARTS"}),
        ("rnn-cell", {"nodes": 11}, {"GRU-like", "RHN-like", "ENAS-like"}),
        (
            "mobilenet",
            {
                "widths": (8,),
                "strides": (1, 2),
                "depths": (1,),
                "kernels": (5,),
                "expansions": (2,),
            },
            {"MobileNetV2-like-small", "MobileNetV2-like-large", "MobileNetV3-like"},
        ),
        (
            "mobilenet",
            {"variant": "proxyless"},
            {"MobileNetV2-like-small", "MobileNetV2-like-large", "MobileNetV3-like"},
        ),
    ],
)
def test_references_follow_the_options(name: str, options: dict[str, Any], expected: set[str]) -> None:
    space = get_space(name, **options)
    assert set(space.references) == expected
    for architecture in space.references.values():
        space.graph(architecture, USUAL.get(name, CIFAR))


def test_cells_are_read_from_text() -> None:
    assert pairs(cell="a~0 b~1 | c~2 d~0") == {
        "cell.node2.left.from": "0",
        "cell.node2.left.op": "a",
        "cell.node2.right.from": "1",
        "cell.node2.right.op": "b",
        "cell.node3.left.from": "2",
        "cell.node3.left.op": "c",
        "cell.node3.right.from": "0",
        "cell.node3.right.op": "d",
    }
    assert distinct(cell="a~1 b~0 | c~2 d~1") == {
        "cell.edge1_2": "a",
        "cell.edge0_2": "b",
        "cell.edge2_3": "c",
        "cell.edge1_3": "d",
        "cell.node3.inputs": "1+2",
    }


def test_places_with_nothing_to_choose_are_left_out() -> None:
    space = with_references(op("linear", width=OUTPUTS), "small", {"only": {"linear.bias": "no"}})
    assert space.references["only"].choices == ()
