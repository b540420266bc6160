"""The registry of operations: names, attributes and where their blocks are. No torch.

An operation is a name (or a user's own ``nn.Module`` class) with attributes. Its block, found lazily, is an ``nn.Module`` class or a plain
function on tensors. A block class is called with the input's channels (or shape) followed by the attributes as keywords.

A package brings its own by an entry point of the group ``archwright.ops`` that has the operation's name and names an :class:`OpSpec`,
or a function without arguments that returns one. It is loaded when the name is used for the first time.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal

from archwright.errors import GraphError, closest

Op = str | type
"""An operation as users write it: a registered name, or an ``nn.Module`` class."""

Attributes = tuple[tuple[str, Any], ...]
"""Attributes of a node: ``(name, value)`` pairs, complete and sorted by name."""


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()
"""Stands in :attr:`OpSpec.attributes` where an attribute has no default."""

GROUP: Final = "archwright.ops"
"""The entry points by which packages bring operations."""

PASSING: Final = ("identity", "none")
"""Operations of expressions that never become nodes."""


@dataclass(frozen=True)
class OpSpec:
    """What the system knows about an operation.

    Attributes:
        name: As written in expressions, for example ``"conv_bn_relu"``.
        block: ``"package.module:Name"`` of an ``nn.Module`` class or a function on tensors, or the class itself.
        attributes: Attribute name to default, or to ``REQUIRED``.
        arity: Number of inputs; ``None`` means any number.
        doc: One line for people.
        kind: Family of the operation, which gives its colour in drawings.
        receives: What a block class gets before the attributes: the first input's channels, its whole shape, or nothing.
        commutative: Whether the order of the inputs does not matter.
        random: Whether it draws random numbers, so that two equal ones on the same input are not one.
        head: Whether it is kept when nothing but zeros comes in (its bias still computes something).
        channelwise: Whether each channel of the output is made from the same channel of the input alone.
        real: Whether it is measured with real weights instead of on the meta device: for few weights and functions
            whose meta versions load torch's compiler, which takes seconds.
        elastic: Attributes whose settings can share one set of weights: those of a smaller setting are the leading slices, of kernels the centres,
            of those of a larger one.
        relaxed: Attributes whose settings all have the same weights, cost and output shape, and of which ``mixture`` computes a weighted sum.
        mixture: The block that stands in for ``block`` in a mixture of settings of the ``relaxed`` attributes, as ``block`` is given. Its attribute
            ``mixed`` is set before each run: for each attribute that is open the settings, each with its weight.
        inside: From its attributes, what drawings show of the inside: titles of boxes, and edges as pairs of their numbers.
        inline: Writes a call of a function block in source code, from the names of its inputs and its attributes.
    """

    name: str
    block: str | type
    attributes: Mapping[str, Any] = field(default_factory=dict)
    arity: int | None = 1
    doc: str = ""
    kind: Literal["conv", "pool", "linear", "norm", "activation", "merge", "shape", "recurrent", "other"] = "other"
    receives: Literal["channels", "shape", "nothing"] = "channels"
    commutative: bool = False
    random: bool = False
    head: bool = False
    channelwise: bool = False
    real: bool = False
    elastic: tuple[str, ...] = ()
    relaxed: tuple[str, ...] = ()
    mixture: str | type | None = None
    inside: Callable[[Mapping[str, Any]], tuple[list[str], list[tuple[int, int]]]] | None = None
    inline: Callable[[Sequence[str], Mapping[str, Any]], str] | None = None


_REGISTRY: dict[str, OpSpec] = {}


def register_op(spec: OpSpec) -> OpSpec:
    """Adds an operation to the registry and returns it.

    Raises:
        GraphError: Where the name is taken by a different operation.
    """
    taken = _REGISTRY.get(spec.name)
    if spec.name in PASSING or (taken is not None and taken.block != spec.block):
        raise GraphError(
            f"Got a second operation named {spec.name!r}; expected a new name. Register it under another one."
        )
    _REGISTRY[spec.name] = spec
    return spec


def ops() -> dict[str, OpSpec]:
    """All operations by name, those of other packages included.

    Raises:
        GraphError: Where one of an entry point cannot be loaded.
    """
    for plugin in entry_points(group=GROUP):
        if plugin.name not in _REGISTRY:
            _load(plugin)
    return dict(_REGISTRY)


def op_names() -> tuple[str, ...]:
    """The names of all operations, those of other packages included, which are not loaded for it."""
    return tuple(sorted({*_REGISTRY, *entry_points(group=GROUP).names}))


def _load(plugin: EntryPoint) -> OpSpec:
    """Registers the operation that an entry point names."""
    where = f"The operation {plugin.name!r} of the entry point {plugin.value!r} (group {GROUP!r})"
    try:
        found = plugin.load()
        spec = found() if callable(found) else found
    except Exception as error:
        raise GraphError(
            f"{where} cannot be loaded: {type(error).__name__}: {error}. Repair or uninstall its package."
        ) from error
    if not isinstance(spec, OpSpec) or spec.name != plugin.name:
        got = f"an OpSpec named {spec.name!r}" if isinstance(spec, OpSpec) else repr(spec)
        raise GraphError(f"{where}: got {got}; expected an OpSpec named {plugin.name!r}, or a function returning it.")
    return register_op(spec)


def get_op(op: Op) -> OpSpec:
    """The specification of a registered name or of a user's ``nn.Module`` class.

    >>> get_op("linear").attributes["bias"]
    True

    Raises:
        GraphError: Where the name is unknown, its entry point cannot be loaded, or the class is no ``nn.Module``.
    """
    if isinstance(op, str):
        spec = _REGISTRY.get(op)
        if spec is None:
            plugins = entry_points(group=GROUP)
            if op in PASSING or op not in plugins.names:
                raise GraphError(f"Got the unknown operation {op!r}. {closest(op, [*op_names(), *PASSING])}")
            spec = _load(plugins[op])
        return spec
    return _class_spec(op)


@lru_cache(maxsize=1024)
def _class_spec(cls: type) -> OpSpec:
    bases = [f"{base.__module__}.{base.__name__}" for base in getattr(cls, "__mro__", ())]
    if "torch.nn.modules.module.Module" not in bases:
        raise GraphError(f"Got {cls!r} as an operation; expected the name of one or a subclass of torch.nn.Module.")
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    names = [parameter.name for parameter in parameters]
    receives: Literal["channels", "shape", "nothing"] = "nothing"
    if "in_shape" in names:
        receives = "shape"
        parameters = [parameter for parameter in parameters if parameter.name != "in_shape"]
    elif parameters and parameters[0].kind in (parameters[0].POSITIONAL_ONLY, parameters[0].POSITIONAL_OR_KEYWORD):
        receives = "channels"
        parameters = parameters[1:]
    attributes = {
        parameter.name: REQUIRED if parameter.default is parameter.empty else parameter.default
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    doc = (cls.__doc__ or "").strip().splitlines()
    return OpSpec(
        name=cls.__name__,
        block=cls,
        attributes=attributes,
        arity=None,
        doc=doc[0] if doc else "",
        receives=receives,
        random=True,
    )


def complete(spec: OpSpec, given: Mapping[str, Any]) -> Attributes:
    """The attributes with the defaults filled in, sorted by name.

    >>> complete(get_op("linear"), {"width": 10})
    (('bias', True), ('width', 10))

    Raises:
        GraphError: Where an attribute is unknown or a required one is missing.
    """
    for name in given:
        if name not in spec.attributes:
            raise GraphError(
                f"Operation {spec.name!r} got the unknown attribute {name!r}. {closest(name, spec.attributes)}"
            )
    merged = {**spec.attributes, **given}
    missing = [name for name, value in merged.items() if value is REQUIRED]
    if missing:
        raise GraphError(
            f"Operation {spec.name!r} got no {' and no '.join(missing)}; expected e.g. op({spec.name!r}, {missing[0]}=...)."
        )
    return tuple(sorted(merged.items()))


@lru_cache(maxsize=1024)
def load_block(block: str | type) -> Any:
    """The block class or function a specification refers to; imports its module (and torch).

    Raises:
        GraphError: Where it cannot be imported.
    """
    if not isinstance(block, str):
        return block
    module, _, name = block.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise GraphError(
            f"Cannot import the block {block!r}: {error}. Expected 'package.module:Name' of something importable."
        ) from error
    return found


def op_name(op: Op) -> str:
    """How an operation is written in JSON: its name, or ``"package.module:Class"`` of a user's class.

    >>> op_name("add")
    'add'
    """
    return op if isinstance(op, str) else f"{op.__module__}:{op.__qualname__}"


def op_from_name(name: str) -> Op:
    """Inverse of :func:`op_name`."""
    return load_block(name) if ":" in name else name
