"""From a graph to the source text of a plain PyTorch module that stands alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from archwright.errors import ExportError
from archwright.graph.definitions import Definitions
from archwright.graph.graph import Graph, Node
from archwright.graph.names import names
from archwright.graph.ops import load_block

_WIDTH = 120
_LETTERS = "xyzabcdefghijklmnopqrstuw"


def source(graph: Graph, class_name: str = "Network") -> str:
    """A complete Python file: imports, the blocks used, and the network as a class with named layers.

    Its state dict has the keys of :func:`archwright.graph.module.build`'s module, and with the same weights it computes the same.

    Args:
        graph: What to write.
        class_name: Name of the network's class.

    Raises:
        ExportError: Where the source of a user's own module cannot be read or copied.
    """
    if not class_name.isidentifier():
        raise ExportError(f"Got the class name {class_name!r}; expected a Python identifier such as 'Network'.")
    definitions = Definitions()
    definitions.reserve(class_name)
    definitions.need("Tensor", "torch", "Tensor")
    definitions.need("nn", "torch", "nn")
    label = names(graph)
    variables = _variables(graph, label)
    layers, steps = _body(graph, label, variables, definitions)
    results = ", ".join(variables[output] for output in graph.outputs)
    kind = "Tensor" if len(graph.outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(graph.outputs))}]"
    arguments = [f"{label[place]}: Tensor" for place in graph.inputs]
    text = [
        f'"""{_headline(graph)}"""',
        "",
        "from __future__ import annotations",
        "",
        *definitions.import_lines(),
        *_spaced(definitions.texts),
        "",
        "",
        f"class {class_name}(nn.Module):",
        f'    """{_summary(graph)}"""',
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        *(f"        {line}" for line in layers),
        "",
        f"    def forward(self, {', '.join(arguments)}) -> {kind}:",
        *(f"        {line}" for line in steps),
        f"        return {results}",
        "",
    ]
    return "\n".join(text)


def _body(
    graph: Graph, label: Sequence[str], variables: Sequence[str], definitions: Definitions
) -> tuple[list[str], list[str]]:
    """The lines that make the layers and those that run them, with a comment on each part of the network."""
    layers: list[str] = []
    steps: list[str] = []
    for part, members in itertools.groupby(graph.operations(), key=lambda item: item[1].scope.split(".")[0]):
        made: list[list[str]] = []
        done: list[list[str]] = []
        for index, node in members:
            arguments = [variables[place] for place in node.inputs]
            layer = _layer(node, definitions)
            if layer is None:
                done.append([f"{variables[index]} = {_inline(node, arguments, definitions)}"])
            else:
                made.append(_commented(_wrapped(f"self.{label[index]} = {layer[0]}", layer[1]), node))
                done.append(_wrapped(f"{variables[index]} = self.{label[index]}", arguments))
        for lines, pieces in ((layers, made), (steps, done)):
            lines += [f"# {part}"] if part and len(pieces) > 1 else []
            lines += itertools.chain.from_iterable(pieces)
    return layers, steps


def _layer(node: Node, definitions: Definitions) -> tuple[str, list[str]] | None:
    """The class of a node's layer, as named in the file, and the arguments it is made with; ``None`` for a function."""
    block = load_block(node.call.spec.block)
    if not isinstance(block, type):
        return None
    spec = node.call.spec
    shape = node.call.inputs[0]
    leading = {"channels": [repr(shape[0])], "shape": [f"in_shape={shape!r}"], "nothing": []}[spec.receives]
    attrs = dict(node.attrs)
    given = [f"{key}={_literal(attrs[key])}" for key, default in spec.attributes.items() if attrs[key] != default]
    if block.__module__.split(".")[0] == "torch":
        return f"nn.{block.__name__}", [*leading, *given]
    return definitions.add(block), [*leading, *given]


def _inline(node: Node, arguments: Sequence[str], definitions: Definitions) -> str:
    spec = node.call.spec
    function = load_block(spec.block)
    text = (
        spec.inline(arguments, dict(node.attrs)) if spec.inline else _written(spec.block, arguments, dict(node.attrs))
    )
    if text.startswith("F."):
        definitions.need("F", "torch.nn.functional")
    elif text.startswith("torch."):
        definitions.need("torch", "torch")
    elif text.startswith(f"{getattr(function, '__name__', '')}("):
        definitions.add(function)
    return text


def _written(block: str | type, arguments: Sequence[str], attrs: Mapping[str, Any]) -> str:
    name = str(block).rpartition(":")[2]
    return f"{name}({', '.join([*arguments, *(f'{key}={_literal(value)}' for key, value in attrs.items())])})"


def _variables(graph: Graph, label: Sequence[str]) -> list[str]:
    """A variable for each node; short ones, taken again when the value they held is not needed any more."""
    last = {place: index for index, node in enumerate(graph.nodes) for place in node.inputs}
    pool = [name for name in (*_LETTERS, *(f"v{number}" for number in range(len(graph)))) if name not in label]
    variables = [label[place] for place in graph.inputs]
    for index, node in graph.operations():
        done = [place for place in node.inputs if last[place] == index and place not in graph.outputs]
        ended = {variables[place] for place in done if len(graph.inputs) == 1 or place not in graph.inputs}
        pool = sorted({*pool, *ended}, key=lambda name: (name[0] != "x", len(name), _LETTERS.find(name[0]), name))
        variables.append(pool.pop(0))
    return variables


def _spaced(texts: Mapping[str, str]) -> list[str]:
    """The definitions with two empty lines before each; one before a constant right after the imports."""
    lines = [line for piece in texts.values() for line in ("", "", piece)]
    return lines if not lines or lines[2].startswith(("class ", "def ", "@")) else lines[1:]


def _wrapped(head: str, arguments: Sequence[str]) -> list[str]:
    """A call on one line, or broken where that is too long."""
    line = f"{head}({', '.join(arguments)})"
    if len(line) + 8 <= _WIDTH:
        return [line]
    inner = ", ".join(arguments)
    if len(inner) + 12 <= _WIDTH:
        return [f"{head}(", f"    {inner}", ")"]
    return [f"{head}(", *(f"    {argument}," for argument in arguments), ")"]


def _commented(lines: list[str], node: Node) -> list[str]:
    """The lines with the shapes of the node: at the end where they fit, else above."""
    comment = f"# {' + '.join(_shape(shape) for shape in node.call.inputs)} -> {_shape(node.shape)}"
    if len(lines) == 1 and len(lines[0]) + 10 + len(comment) <= _WIDTH:
        return [f"{lines[0]}  {comment}"]
    return [comment, *lines]


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


def _headline(graph: Graph) -> str:
    count = sum(1 for _ in graph.operations())
    return f"A neural network of {count} operation{'s' * (count != 1)} in plain PyTorch."


def _summary(graph: Graph) -> str:
    shapes = ", ".join(f"(N, {', '.join(map(str, graph.nodes[place].shape))})" for place in graph.inputs)
    results = ", ".join(f"(N, {', '.join(map(str, graph.nodes[place].shape))})" for place in graph.outputs)
    return f"{shapes} to {results}: {graph.cost.params:,} parameters, {graph.cost.flops:,} FLOPs a sample."
