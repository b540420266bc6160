"""The space of Zoph and Le (Neural architecture search with reinforcement learning, ICLR 2017, arXiv 1611.01578)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from archwright.space.combinators import chain, choice, dag, op
from archwright.space.expression import OUTPUTS
from archwright.space.space import Space
from archwright.space.zoo.references import with_references


def layers(
    layers: int = 6,
    filters: Sequence[int] = (24, 36, 48, 64),
    sizes: Sequence[int] = (1, 3, 5, 7),
    strides: Sequence[int] = (1,),
) -> Space:
    """Layers of convolutions with skip connections from any earlier ones (Zoph and Le 2017).

    The paper's four rules hold by construction: a layer that reads no other reads the image; outputs that no layer
    reads are concatenated before the classifier; several inputs are concatenated along channels; maps of different
    size are zero-padded to the largest.

    The references have 3x3 filters, as few or as many as there may be, in layers that read the one
    before (VGG-like), or all before (DenseNet-like), without pooling between them.

    Args:
        layers: How many.
        filters: Numbers of filters to choose from.
        sizes: Heights and widths of filters to choose from.
        strides: Strides to choose from; the paper has one variant with 1 only and one with 1, 2 and 3.
    """
    layer = op(
        "conv_bn_relu",
        kernel=choice(*product(sizes, sizes)),
        stride=choice(*strides),
        width=choice(*filters),
    )
    return with_references(
        chain(
            dag(layers, edges="any", merge="concat", node=layer, output="loose", name="layers"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS, name="classifier"),
        ),
        "layers",
        _references(layers, sorted({min(filters), max(filters)}), min(strides)) if 3 in sizes else {},
    )


def _references(layers: int, filters: Sequence[int], stride: int) -> dict[str, dict[str, int | str]]:
    references = {}
    for name, dense in (("VGG-like", False), ("DenseNet-like", True)):
        for width in filters:
            chosen: dict[str, int | str] = {}
            for node in range(1, layers + 1):
                reads = {
                    f"layers.node{node}.from{earlier}": "yes" if dense or earlier == node - 1 else "no"
                    for earlier in range(1, node)
                }
                sizes = {"kernel": "(3, 3)", "stride": str(stride), "width": str(width)}
                chosen |= reads | {f"layers.node{node}.{key}": label for key, label in sizes.items()}
            references[f"{name}-{width}"] = chosen
    return references
