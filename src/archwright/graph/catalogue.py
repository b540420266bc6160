"""The operations that come with archwright: one registration each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from archwright.graph import attention, tabular  # noqa: F401
from archwright.graph.ops import REQUIRED, OpSpec, register_op

_IMAGE: Final = "archwright.graph.blocks.image:"
_STEMS: Final = "archwright.graph.blocks.stems:"
_CELLS: Final = "archwright.graph.blocks.cells:"
_POOLS: Final = "archwright.graph.blocks.pools:"
_VECTOR: Final = "archwright.graph.blocks.vector:"
_FUNCTIONS: Final = "archwright.graph.blocks.functions:"
_SEQUENCE: Final = "archwright.graph.blocks.sequence:"

MERGES: Final = ("add", "mul", "mean", "concat")
"""Operations that take any number of inputs and reconcile their shapes first."""

CELL_NODES: Final = 12
"""Most nodes of a `recurrent_cell`."""


def _call(function: str) -> Callable[[Sequence[str], Mapping[str, Any]], str]:
    return lambda names, attrs: (
        f"{function}({', '.join([*names, *(f'{key}={value!r}' for key, value in attrs.items())])})"
    )


def _method_call(method: str) -> Callable[[Sequence[str], Mapping[str, Any]], str]:
    return lambda names, attrs: f"{names[0]}.{method}((2, 3))"


def _infix(symbol: str) -> Callable[[Sequence[str], Mapping[str, Any]], str]:
    return lambda names, attrs: f" {symbol} ".join(names)


def _register(name: str, block: str, doc: str, attributes: Mapping[str, Any] | None = None, **options: Any) -> None:
    register_op(OpSpec(name, block, attributes or {}, doc=doc, **options))


_CONV = {"width": REQUIRED, "kernel": 3, "stride": 1}
_register(
    "conv_bn_relu",
    _IMAGE + "ConvBNReLU",
    "Convolution, batch norm, activation.",
    {**_CONV, "dilation": 1, "activation": "relu"},
    kind="conv",
    elastic=("width", "kernel", "stride", "activation"),
)
_register(
    "conv_bn",
    _IMAGE + "ConvBN",
    "Convolution and batch norm.",
    {**_CONV, "dilation": 1},
    kind="conv",
    elastic=("width", "kernel", "stride"),
)
_register(
    "sep_conv_bn",
    _IMAGE + "SepConvBN",
    "Depthwise then pointwise convolution, each with batch norm and activation.",
    {**_CONV, "activation": "relu"},
    kind="conv",
    elastic=("width", "kernel", "stride", "activation"),
)
_register(
    "mbconv",
    _IMAGE + "MBConv",
    "Inverted bottleneck (MobileNetV2), residual where the shape allows.",
    {**_CONV, "expansion": 4, "activation": "relu", "se": False},
    kind="conv",
    elastic=("width", "kernel", "stride", "expansion", "activation"),
)
_register(
    "conv_pool_bn",
    _IMAGE + "ConvPoolBN",
    "Convolution, max pooling, batch norm, activation; begins as the identity.",
    {"width": REQUIRED, "kernel": 3, "pool": 1, "activation": "gelu"},
    kind="conv",
    receives="shape",
    elastic=("width", "kernel", "pool", "activation"),
)
_register(
    "convnext",
    _IMAGE + "ConvNeXt",
    "Depthwise convolution, batch norm, two linear layers at each position, residual (ConvNeXt).",
    {"kernel": 7, "expansion": 4, "activation": "gelu", "se": False},
    kind="conv",
    elastic=("kernel", "expansion", "activation"),
)
_register(
    "whitening",
    _STEMS + "Whitening",
    "Fixed filters from the training rows that whiten patches, and a bias, for a first layer.",
    {"patch": 2, "activation": "gelu"},
    kind="conv",
    receives="shape",
    elastic=("activation",),
)
_register(
    "patch_conv",
    _STEMS + "PatchConv",
    "Patches of the map, each by the same linear layer, batch norm, activation.",
    {"width": REQUIRED, "patch": 2, "activation": "none"},
    kind="conv",
    receives="shape",
    elastic=("width", "activation"),
)
_register(
    "relu_conv_bn",
    _CELLS + "ReLUConvBN",
    "ReLU, convolution, batch norm (NAS-Bench-201).",
    {"width": None, "kernel": 3, "stride": 1, "dilation": 1, "affine": True},
    kind="conv",
    elastic=("width", "kernel", "stride"),
)
_register(
    "sep_conv",
    _CELLS + "SepConv",
    "Separable convolution applied twice (DARTS).",
    {"width": None, "kernel": 3, "stride": 1, "affine": True},
    kind="conv",
    elastic=("width", "kernel", "stride"),
)
_register(
    "dil_conv",
    _CELLS + "DilConv",
    "Dilated separable convolution (DARTS).",
    {"width": None, "kernel": 3, "stride": 1, "dilation": 2, "affine": True},
    kind="conv",
    elastic=("width", "kernel", "stride"),
)
_register(
    "fact_conv",
    _CELLS + "FactConv",
    "A 1xk and then a kx1 convolution (NASNet).",
    {"width": None, "kernel": 7, "stride": 1, "affine": True},
    kind="conv",
    elastic=("width", "kernel", "stride"),
)
_register(
    "factorized_reduce",
    _CELLS + "FactorizedReduce",
    "Reduces the map by strided 1x1 convolutions at two offsets (DARTS).",
    {"width": None, "stride": 2, "affine": True},
    kind="conv",
    elastic=("width", "stride"),
)
_register(
    "basic_block",
    _CELLS + "BasicBlock",
    "Residual block between stages (NAS-Bench-201).",
    {"width": REQUIRED, "stride": 1},
    kind="conv",
    elastic=("width", "stride"),
)

for _name, _block, _doc in (
    ("max_pool", "MaxPool", "Maximum over windows."),
    ("avg_pool", "AvgPool", "Average over windows, padding not counted."),
):
    _register(
        _name,
        _POOLS + _block,
        _doc,
        {"kernel": 3, "stride": 1, "bn": False},
        kind="pool",
        receives="shape",
        elastic=("kernel", "stride"),
        channelwise=True,
    )
_register(
    "resize",
    _POOLS + "Resize",
    "Average-pools (or repeats) to exactly this map size.",
    {"height": REQUIRED, "width": REQUIRED},
    kind="pool",
    receives="shape",
    channelwise=True,
)
for _name, _method, _doc in (
    ("global_avg_pool", "mean", "Mean over the map: (C, H, W) to (C,)."),
    ("global_max_pool", "amax", "Maximum over the map: (C, H, W) to (C,)."),
):
    _register(_name, _FUNCTIONS + _name, _doc, kind="pool", inline=_method_call(_method), channelwise=True)

_register("bn_relu", _IMAGE + "BNReLU", "Batch norm and ReLU.", kind="norm", channelwise=True)
_register(
    "dropout",
    _VECTOR + "Dropout",
    "Zeroes features at random in training.",
    {"rate": 0.5},
    kind="other",
    receives="nothing",
    random=True,
    channelwise=True,
)
_ACTIVATIONS: Final = {
    **dict.fromkeys(("relu", "gelu", "silu", "hardswish", "leaky_relu", "elu"), ("torch.nn.functional", "F")),
    **dict.fromkeys(("tanh", "sigmoid"), ("torch", "torch")),
}
for _name, (_module, _short) in _ACTIVATIONS.items():
    _register(
        _name,
        f"{_module}:{_name}",
        f"The activation {_name}.",
        kind="activation",
        channelwise=True,
        inline=_call(f"{_short}.{_name}"),
    )

_register(
    "flatten",
    "torch:flatten",
    "All features in one vector.",
    {"start_dim": 1},
    kind="shape",
    inline=_call("torch.flatten"),
)
_register(
    "pad",
    _FUNCTIONS + "pad_to",
    "Zero-pads the map to this size, centred.",
    {"height": REQUIRED, "width": REQUIRED},
    kind="shape",
    inline=_call("pad_to"),
    channelwise=True,
)
_register(
    "expand",
    _FUNCTIONS + "expand",
    "A vector at every position of a map.",
    {"height": REQUIRED, "width": REQUIRED},
    kind="shape",
    inline=_call("expand"),
    channelwise=True,
)
_register(
    "linear",
    _VECTOR + "Linear",
    "Fully connected layer.",
    {"width": REQUIRED, "bias": True},
    kind="linear",
    head=True,
    elastic=("width",),
)
_register(
    "scaled_linear",
    _VECTOR + "ScaledLinear",
    "Fully connected layer without bias, times a constant.",
    {"width": REQUIRED, "scale": 1 / 9},
    kind="linear",
    head=True,
    elastic=("width",),
)
_register(
    "dense",
    _VECTOR + "Dense",
    "Fully connected layer, norm, activation, dropout.",
    {"width": REQUIRED, "activation": "relu", "norm": "none", "dropout": 0.0},
    kind="linear",
    elastic=("width", "activation", "dropout"),
)

_register(
    "embedding",
    _SEQUENCE + "Embedding",
    "A learned vector for each symbol of a sequence: (T,) to (width, T).",
    {"symbols": REQUIRED, "width": REQUIRED},
    kind="linear",
    receives="nothing",
    elastic=("width",),
)
_CELL = {
    name: None
    for node in range(1, CELL_NODES + 1)
    for name in ((f"from{node}", f"act{node}") if node > 1 else ("act1",))
}


def _cell_inside(attrs: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, int]]]:
    """The states of a recurrent cell."""
    titles, edges = ["input", "output before", "state 0: tanh"], [(0, 2), (1, 2)]
    for node in range(1, attrs["nodes"] + 1):
        source = attrs.get(f"from{node}")
        titles.append(f"state {node}: {attrs[f'act{node}'] or 'tanh'}")
        edges.append(((node - 1 if source is None else source) + 2, node + 2))
    last = len(titles)
    return [*titles, "mean"], [*edges, *((node, last) for node in range(3, last))]


_register(
    "recurrent_cell",
    _SEQUENCE + "RecurrentCell",
    "A recurrent cell of gated nodes, run over a sequence: (C, T) to (width, T) (DARTS).",
    {"width": REQUIRED, "nodes": 8, **_CELL},
    kind="recurrent",
    relaxed=tuple(_CELL),
    mixture="archwright.graph.blocks.mixed_cell:MixedRecurrentCell",
    inside=_cell_inside,
)
_register(
    "positionwise_linear",
    _SEQUENCE + "PositionwiseLinear",
    "The same fully connected layer at each step of a sequence: (C, T) to (width, T).",
    {"width": REQUIRED},
    kind="linear",
    head=True,
    elastic=("width",),
)
_register(
    "variational_dropout",
    _SEQUENCE + "VariationalDropout",
    "Zeroes features at random in training, the same at every step of a sequence (Gal and Ghahramani 2016).",
    {"rate": 0.5},
    receives="nothing",
    random=True,
    channelwise=True,
)

_register(
    "add",
    _FUNCTIONS + "add",
    "Sum.",
    kind="merge",
    arity=None,
    commutative=True,
    inline=_infix("+"),
    channelwise=True,
)
_register(
    "mul",
    _FUNCTIONS + "mul",
    "Product.",
    kind="merge",
    arity=None,
    commutative=True,
    inline=_infix("*"),
    channelwise=True,
)
_register(
    "mean",
    _FUNCTIONS + "mean",
    "Mean.",
    kind="merge",
    arity=None,
    commutative=True,
    inline=lambda names, attrs: f"({' + '.join(names)}) / {len(names)}",
    channelwise=True,
)
_register(
    "concat",
    _FUNCTIONS + "concat",
    "Channels side by side.",
    kind="merge",
    arity=None,
    inline=lambda names, attrs: f"torch.cat(({', '.join(names)}), 1)",
)
_register(
    "ensemble_mean",
    _FUNCTIONS + "ensemble_mean",
    "Weighted mean of the predictions of several networks.",
    {"weights": REQUIRED, "logits": True},
    kind="merge",
    arity=None,
)
_register(
    "zeros",
    _FUNCTIONS + "zeros",
    "Nothing but zeros.",
    {"shape": REQUIRED},
    kind="other",
    inline=lambda names, attrs: (
        f"{names[0]}.new_zeros({', '.join([f'{names[0]}.shape[0]', *map(str, attrs['shape'])])})"
    ),
)
