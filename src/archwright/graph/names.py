"""Readable and stable names for the nodes of a graph: layers, variables, keys of the state dict. No torch."""

from __future__ import annotations

import keyword
import re
from collections import Counter

from archwright.graph.graph import Graph

_TAKEN = frozenset(
    [
        "T_destination",
        "add_module",
        "inputs",
        "outputs",
        "plan",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "register_buffer",
        "register_module",
        "register_parameter",
        "requires_grad_",
        "self",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "super",
        "to",
        "to_empty",
        "torch",
        "nn",
        "F",
        "training",
        "train",
        "type",
        "xpu",
        "zero_grad",
        "math",
        "Tensor",
    ]
)


def names(graph: Graph) -> tuple[str, ...]:
    """A name for each node: its scope, then its operation where several nodes share the scope; numbered where still equal.

    Args:
        graph: Its inputs are named ``x``, or ``x0``, ``x1``, ...
    """
    scopes = Counter(node.scope for node in graph.nodes)
    result: list[str] = []
    used: Counter[str] = Counter(_TAKEN)
    for index, node in enumerate(graph.nodes):
        if node.op == "input":
            base = "x" if len(graph.inputs) == 1 else f"x{index}"
        else:
            scope, op = _identifier(node.scope), _identifier(node.call.spec.name)
            shared = scopes[node.scope] > 1 and not (scope == op or scope.endswith("_" + op))
            base = f"{scope}_{op}" if scope and shared else scope or op
        if base[0].isdigit() or keyword.iskeyword(base) or base.startswith("_"):
            base = "layer_" + base.lstrip("_")
        name = base
        while used[name]:
            used[base] += 1
            name = f"{base}_{used[base]}"
        used[name] += 1
        result.append(name)
    return tuple(result)


def _identifier(text: str) -> str:
    """The text in snake case."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    return re.sub(r"\W+", "_", text).strip("_").lower()
