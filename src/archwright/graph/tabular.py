"""The operations on rows of tables: one registration each; see :mod:`archwright.graph.blocks.tabular`."""

from __future__ import annotations

from typing import Final

from archwright.graph.ops import REQUIRED, OpSpec, register_op

_TABULAR: Final = "archwright.graph.blocks.tabular:"

register_op(
    OpSpec(
        "residual_block",
        "archwright.graph.blocks.vector:ResidualBlock",
        {"ratio": 2, "activation": "relu", "norm": "batch", "dropout": 0.0},
        doc="Norm, linear layer, activation, dropout, linear layer, residual (ResNet for tables).",
        kind="linear",
        elastic=("ratio", "activation", "dropout"),
    )
)
register_op(
    OpSpec(
        "entry_scale",
        _TABULAR + "EntryScale",
        doc="A learned factor for each entry of a vector (RealMLP).",
        kind="other",
        channelwise=True,
    )
)
register_op(
    OpSpec(
        "periodic_embedding",
        _TABULAR + "PeriodicEmbedding",
        {"columns": (), "width": 3, "frequencies": 16, "sigma": 0.1, "categories": 0},
        doc="Waves of learned frequencies for each number of a table's row (RealMLP).",
        kind="linear",
        real=True,
    )
)
register_op(
    OpSpec(
        "piecewise_embedding",
        _TABULAR + "PiecewiseEmbedding",
        {"columns": (), "width": 8, "bins": 16, "categories": 0},
        doc="Piecewise linear functions of each number of a table's row, bins from the training rows.",
        kind="linear",
        real=True,
    )
)
register_op(
    OpSpec(
        "column_tokens",
        _TABULAR + "ColumnTokens",
        {"columns": (), "width": 32},
        doc="Each column of a table as a token: (F,) to (width, columns) (FT-Transformer).",
        kind="linear",
        real=True,
    )
)
register_op(
    OpSpec(
        "mean_tokens",
        "archwright.graph.blocks.functions:mean_tokens",
        doc="Mean over tokens: (width, tokens) to (width,).",
        kind="shape",
        inline=lambda names, attrs: f"{names[0]}.mean(2)",
        channelwise=True,
    )
)
register_op(
    OpSpec(
        "members",
        _TABULAR + "Members",
        {"members": 16},
        doc="What each member of an ensemble sees: (F,) to (F, members) (TabM).",
        kind="other",
        channelwise=True,
        real=True,
    )
)
register_op(
    OpSpec(
        "member_head",
        _TABULAR + "MemberHead",
        {"width": REQUIRED},
        doc="A fully connected layer for each member of an ensemble, and their mean: (F, members) to (width,) (TabM).",
        kind="linear",
        receives="shape",
        head=True,
        real=True,
    )
)
