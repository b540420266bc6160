"""Networks for tables: perceptrons, residual networks, ensembles, transformers of columns."""

from __future__ import annotations

from collections.abc import Sequence

from archwright.space.combinators import chain, choice, integer, op, repeat, shared
from archwright.space.expression import COLUMNS, OUTPUTS, Expression
from archwright.space.space import Space

MEMBERS = 16
"""Members of an ensemble."""


def mlp(
    depth: int = 4,
    widths: Sequence[int] = (32, 64, 128, 256),
    dropouts: Sequence[float] = (0.0, 0.1, 0.3),
    members: int = MEMBERS,
) -> Space:
    """Networks for tables: perceptrons, residual networks, ensembles, transformers of columns.

    Numbers are taken as they are, as waves (RealMLP, arXiv 2407.04491) or piecewise linear (arXiv 2203.05556).
    Ensembles share their weights as in TabM-mini (arXiv 2410.24210); residual blocks and transformers are those
    of Gorishniy et al. 2021 (arXiv 2106.11959).

    Args:
        depth: Largest number of hidden layers or blocks.
        widths: Numbers of hidden units to choose from; all layers have the same.
        dropouts: Dropout rates to choose from.
        members: Members of an ensemble.
    """
    numbers = choice(
        op("identity", name="plain"),
        op("periodic_embedding", columns=COLUMNS, sigma=choice(0.1, 0.3, 1.0), name="periodic"),
        op("piecewise_embedding", columns=COLUMNS, bins=choice(8, 16, 32), name="piecewise"),
        name="numbers",
    )
    scale = choice(op("identity", name="fixed"), op("entry_scale", name="learned"), name="scale")
    stem = shared("stem", chain(numbers, scale, name="stem"))
    body = shared("body", _body(depth, widths, dropouts))
    single = chain(stem, body, op("linear", width=OUTPUTS, name="head"), name="single")
    ensemble = chain(
        stem, op("members", members=members), body, op("member_head", width=OUTPUTS, name="head"), name="ensemble"
    )
    network = choice(ensemble, single, _transformer(depth), name="network", weights=(3, 3, 1))
    known = {info.address for info in Space(network).choices()}
    references = {
        name: {address: option for address, option in made.items() if address in known}
        for name, made in _references(depth, widths, dropouts).items()
    }
    return Space(network, "mlp", references)


def _body(depth: int, widths: Sequence[int], dropouts: Sequence[float]) -> Expression:
    """Hidden layers, plain or residual."""
    activation = shared("activation", choice("relu", "silu", "gelu", "tanh", weights=(3, 3, 1, 1)))
    dropout = shared("dropout", choice(*dropouts))
    width = shared("width", choice(*widths))
    norm = shared("norm", choice("none", "batch", "layer", weights=(3, 1, 1)))
    layer = op("dense", width=width, activation=activation, norm=norm, dropout=dropout, name="layer")
    plain = repeat(layer, integer(1, depth, name="depth"), name="plain")
    block = op(
        "residual_block",
        ratio=shared("ratio", choice(1, 2)),
        activation=activation,
        norm=norm,
        dropout=dropout,
        name="block",
    )
    first = op("dense", width=width, activation="none", name="first")
    residual = chain(first, repeat(block, integer(1, depth, name="depth"), name="blocks"), name="residual")
    return choice(plain, residual, name="body", weights=(2, 1))


def _transformer(depth: int) -> Expression:
    """Columns as tokens, attention between them, their mean."""
    attention = op("attention", heads=shared("heads", choice(2, 4)), head_dim=8)
    block = chain(attention, op("ffn", ratio=shared("ratio", choice(1, 2))), name="block")
    return chain(
        op("column_tokens", columns=COLUMNS, width=choice(16, 32, 64), name="tokens"),
        repeat(block, integer(1, depth, name="depth"), name="blocks"),
        op("layer_norm"),
        op("mean_tokens"),
        op("relu"),
        op("linear", width=OUTPUTS, name="head"),
        name="transformer",
    )


def _references(depth: int, widths: Sequence[int], dropouts: Sequence[float]) -> dict[str, dict[str, int | str]]:
    """Well-known networks, the best first, at the nearest widths and depths of the space."""

    def settings(layers: int, width: int, dropout: float, **more: str) -> dict[str, int | str]:
        return {
            "body": "plain",
            "body.plain.depth": str(min(depth, layers)),
            "width": str(min(widths, key=lambda option: abs(option - width))),
            "dropout": str(min(dropouts, key=lambda option: abs(option - dropout))),
            "activation": "relu",
            "norm": "none",
            "stem.scale": "fixed",
            **more,
        }

    piecewise = {"stem.numbers": "piecewise", "stem.numbers.piecewise.bins": "16"}
    periodic = {"stem.numbers": "periodic", "stem.numbers.periodic.sigma": "1.0", "stem.scale": "learned"}
    blocks = {"body": "residual", "body.residual.blocks.depth": str(min(depth, 2)), "ratio": "2", "norm": "batch"}
    return {
        "mlp-piecewise": settings(3, 256, 0.1, network="single", **piecewise),
        "tabm": settings(2, 128, 0.1, network="ensemble", **piecewise),
        "realmlp": settings(3, 256, 0.1, network="single", **{**periodic, "activation": "silu"}),
        "resnet": settings(2, 128, 0.1, network="single", **{**piecewise, **blocks}),
        "mlp": settings(3, 256, 0.1, network="single", **{"stem.numbers": "plain"}),
        "ft-transformer": {
            "network": "transformer",
            "network.transformer.tokens.width": "32",
            "network.transformer.blocks.depth": str(min(depth, 2)),
            "heads": "4",
            "ratio": "2",
        },
    }
