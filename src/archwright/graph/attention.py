"""The operations of vision transformers: one registration each; see :mod:`archwright.graph.blocks.attention`."""

from __future__ import annotations

from typing import Final

from archwright.graph.ops import REQUIRED, OpSpec, register_op

_BLOCKS: Final = "archwright.graph.blocks.attention:"

for _spec in (
    OpSpec(
        "patch_embed",
        _BLOCKS + "PatchEmbed",
        {"width": REQUIRED, "patch": 4},
        doc="Patches of the map as tokens, with learned positions (ViT).",
        kind="conv",
        receives="shape",
        elastic=("width",),
    ),
    OpSpec(
        "attention",
        _BLOCKS + "Attention",
        {"heads": 4, "head_dim": 16},
        doc="Layer norm, self-attention of the positions of a map, residual (ViT).",
        kind="linear",
        elastic=("heads",),
    ),
    OpSpec(
        "ffn",
        _BLOCKS + "FeedForward",
        {"ratio": 4},
        doc="Layer norm, two linear layers with GELU on each position of a map, residual (ViT).",
        kind="linear",
        elastic=("ratio",),
    ),
    OpSpec(
        "layer_norm",
        _BLOCKS + "LayerNorm",
        doc="Layer norm over the features of a vector or of each position.",
        kind="norm",
    ),
):
    register_op(_spec)
