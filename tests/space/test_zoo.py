"""The contract on every space of the zoo, on ordinary and odd shapes."""

from __future__ import annotations

import math
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archwright.errors import GraphError, SpaceError
from archwright.graph import Graph
from archwright.graph.measure import CountFlops
from archwright.graph.module import build
from archwright.problem import Signature
from archwright.space import Space, get_space, list_spaces, op, zoo
from archwright.testing.space import check_space, identities_elsewhere, identity

IMAGES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 17, 23), (1, 1, 1)]
SMALL: dict[str, dict[str, Any]] = {
    "nas-bench-201": {"cells": 1},
    "nasnet": {"cells": 1, "channels": 4},
    "darts": {"cells": 3, "channels": 4},
    "enas-micro": {"cells": 1, "channels": 4},
    "memory-bank": {"layers": 2},
}
NEW = ["enas-macro", "enas-micro", "memory-bank", "mobilenet", "vit"]
ON_IMAGES = ["cnn", "layers", "nas-bench-201", "nasnet", "darts", *NEW]


def test_the_zoo() -> None:
    assert list(list_spaces()) == ["mlp", *ON_IMAGES, "rnn-cell"]
    assert all(description.endswith(".") for description in list_spaces().values())


def cnn_size(depth: int, widths: tuple[int, ...]) -> int:
    """Stems, then stages of widths, entries and blocks; 2 kernels if a layer leaves its kernel open."""
    inverted, convnext = 3 * 2, 3 * 2

    def stage(index: int) -> int:
        opened, fixed = (3, 3) if index == 0 else (0, 5)
        entries = 2 * opened + fixed
        if index == 0:
            blocks = 2 * (opened + fixed) * (3 + inverted) + entries * convnext
        else:
            blocks = fixed * (2 + 2 * (1 + inverted) + convnext)
        return widths[index] * (entries + (depth - 1) * blocks)

    extra = math.prod(1 + stage(index) for index in range(2, len(widths)))
    stems = 2 + widths[0] * (1 + 1 + 2)
    return 3 * 4 * stems * stage(0) * stage(1) * extra * 2 * 2


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("nas-bench-201", 15625),
        # two cells of 4 nodes: 8 operations on 2 of 2, 3, 4 and 5 states
        ("darts", (8**8 * 1 * 3 * 6 * 10) ** 2),
        # two cells of 5 blocks: two of 2 to 6 states, two of 13 operations, one of 2 merges
        ("nasnet", ((2 * 3 * 4 * 5 * 6) ** 2 * 13**10 * 2**5) ** 2),
        # six layers of 16 kernels and 4 widths, and a bit for each pair
        ("layers", 64**6 * 2**15),
        ("cnn", cnn_size(4, (9, 11, 11, 10))),
        # six layers of 6 operations; a bit for each of the layers before the last one and for the stem
        ("enas-macro", 6**6 * 2**15),
        # two cells of 5 blocks: two of 2 to 6 states, two of 5 operations
        ("enas-micro", ((2 * 3 * 4 * 5 * 6) ** 2 * 5**10) ** 2),
        # three blocks of 1 to 4 layers: read and write 7 of the sets of 3 banks; one, two or two gated of 4 convolutions
        ("memory-bank", sum((7 * 7 * (4 + 4**2 + 4**2)) ** depth for depth in range(1, 5)) ** 3),
        # three stages of 2 to 4 blocks of 3 kernels and 3 expansions
        ("mobilenet", sum(9**depth for depth in (2, 3, 4)) ** 3),
        # three widths; 2 to 5 layers of 3 numbers of heads and 3 ratios
        ("vit", 3 * sum(9**depth for depth in (2, 3, 4, 5))),
        # two of: 3 embeddings in 7 settings, 2 scales; 144 settings of 4 plain or 4 x 2 residual depths; 48 transformers
        ("mlp", 2 * 7 * 2 * 144 * (4 + 4 * 2) + 4 * 3 * 2 * 2),
        # four nodes of 4 activations that read one of 1, 2, 3 and 4 states
        ("rnn-cell", 4**4 * 2 * 3 * 4),
    ],
)
def test_sizes(name: str, size: int) -> None:
    assert get_space(name).size == size


def test_sizes_of_the_papers() -> None:
    assert get_space("enas-macro", layers=12).size == 6**12 * 2**66
    assert get_space("rnn-cell", nodes=8).size == 4**8 * math.factorial(8)
    stages = {"widths": (24, 40, 80, 112, 160), "strides": (2, 2, 2, 2, 1, 2), "depths": (4,) * 5}
    assert get_space("mobilenet", **stages).size == (9**2 + 9**3 + 9**4) ** 5
    stages = {"widths": (24, 40, 80, 96, 192, 320), "strides": (2, 2, 2, 2, 1, 2, 1), "depths": (4, 4, 4, 4, 4, 1)}
    assert get_space("mobilenet", variant="proxyless", **stages).size == 6**6 * 7**15
    tiny = get_space(
        "vit", widths=(192, 216, 240), heads=(3, 4), ratios=(3.5, 4), depths=(12, 14), head_dim=64, patch=16
    )
    assert tiny.size == 3 * (4**12 + 4**13 + 4**14)


@pytest.mark.parametrize("shape", IMAGES)
@pytest.mark.parametrize("name", ON_IMAGES)
def test_contract_on_images(name: str, shape: tuple[int, ...]) -> None:
    space = get_space(name, **SMALL.get(name, {}))
    check_space(space, Signature((shape,), (4,)), range(2), networks=1, other_process=False)


@pytest.mark.parametrize("shape", IMAGES)
def test_contract_of_the_proxyless_form(shape: tuple[int, ...]) -> None:
    space = get_space("mobilenet", variant="proxyless", depths=(2, 1, 3))
    assert space.size == 6**3 * 7**3
    check_space(space, Signature((shape,), (4,)), range(2), networks=1, other_process=False)


@pytest.mark.parametrize("shape", [(13,), (1,)])
def test_contract_on_vectors(shape: tuple[int, ...]) -> None:
    check_space(get_space("mlp"), Signature((shape,), (1,)), range(6), other_process=shape == (13,))


@pytest.mark.parametrize("steps", [1, 9])
def test_contract_on_sequences(steps: int) -> None:
    space = get_space("rnn-cell", nodes=3, width=8, embedding=4, dropout=0.1)
    check_space(space, Signature(((steps,),), (5,), (steps,)), range(4), other_process=steps == 9)


def test_a_recurrent_cell_needs_a_task_that_asks_for_every_position() -> None:
    space = get_space("rnn-cell", width=8)
    architecture = space.fill(lambda _, count: 0)
    with pytest.raises(GraphError, match="5 units at each of 9 positions"):
        get_space("mlp").graph(get_space("mlp").fill(lambda _, count: 0), Signature(((9,),), (5,), (9,)))
    with pytest.raises(GraphError, match=r"embedding.*expected numbers of symbols, \(T,\)"):
        space.graph(architecture, Signature(((3, 8, 8),), (5,)))
    with pytest.raises(GraphError, match=r"outputs of shape \(5, 9\); expected 1 of 5 units"):
        space.graph(architecture, Signature(((9,),), (5,)))
    with pytest.raises(SpaceError, match="nodes=13; expected 1 to 12"):
        get_space("rnn-cell", nodes=13)


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_IMAGES)
def test_contract_at_full_size(name: str) -> None:
    check_space(get_space(name), Signature(((3, 32, 32),), (10,)), range(12), networks=4)


def test_identities_are_stable_across_processes() -> None:
    signature, rng = Signature(((1, 8, 8),), (4,)), np.random.default_rng(1)
    space = get_space("darts", **SMALL["darts"])
    drawn = [space.sample(rng) for _ in range(3)]
    assert identities_elsewhere(space, signature, drawn) == [identity(space, signature, a) for a in drawn]


@pytest.mark.parametrize(("shape", "smallest_map"), list(zip(IMAGES, [2, 3, 3, 3, 1])))
def test_cnn_has_small_and_large_networks_and_keeps_resolution(shape: tuple[int, ...], smallest_map: int) -> None:
    space, rng = get_space("cnn"), np.random.default_rng(0)
    graphs = [space.graph(space.sample(rng), Signature((shape,), (10,))) for _ in range(100)]
    assert min(graph.cost.params for graph in graphs) < 50_000
    assert max(graph.cost.params for graph in graphs) > 2_000_000
    assert min(min(node.shape[1:]) for graph in graphs for node in graph.nodes if len(node.shape) == 3) == smallest_map


def test_random_networks_of_cnn_cost_about_as_much_as_the_first_reference() -> None:
    space, rng, signature = get_space("cnn"), np.random.default_rng(0), Signature(((3, 32, 32),), (10,))
    first = space.graph(next(iter(space.references.values())), signature).cost
    costs = [space.graph(space.sample(rng), signature).cost for _ in range(200)]
    assert first.flops / 2 < np.median([cost.flops for cost in costs]) < first.flops * 1.5
    assert first.params / 2 < np.median([cost.params for cost in costs]) < first.params * 1.5
    assert np.mean([cost.flops > 4 * first.flops for cost in costs]) < 0.15


class ByHand(nn.Module):
    """The first reference as a user writes it."""

    def __init__(self, channels: int, classes: int, width: float) -> None:
        super().__init__()
        first, last = int(64 * width), int(256 * width)
        self.stem = nn.Conv2d(channels, 8 * channels, 2)
        sizes = [(8 * channels, first), (first, first), (first, last), (last, last), (last, last), (last, last)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b in sizes)
        self.head = nn.Linear(last, classes, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.gelu(self.stem(x))
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = conv(x)
            x = F.gelu(norm(F.max_pool2d(x, 2) if index % 2 == 0 else x))
        return self.head(x.amax((2, 3))) / 9


@pytest.mark.parametrize("training", [True, False])
def test_the_first_reference_of_cnn_is_the_network_made_by_hand(training: bool) -> None:
    space, signature = get_space("cnn"), Signature(((1, 28, 28),), (10,))
    assert next(iter(space.references)) == "speednet-0.5"
    graph = space.graph(space.references["speednet-0.5"], signature)
    ours, theirs = build(graph, 0).train(training), ByHand(1, 10, 0.5).train(training)
    fixed = 8 * 2 * 2
    assert sum(parameter.numel() for parameter in theirs.parameters()) == graph.cost.params + fixed == 493_224
    with torch.no_grad():
        blocks = [block.state_dict() for block in ours.children()]
        theirs.stem.load_state_dict(blocks[0])
        for block, conv, norm in zip(blocks[1:], theirs.convs, theirs.norms):
            conv.weight.copy_(block.pop("conv.weight"))
            norm.load_state_dict({name.removeprefix("bn."): value for name, value in block.items()})
        theirs.head.load_state_dict(blocks[-1])
    x = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x))
    with CountFlops() as counter, torch.no_grad():
        theirs(x[:1])
    assert counter.flops == graph.cost.flops


@pytest.mark.parametrize("shape", IMAGES)
def test_the_references_of_cnn_can_be_built_on_every_image(shape: tuple[int, ...]) -> None:
    space, signature = get_space("cnn"), Signature((shape,), (10,))
    graphs = {name: space.graph(made, signature) for name, made in space.references.items()}
    assert {name.split("-")[0] for name in graphs} == {"speednet", "resnet", "mobilenet", "convnext"}
    assert len({graph.fingerprint for graph in graphs.values()}) == len(graphs)
    if shape == (3, 32, 32):
        kinds = {name: {node.call.spec.name for _, node in graph.operations()} for name, graph in graphs.items()}
        assert all("mbconv" in found for name, found in kinds.items() if name.startswith("mobilenet"))
        assert all("convnext" in found for name, found in kinds.items() if name.startswith("convnext"))
        assert all("add" in found for name, found in kinds.items() if name.startswith("resnet"))


def test_references_that_the_options_leave_no_room_for_are_left_out() -> None:
    assert get_space("cnn", depth=1).references == {}
    assert get_space("cnn", widths=((4, 8), (8, 16))).references == {}
    narrow = get_space("cnn", widths=((16, 32), (32, 64, 128), (64, 128)))
    assert list(narrow.references) == [
        "speednet-0.5",
        "resnet-small",
        "resnet-medium",
        "mobilenet-small",
        "mobilenet-large",
        "convnext-small",
    ]


def test_large_pictures_can_be_halved_first() -> None:
    space, signature = get_space("cnn"), Signature(((3, 224, 224),), (10,))
    made = space.describe(space.references["speednet-0.5"])
    maps = {}
    for option in ("full", "below96", "below48"):
        graph = space.graph(space.architecture({**dict(made), "resolution": option}), signature)
        stem = next(node for _, node in graph.operations() if node.call.spec.name == "whitening")
        maps[option] = stem.shape[1]
    assert maps == {"full": 223, "below96": 55, "below48": 27}


def filled(name: str, choices: dict[str, str], **options: Any) -> Graph:
    """A network for 28x28 images with these choices, and the first option everywhere else."""
    space = get_space(name, **options)
    rest = {info.address: 0 for info in space.choices()}
    return space.graph(space.architecture({**rest, **choices}), Signature(((1, 28, 28),), (10,)))


def operations(graph: Graph) -> list[str]:
    return [node.call.spec.name for _, node in graph.operations()]


def test_a_layer_of_enas_always_reads_the_one_before() -> None:
    chain = operations(filled("enas-macro", {}))
    assert chain == [
        "conv_bn",
        *["conv_bn_relu"] * 4,
        "factorized_reduce",
        *["conv_bn_relu"] * 4,
        "factorized_reduce",
        *["conv_bn_relu"] * 4,
        "global_avg_pool",
        "linear",
    ]
    skipping = operations(filled("enas-macro", {"layer3.skip0": "yes", "layer3.skip2": "yes"}))
    assert skipping.count("add") == 1
    assert skipping.count("factorized_reduce") == 3
    assert len(skipping) == len(chain) + 2


def test_memory_banks_express_residual_and_dense_networks() -> None:
    def block(reads: list[str], writes: list[str]) -> Graph:
        choices = {"block0.depth": str(len(reads))}
        for index, (read, write) in enumerate(zip(reads, writes)):
            choices |= {f"block0.layer{index}.new.value.read": read, f"block0.layer{index}.write": write}
        return filled("memory-bank", choices, blocks=1)

    residual = operations(block(["0"] * 3, ["0"] * 3))
    assert [residual.count(name) for name in ("relu_conv_bn", "add", "concat")] == [6, 3, 1]
    dense = block(["0-1-2"] * 3, ["0", "1", "2"])
    assert operations(dense).count("concat") == 4
    assert operations(dense).count("add") == 3
    entries = [node.call.inputs[0] for _, node in dense.operations() if node.scope.endswith("enter")]
    assert entries == [(24, 28, 28)] * 3


def test_a_skipped_block_leaves_nothing() -> None:
    options: dict[str, Any] = {"variant": "proxyless", "depths": (3, 1, 1)}
    full = operations(filled("mobilenet", {}, **options))
    skipped = operations(filled("mobilenet", {"stage0.more.block0": "skip", "stage0.more.block1": "skip"}, **options))
    assert (full.count("mbconv"), skipped.count("mbconv")) == (6, 4)


@pytest.mark.parametrize("name", ["mobilenet", "vit"])
def test_a_smaller_network_has_parameters_inside_those_of_the_largest(name: str) -> None:
    space, rng = get_space(name), np.random.default_rng(0)
    last = {info.address: len(info.labels) - 1 for info in space.choices()}
    signature = Signature(((1, 28, 28),), (10,))
    large = build(space.graph(space.architecture(last), signature), 0).state_dict()
    for _ in range(5):
        for key, value in build(space.graph(space.sample(rng), signature), 0).state_dict().items():
            assert value.ndim == large[key].ndim
            assert all(one <= other for one, other in zip(value.shape, large[key].shape)), key


def test_mobilenet_refuses_what_it_cannot_build() -> None:
    with pytest.raises(SpaceError, match="Did you mean 'proxyless'"):
        get_space("mobilenet", variant="proxylss")
    with pytest.raises(SpaceError, match="got 2 widths, 3 depths and 4 strides"):
        get_space("mobilenet", widths=(8, 16))


def test_networks_for_tables_know_the_columns() -> None:
    space = get_space("mlp")
    plain, layout = Signature(((8,),), (3,)), Signature(((8,),), (3,), columns=(1, 1, 3, 1, 2))
    assert {"mlp-piecewise", "tabm", "realmlp", "resnet", "mlp", "ft-transformer"} == set(space.references)
    for name, architecture in space.references.items():
        graph = space.graph(architecture, layout)
        columns = {dict(node.attrs).get("columns") for _, node in graph.operations()} - {None}
        assert columns <= {layout.columns}
        assert (graph.fingerprint != space.graph(architecture, plain).fingerprint) == bool(columns), name
    assert Space.from_json(space.to_json()) == space


def test_options_change_the_space() -> None:
    assert get_space("cnn", depth=6, widths=[(8,), (16,)]).size < get_space("cnn", depth=6).size
    assert get_space("mlp", depth=1).size == 2 * 7 * 2 * 144 * 3 + 3 * 2 * 2
    assert get_space("nas-bench-201", cells=1) != get_space("nas-bench-201")


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(SpaceError, match=r"Did you mean 'cnn'"):
        get_space("cnnn")
    with pytest.raises(SpaceError, match=r"no option 'layer'. Did you mean 'layers'"):
        get_space("layers", layer=3)


def theirs(width: int = 4) -> Space:
    """A space of another package."""
    return Space(op("linear", width=width), "theirs")


def test_other_packages_register_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("theirs", "their_package:theirs", zoo._GROUP),
        EntryPoint("bad", "no_such_package:x", zoo._GROUP),
    ]
    monkeypatch.setattr(zoo, "entry_points", lambda group: EntryPoints(points[:1] if group == zoo._GROUP else ()))
    monkeypatch.setattr(EntryPoint, "load", lambda point: theirs)
    assert list_spaces()["theirs"] == "A space of another package."
    assert get_space("theirs", width=7) == theirs(7)
    monkeypatch.undo()
    monkeypatch.setattr(zoo, "entry_points", lambda group: EntryPoints(points[1:]))
    with pytest.raises(SpaceError, match="'bad' of no_such_package:x cannot be loaded"):
        get_space("bad")
