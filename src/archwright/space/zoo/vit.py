"""Vision transformers: the space of AutoFormer (Chen, Peng, Fu and Ling, ICCV 2021, arXiv 2107.00651)."""

from __future__ import annotations

from collections.abc import Sequence

from archwright.space.combinators import chain, choice, integer, op, repeat
from archwright.space.expression import OUTPUTS
from archwright.space.space import Space
from archwright.space.zoo.references import with_references


def vit(
    widths: Sequence[int] = (32, 48, 64),
    heads: Sequence[int] = (2, 3, 4),
    ratios: Sequence[float] = (2, 3, 4),
    depths: tuple[int, int] = (2, 5),
    head_dim: int = 16,
    patch: int = 4,
) -> Space:
    """Vision transformers: width and depth of the whole, heads and hidden width of each layer (AutoFormer, Chen et al. 2021).

    A smaller network lies in a larger one: fewer layers are the first ones, and a smaller width, fewer heads or a smaller
    ratio have the leading features.

    The paper's tiny space, for images of 224x224, is ``vit(widths=(192, 216, 240), heads=(3, 4), ratios=(3.5, 4),
    depths=(12, 14), head_dim=64, patch=16)``; it also has relative positions, and a class token where this one has the mean.

    The references, one for each width of as many heads as fit it, are DeiTs (Touvron et al. 2021,
    arXiv 2012.12877) with the mean in place of the class token: 12 layers or as near as there are,
    and the ratio 4. DeiT-like-192 has the sizes of DeiT-tiny.

    Args:
        widths: Features of a token.
        heads: Of each attention.
        ratios: Hidden features of each feed-forward layer, as multiples of the width.
        depths: Smallest and largest number of layers.
        head_dim: Features of a head.
        patch: Height and width of a patch in pixels.
    """
    layer = chain(
        op("attention", heads=choice(*heads), head_dim=head_dim), op("ffn", ratio=choice(*ratios)), name="layer"
    )
    return with_references(
        chain(
            op("patch_embed", width=choice(*widths), patch=patch, name="embed"),
            repeat(layer, integer(*depths, name="depth"), name="layers"),
            op("layer_norm"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS, name="classifier"),
        ),
        "vit",
        {
            f"DeiT-like-{width}": _deit(width, width // head_dim, min(max(12, depths[0]), depths[1]), str(ratio))
            for width in widths
            for ratio in ratios
            if ratio == 4 and width % head_dim == 0 and width // head_dim in heads
        },
    )


def _deit(width: int, heads: int, depth: int, ratio: str) -> dict[str, int | str]:
    chosen: dict[str, int | str] = {"embed.width": str(width), "layers.depth": str(depth)}
    for layer in range(depth):
        chosen |= {f"layers.layer{layer}.attention.heads": str(heads), f"layers.layer{layer}.ffn.ratio": ratio}
    return chosen
