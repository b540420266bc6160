"""NAS-Bench-201 (Dong and Yang, ICLR 2020, arXiv 2001.00326).

The published costs count all six edges of a cell; ours leave out what computes nothing, so they are equal exactly for the
11,308 cells that reach their output and have no idle convolution (MACs are FLOPs / 2).

The benchmark's own notion of equal cells gives 6,466 classes, ours 6,147 fingerprints. Neither refines the other; on the
cells without `none` ours refine the benchmark's.

- The benchmark writes a cell as the text of a sum in which zeros stay terms, so it keeps apart cells that are the same
  function, such as ``x + 0 + 0`` and ``x + 0 + 0 + 0``. Sums without zeros, and flat, give 4,930 classes; each is a union of our
  fingerprints.
- Ours keep apart what that text cannot tell: an operation whose result is used twice, and two equal operations with
  weights of their own (``|conv~0|+|none~0|skip~1|+|conv~0|...``); and nested sums, whose activations cost memory, from
  flat ones.
"""

from __future__ import annotations

from typing import Final

from archwright.errors import ArchitectureError
from archwright.problem import Architecture
from archwright.space.combinators import chain, choice, dag, op, repeat, shared
from archwright.space.expression import OUTPUTS
from archwright.space.space import Space

OPS: Final = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations in the benchmark's order."""

EDGES: Final = ("cell.edge0_1", "cell.edge0_2", "cell.edge1_2", "cell.edge0_3", "cell.edge1_3", "cell.edge2_3")
"""The edges in the benchmark's order, as addresses."""

RESNET: Final = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
"""The residual block: two convolutions and a skip connection past them."""


def nas_bench_201(channels: int = 16, cells: int = 5) -> Space:
    """NAS-Bench-201: one cell on 4 states, 15,625 cells with published accuracies (Dong and Yang 2020).

    The reference is the residual block that the paper compares with. Cells that are known to be good from the tables
    only are no references: to begin with these would be to know the answer.

    Args:
        channels: Of the first stage; doubled from stage to stage.
        cells: In each of the three stages.
    """
    none, skip, conv1, conv3, pool = OPS
    cell = shared(
        "cell",
        dag(
            3,
            ops=choice(
                op("none", name=none),
                op("identity", name=skip),
                op("relu_conv_bn", kernel=1, name=conv1),
                op("relu_conv_bn", kernel=3, name=conv3),
                op("avg_pool", kernel=3, name=pool),
            ),
        ),
    )
    return Space(
        chain(
            op("conv_bn", width=channels, kernel=3, name="stem"),
            repeat(cell, cells, name="stage1"),
            op("basic_block", width=2 * channels, stride=2, name="reduction1"),
            repeat(cell, cells, name="stage2"),
            op("basic_block", width=4 * channels, stride=2, name="reduction2"),
            repeat(cell, cells, name="stage3"),
            op("bn_relu"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS, name="classifier"),
        ),
        "nas-bench-201",
        {"ResNet": architecture(RESNET)},
    )


def architecture(arch_string: str) -> Architecture:
    """The architecture of a cell in the benchmark's notation.

    Raises:
        ArchitectureError: Where the text is something else.

    >>> to_string(architecture("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"))
    '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|'
    """
    parts = [part.split("~") for node in arch_string.split("+") for part in node.strip("|").split("|")]
    if [part[1:] for part in parts] != [["0"], ["0"], ["1"], ["0"], ["1"], ["2"]] or any(
        part[0] not in OPS for part in parts
    ):
        raise ArchitectureError(
            f"Got the cell {arch_string!r}; expected text such as "
            f"'|none~0|+|none~0|none~1|+|none~0|none~1|none~2|' of {', '.join(OPS)}."
        )
    return from_ops([OPS.index(part[0]) for part in parts])


def from_ops(ops: list[int]) -> Architecture:
    """The architecture with these six operations, as indices into `OPS`, on the edges in the order of `EDGES`.

    Raises:
        ArchitectureError: Where there are not six indices from 0 to 4.
    """
    if len(ops) != len(EDGES) or not all(0 <= index < len(OPS) for index in ops):
        raise ArchitectureError(f"Got the operations {ops}; expected six indices from 0 to {len(OPS) - 1}.")
    return Architecture(tuple(zip(EDGES, map(int, ops))))


def to_ops(architecture: Architecture) -> list[int]:
    """Inverse of :func:`from_ops`."""
    chosen = architecture.as_dict()
    return [chosen[edge] for edge in EDGES]


def to_string(architecture: Architecture) -> str:
    """The cell in the benchmark's notation, inverse of :func:`architecture`."""
    named = [OPS[index] for index in to_ops(architecture)]
    nodes = [(named[0],), named[1:3], named[3:6]]
    return "+".join(f"|{'|'.join(f'{name}~{source}' for source, name in enumerate(node))}|" for node in nodes)
