"""The recurrent cell of ENAS (Pham, Guan, Zoph, Le and Dean, ICML 2018, arXiv 1802.03268) and DARTS (Liu, Simonyan and Yang, ICLR 2019,
arXiv 1806.09055).
"""

from __future__ import annotations

from archwright.errors import SpaceError
from archwright.graph.catalogue import CELL_NODES
from archwright.space.combinators import chain, choice, integer, op
from archwright.space.expression import OUTPUTS
from archwright.space.space import Space

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
"""What a node may apply; ENAS and DARTS have the same four."""


def rnn_cell(nodes: int = 4, width: int = 128, embedding: int = 64, dropout: float = 0.0) -> Space:
    """Recurrent cells for text: what each gated node reads and its activation, 4 of them (ENAS, Pham et al. 2018; DARTS, Liu et al. 2019).

    Each node reads one earlier state; the first reads the one that is made from the input and the last output. The output is the mean of all nodes,
    as in DARTS (in ENAS of those that no other reads). Both papers search for 8 nodes and predict words: ``rnn_cell(nodes=8, width=300, embedding=300)``
    is the network in which DARTS searches, but that the weights of the embedding and of the output layer, which are tied there, are apart here, and that
    gradients are clipped in place of batch norm in the cell.

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
    )
