"""Graphs: concrete DAGs of operations. Torch loads when an operation is measured for the first time or a network is built."""

from archwright.graph.build import GraphBuilder, Merge, Value
from archwright.graph.catalogue import MERGES
from archwright.graph.graph import Graph, Node
from archwright.graph.ops import REQUIRED, OpSpec, get_op, ops, register_op

__all__ = [
    "MERGES",
    "REQUIRED",
    "Graph",
    "GraphBuilder",
    "Merge",
    "Node",
    "OpSpec",
    "Value",
    "get_op",
    "ops",
    "register_op",
]
