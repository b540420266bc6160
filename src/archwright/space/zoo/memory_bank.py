"""The memory banks of SMASH (Brock, Lim, Ritchie and Weston, ICLR 2018, arXiv 1708.05344)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from archwright.space.combinators import chain, choice, integer, op, parallel, repeat, take
from archwright.space.expression import DOWN, OUTPUTS, Expression
from archwright.space.space import Space
from archwright.space.zoo.references import with_references


def memory_bank(
    blocks: int = 3,
    layers: int = 4,
    banks: int = 3,
    channels: int = 8,
    kernels: Sequence[int] = (3, 5),
    dilations: Sequence[int] = (1, 2),
) -> Space:
    """SMASH: layers that read some memory banks of equal width and add what they compute to some (Brock et al. 2018).

    A block of the network keeps a few maps of equal shape, the banks. A layer concatenates the banks it reads, begins with a
    1x1 convolution, goes on with one convolution, the sum of two, or a gated one (tanh times sigmoid), and adds the
    result to the banks it writes. Layers that read and write one bank are a ResNet; layers that read all and each write one
    of their own grow like a DenseNet; branches over banks of their own, read together later, are those of a FractalNet.
    Between blocks the banks are concatenated, the map is halved, and the new banks are 1x1 convolutions of it.

    Kept of the paper are the banks, the read and write patterns, the leading 1x1 convolution and the kinds of operations.
    Not kept: the number of banks, their unit of width and the bottleneck are the same throughout a block, and all banks
    are written at its start (the paper draws these numbers, and has empty banks, which no layer may read); at most two
    convolutions stand in parallel, not four, and none is grouped. The paper's hypernetwork is a way to evaluate, no part
    of the space.

    The references have the most layers, each with one convolution of the first kernel and dilation, and the banks in
    turn: ResNet-like reads and writes one bank, DenseNet-like reads all and writes one.

    Args:
        blocks: How many.
        layers: Largest number of layers in a block.
        banks: In each block; every set of them can be read and every set written.
        channels: Of a bank of the first block; doubled from block to block.
        kernels: To choose from.
        dilations: To choose from.
    """
    parts: list[Expression] = []
    for index in range(blocks):
        width = channels * 2**index
        if index:
            parts += [
                _joined(range(banks), f"join{index}"),
                op("avg_pool", kernel=DOWN, stride=DOWN, name=f"down{index}"),
            ]
        enter, kernel = ("relu_conv_bn", 1) if index else ("conv_bn", 3)
        written = (op(enter, kernel=kernel, width=width, name=f"bank{bank}") for bank in range(banks))
        layer = _layer(banks, width, kernels, dilations)
        parts += [
            parallel(*written, merge=None, name=f"enter{index}"),
            repeat(layer, integer(1, layers, name="depth"), name=f"block{index}"),
        ]
    return with_references(
        chain(
            *parts,
            _joined(range(banks), "join"),
            op("relu"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS, name="classifier"),
        ),
        "memory-bank",
        {
            "ResNet-like": _reference(blocks, layers, banks, dense=False),
            "DenseNet-like": _reference(blocks, layers, banks, dense=True),
        },
    )


def _reference(blocks: int, layers: int, banks: int, *, dense: bool) -> dict[str, int | str]:
    chosen: dict[str, int | str] = {}
    for block in range(blocks):
        chosen[f"block{block}.depth"] = str(layers)
        for layer in range(layers):
            bank = _label([layer % banks])
            where = f"block{block}.layer{layer}"
            chosen |= {
                f"{where}.new.value.read": _label(range(banks)) if dense else bank,
                f"{where}.new.value.op": "single",
                f"{where}.new.value.op.single.kernel": 0,
                f"{where}.new.value.op.single.dilation": 0,
                f"{where}.write": bank,
            }
    return chosen


def _layer(banks: int, width: int, kernels: Sequence[int], dilations: Sequence[int]) -> Expression:
    """From the banks to the banks."""
    subsets = [subset for size in range(1, banks + 1) for subset in combinations(range(banks), size)]
    read = choice(*(_joined(subset, _label(subset)) for subset in subsets), name="read")

    def conv(name: str) -> Expression:
        return op("relu_conv_bn", kernel=choice(*kernels), dilation=choice(*dilations), width=width, name=name)

    kind = choice(
        conv("single"),
        parallel(conv("left"), conv("right"), name="double"),
        parallel(
            chain(conv("value"), op("tanh"), name="value"),
            chain(conv("gate"), op("sigmoid"), name="gate"),
            merge="mul",
            name="gated",
        ),
        name="op",
    )
    computed = chain(read, op("relu_conv_bn", kernel=1, width=width, name="enter"), kind, name="value")
    write = choice(
        *(
            parallel(
                *(parallel(take(bank), take(banks)) if bank in subset else take(bank) for bank in range(banks)),
                merge=None,
                name=_label(subset),
            )
            for subset in subsets
        ),
        name="write",
    )
    return chain(
        parallel(*(take(bank) for bank in range(banks)), computed, merge=None, name="new"), write, name="layer"
    )


def _joined(banks: Sequence[int], name: str) -> Expression:
    return parallel(*(take(bank) for bank in banks), merge="concat", name=name)


def _label(subset: Sequence[int]) -> str:
    return "-".join(map(str, subset))
