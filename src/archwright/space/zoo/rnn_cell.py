"""The recurrent cell of ENAS (Pham, Guan, Zoph, Le and Dean, ICML 2018, arXiv 1802.03268) and DARTS (Liu, Simonyan and Yang, ICLR 2019,
arXiv 1806.09055).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from archwright.errors import SpaceError
from archwright.graph.catalogue import CELL_NODES
from archwright.space.combinators import chain, choice, integer, op
from archwright.space.expression import OUTPUTS
from archwright.space.space import Space

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
"""What a node may apply; ENAS and DARTS have the same four."""

_DARTS: Final = (
    (0, "relu"),
    (1, "relu"),
    (2, "tanh"),
    (3, "relu"),
    (4, "relu"),
    (1, "identity"),
    (5, "relu"),
    (1, "relu"),
)
_ENAS: Final = (
    (0, "tanh"),
    (1, "relu"),
    (2, "relu"),
    (2, "tanh"),
    (2, "tanh"),
    (5, "relu"),
    (1, "tanh"),
    (6, "relu"),
    (8, "relu"),
    (8, "relu"),
    (8, "relu"),
)


def rnn_cell(nodes: int = 4, width: int = 128, embedding: int = 64, dropout: float = 0.0) -> Space:
    """Recurrent cells for text: what each gated node reads and its activation, 4 of them (ENAS, Pham et al. 2018; DARTS, Liu et al. 2019).

    Each node reads one earlier state; the first reads the one that is made from the input and the last output. The output is the mean of all nodes,
    as in DARTS (in ENAS of those that no other reads). Both papers search for 8 nodes and predict words: ``rnn_cell(nodes=8, width=300, embedding=300)``
    is the network in which DARTS searches, but that the weights of the embedding and of the output layer, which are tied there, are apart here, and that
    gradients are clipped in place of batch norm in the cell.

    References: GRU-like, in which every node is a gated update of state 0, as in a GRU without reset
    gates; RHN-like, a chain of tanh as in a recurrent highway network (Zilly et al. 2017, arXiv
    1607.03474) of that depth. With 8 nodes DARTS, the published cell, with fewer DARTS-like, its
    first nodes. With 11 nodes ENAS-like: the authors' cell, whose first node is state 0 here, and
    whose output is the mean of the nodes that no other reads.

    Args:
        nodes: In the cell, 1 to 12.
        width: Features of the cell's states.
        embedding: Features of a symbol.
        dropout: Rate of the variational dropout before and after the cell (Gal and Ghahramani 2016, arXiv 1512.05287); 0 for none.

    Raises:
        SpaceError: Where the cell would have more nodes than an operation can have, or none.
    """
    if not 1 <= nodes <= CELL_NODES:
        raise SpaceError(f"Got nodes={nodes}; expected 1 to {CELL_NODES}.")
    reads = {f"from{node}": integer(0, node - 1) for node in range(2, nodes + 1)}
    acts = {f"act{node}": choice(*ACTIVATIONS) for node in range(1, nodes + 1)}
    drop = [op("variational_dropout", rate=dropout)] if dropout else []
    return Space(
        chain(
            op("embedding", symbols=OUTPUTS, width=embedding, name="embedding"),
            *drop,
            op("recurrent_cell", width=width, nodes=nodes, **reads, **acts, name="cell"),
            *drop,
            op("positionwise_linear", width=OUTPUTS, name="output"),
        ),
        "rnn-cell",
        _references(nodes),
    )


def _references(nodes: int) -> dict[str, dict[str, int | str]]:
    found: dict[str, Sequence[tuple[int, str]]] = {
        "GRU-like": [(0, "tanh")] * nodes,
        "RHN-like": [(node, "tanh") for node in range(nodes)],
    }
    if nodes <= len(_DARTS):
        found["DARTS" if nodes == len(_DARTS) else "DARTS-like"] = _DARTS[:nodes]
    if nodes == len(_ENAS):
        found["ENAS-like"] = _ENAS
    return {name: _choices(cell) for name, cell in found.items()}


def _choices(cell: Sequence[tuple[int, str]]) -> dict[str, int | str]:
    """The choices of a cell, given by the state that each node reads and its activation."""
    chosen: dict[str, int | str] = {}
    for node, (source, activation) in enumerate(cell, 1):
        chosen[f"cell.act{node}"] = activation
        if node > 1:
            chosen[f"cell.from{node}"] = str(source)
    return chosen
