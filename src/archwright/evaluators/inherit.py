"""The evaluator that trains on from the parent's weights where they fit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import torch
from torch import nn

from archwright.artifacts import Artifacts
from archwright.errors import ArchwrightError, EvaluationError
from archwright.evaluators.state import weights_of
from archwright.evaluators.train import Train
from archwright.graph.names import names
from archwright.problem import Architecture, Problem, Proposal

if TYPE_CHECKING:
    from archwright.graph import Graph


@dataclasses.dataclass(frozen=True)
class Inherit(Train):
    """Trains a network from its parent's weights where these fit, else from fresh ones (Real et al. 2017, arXiv 1703.01041).

    A layer that the parent has too keeps its weights: same operation, attributes and input shapes, at the same place in the space or with the same
    layers around it (:func:`match`). All others are initialised afresh, and so is the whole network where there is no parent or it left no weights.
    The training is that of :class:`Train`. ``notes["inherited"]`` says how many parameters were inherited, of how many, and from which trial.

    A network that inherits has been trained for longer than its own epochs, and its score says so; architectures with long lineages are at an
    advantage over new ones. The final training of a search starts from fresh weights.
    """

    inherits: ClassVar[bool] = True
    """Asks the search to name in ``why["inherit"]`` what the parent left."""

    def _begin(self, module: nn.Module, proposal: Proposal, problem: Problem) -> dict[str, Any]:
        legacy = proposal.why.get("inherit")
        total = sum(parameter.numel() for parameter in module.parameters())
        if legacy is None:
            return {"inherited": {"parameters": 0, "of": total}}
        try:
            parent = Architecture(msgspec.convert(legacy["choices"], tuple[tuple[str, int], ...]))
            old: Graph = problem.graph(parent)  # type: ignore[assignment]
            stored = weights_of(Artifacts(self.artifacts).get(legacy["checkpoint"]))
        except (ArchwrightError, msgspec.ValidationError, KeyError, TypeError) as error:
            raise EvaluationError(f"The weights of trial {proposal.parent} cannot be inherited: {error}.") from error
        new: Graph = problem.graph(proposal.architecture)  # type: ignore[assignment]
        kept = transfer(stored, old, module, new)
        return {"inherited": {"parameters": kept, "of": total, "from": proposal.parent}}


def transfer(stored: dict[str, torch.Tensor], old: Graph, module: nn.Module, new: Graph) -> int:
    """Loads the weights of matching layers; returns how many parameters these are.

    Args:
        stored: State dict of the old graph's network.
        old: The network that left the weights.
        module: The network of the new graph; changed in place.
        new: The network that inherits them.
    """
    kept, old_names, new_names = 0, names(old), names(new)
    layers = dict(module.named_children())
    for place, source in match(old, new).items():
        layer = layers.get(new_names[place])
        if layer is None:
            continue
        prefix = old_names[source] + "."
        layer.load_state_dict({key.removeprefix(prefix): t for key, t in stored.items() if key.startswith(prefix)})
        kept += sum(parameter.numel() for parameter in layer.parameters())
    return kept


def match(old: Graph, new: Graph) -> dict[int, int]:
    """Nodes of the new graph that the old one has too: index to index, each used once.

    Two nodes can be one only where they are the same operation with the same attributes on inputs of the same shapes. Those that also have the same name,
    which says where in the space they stand, are. Of the rest, those are that read from, or are read by, nodes which are: so a block keeps its
    weights where another was put before it and shifted its name.
    """
    named = {name: index for index, name in enumerate(names(old))}
    pairs = {
        index: named[name]
        for index, name in enumerate(names(new))
        if name in named and new.nodes[index].call is old.nodes[named[name]].call
    }
    taken = set(pairs.values())
    around_old, around_new = _neighbours(old), _neighbours(new)
    open_old: dict[object, list[int]] = {}
    for index, node in enumerate(old.nodes):
        if index not in taken:
            open_old.setdefault(node.call, []).append(index)
    changed = True
    while changed:
        changed = False
        for index, node in enumerate(new.nodes):
            if index in pairs:
                continue
            known = {(side, pairs[other]) for side, other in around_new[index] if other in pairs}
            found = next((there for there in open_old.get(node.call, ()) if known & around_old[there]), None)
            if found is not None:
                pairs[index] = found
                open_old[node.call].remove(found)
                changed = True
    return pairs


def _neighbours(graph: Graph) -> list[set[tuple[str, int]]]:
    """For each node what it reads and what reads it."""
    around: list[set[tuple[str, int]]] = [set() for _ in graph.nodes]
    for index, node in enumerate(graph.nodes):
        for source in node.inputs:
            around[index].add(("reads", source))
            around[source].add(("feeds", index))
    return around
