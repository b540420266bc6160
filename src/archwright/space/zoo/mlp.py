"""Multilayer perceptrons for tables."""

from __future__ import annotations

from collections.abc import Sequence

from archwright.space.combinators import chain, choice, integer, op, parallel, repeat, shared
from archwright.space.expression import OUTPUTS
from archwright.space.space import Space


def mlp(
    depth: int = 4, widths: Sequence[int] = (16, 32, 64, 128, 256), dropouts: Sequence[float] = (0.0, 0.1, 0.3)
) -> Space:
    """Multilayer perceptrons, plain or residual, for tables (the residual ones after Gorishniy et al. 2021).

    Args:
        depth: Largest number of hidden layers.
        widths: Numbers of hidden units to choose from; each layer of a plain network has its own, a residual one has
            one.
        dropouts: Dropout rates to choose from.
    """
    activation = shared("activation", choice("relu", "silu", "tanh"))
    norm = shared("norm", choice("none", "batch", "layer"))
    dropout = shared("dropout", choice(*dropouts))
    settings = {"activation": activation, "norm": norm, "dropout": dropout}
    plain = repeat(
        op("dense", width=choice(*widths), **settings, name="layer"), integer(1, depth, name="depth"), name="plain"
    )
    layer = op("dense", width=shared("residual.width", choice(*widths)), **settings, name="layer")
    blocks = repeat(
        parallel(layer, op("identity"), name="block"), integer(1, max(depth - 1, 1), name="depth"), name="blocks"
    )
    body = choice(plain, chain(layer, blocks, name="residual"), name="body") if depth > 1 else plain
    return Space(chain(body, op("linear", width=OUTPUTS, name="head")), "mlp")
