"""The scores: one function each, from a fresh network and a batch to a number, more being better.

Each takes ``(network, x, y, kind)``: any module from one input to one output, inputs ``(n, *shape)``, targets ``(n,)``, and
``"classification"`` or ``"regression"``; it may change the network. :func:`score` calls them by name on a copy and checks what they give.

Batch norms use the statistics of the batch: with the running ones of a fresh network, activations grow from layer to layer and say little of the
trained network. Dropout is off.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from archwright.errors import EvaluationError, closest
from archwright.evaluators.engine import criterion
from archwright.evaluators.recipe import Recipe
from archwright.evaluators.zero_cost.watch import BatchNorms, Calls, layers, normalisations, weights
from archwright.graph.measure import CountFlops
from archwright.graph.module import build, seeded

if TYPE_CHECKING:
    from archwright.graph import Graph

Score = Callable[[nn.Module, Tensor, Tensor, str], float]

EIGENVALUE_FLOOR = 1e-5
"""Added to the eigenvalues of ``jacob_cov``, as in its paper."""
FREE_ROWS = 16
"""Rows of noise that a data-free score gets."""
STEP = 0.01
"""How far apart the two inputs of ``zen`` are, in standard deviations."""


def params(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Number of trainable parameters."""
    return float(sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad))


def flops(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Floating-point operations of a forward pass of one sample, two for each multiply-add."""
    counter = CountFlops()
    with torch.no_grad(), counter:
        network.eval()(x[:1])
    return float(counter.flops)


def synflow(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Logarithm of the summed synaptic flow, the weights' share in the output of the positive network (Tanaka et al. 2020, arXiv 2006.05467).

    In float64, with the absolute values of all weights, ones as input, and without normalisation layers. Data-free.
    """
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    for layer in normalisations(network):
        layer.register_forward_hook(lambda module, inputs, output: inputs[0])
    used = weights(network)
    output = network(torch.ones(1, *x.shape[1:], dtype=torch.float64)).sum()
    gradients = torch.autograd.grad(output, used, allow_unused=True)
    return _sum((w * g).abs().sum() for w, g in zip(used, gradients) if g is not None).log().item()


def jacob_cov(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """How little the outputs' gradients with respect to different inputs correlate (Mellor et al., first version of arXiv 2006.04647, 2020).

    Takes at most half as many rows as an input has numbers: of more, the correlations would be singular for every network.

    Raises:
        EvaluationError: Where an input has fewer than four numbers.
    """
    rows = min(len(x), math.prod(x.shape[1:]) // 2)
    if rows < 2:
        raise EvaluationError(
            f"jacob_cov is not defined for inputs of shape {tuple(x.shape[1:])}; it needs four numbers or more. Choose another score."
        )
    inputs = x[:rows].clone().requires_grad_()
    (gradients,) = torch.autograd.grad(network(inputs).sum(), inputs, allow_unused=True)
    if gradients is None:
        raise EvaluationError(
            "jacob_cov is not defined for a network of symbols, which has no gradient with respect to its input. Choose another score."
        )
    correlations = torch.corrcoef(gradients.flatten(1).double())
    if not correlations.isfinite().all():
        return math.nan
    values = torch.linalg.eigvalsh(correlations) + EIGENVALUE_FLOOR
    return -float((values.log() + 1.0 / values).sum())


def naswot(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Log-determinant of how many units are active or idle alike for each two rows (Mellor et al. 2021, arXiv 2006.04647).

    A unit is active where its activation function gets a positive number; other activations than ReLU are treated alike, gates (sigmoid) left out.

    Raises:
        EvaluationError: Where the network has no activation function.
    """
    alike = torch.zeros(len(x), len(x), dtype=torch.float64)

    def compare(function: object, before: Tensor, after: Tensor) -> None:
        active = (before.flatten(1) > 0).float()
        idle = 1.0 - active
        alike.add_(active @ active.T).add_(idle @ idle.T)

    with torch.no_grad(), Calls(compare, activations=True) as calls:
        network(x)
    if not calls.seen:
        raise EvaluationError("naswot is not defined for a network without activation functions. Choose another score.")
    return float(torch.linalg.slogdet(alike)[1])


def snip(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Summed effect on the loss of removing each weight, to first order (Lee et al. 2019, arXiv 1810.02340; as a score: arXiv 2101.08134)."""
    used, gradients = _gradients(network, x, y, kind)
    return _sum((w * g).abs().sum() for w, g in zip(used, gradients)).item()


def grad_norm(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Euclidean norm of the loss's gradient, summed over the layers (Abdelfattah et al. 2021, arXiv 2101.08134)."""
    return _sum(gradient.norm() for gradient in _gradients(network, x, y, kind)[1]).item()


def grasp(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Summed effect on the gradient's norm of removing each weight (Wang et al. 2020, arXiv 2002.07376; sign as in arXiv 2101.08134)."""
    used, gradients = _gradients(network, x, y, kind, differentiable=True)
    product = _sum((gradient.detach() * gradient).sum() for gradient in gradients)
    curved = torch.autograd.grad(product, used, allow_unused=True)
    return -_sum((w * hg).sum() for w, hg in zip(used, curved) if hg is not None).item()


def fisher(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Summed effect on the loss of removing each channel, to second order (Theis et al. 2018, arXiv 1801.05787; as a score: arXiv 2101.08134)."""
    total: list[Tensor] = []

    def watch(module: nn.Module, inputs: object, output: Tensor) -> None:
        kept = output.detach()
        last = isinstance(module, nn.Linear | nn.Embedding)  # of which the channels are the last axis

        def saliency(gradient: Tensor) -> None:
            effect = kept * gradient
            if effect.dim() > 2:
                effect = effect.flatten(1, -2).sum(1) if last else effect.flatten(2).sum(2)
            total.append(0.5 * effect.double().square().mean(0).sum())

        output.register_hook(saliency)  # type: ignore[no-untyped-call]

    for layer in layers(network):
        layer.register_forward_hook(watch)
    _gradients(network, x, y, kind)
    return _sum(total).item()


def zen(network: nn.Module, x: Tensor, y: Tensor, kind: str) -> float:
    """Expressivity: how far the last maps of two close inputs are apart, batch norm's rescaling undone (Lin et al. 2021, arXiv 2102.01063).

    Weights and inputs are standard normal. Unlike in the paper skips stay, as in most published tables of it. Data-free.

    Raises:
        EvaluationError: Where the network computes no map of an image.
    """
    maps: list[Tensor] = []
    if any(isinstance(module, nn.Embedding) for module in network.modules()):
        raise EvaluationError(
            "zen is not defined for a network of symbols, of which none is close. Choose another score."
        )
    with torch.no_grad():
        for weight in weights(network):
            weight.normal_()
        first = torch.randn_like(x)
        with BatchNorms(network) as norms, Calls(lambda function, before, after: maps.append(after), maps=True):
            network(first)
            here = maps[-1] if maps else None
            scale = _sum(norms.variances).item() / 2
            network(first + STEP * torch.randn_like(x))
    if here is None:
        raise EvaluationError(
            "zen is not defined for a network that computes no map of an image. Choose another score."
        )
    return (here - maps[-1]).abs().flatten(1).sum(1).mean().log().item() + scale


SCORES: Final[dict[str, Score]] = {
    function.__name__: function
    for function in (params, flops, synflow, jacob_cov, naswot, snip, grad_norm, grasp, fisher, zen)
}
"""Every score by its name, which is the name of its metric too."""

DATA_FREE: Final = frozenset({"params", "flops", "synflow", "zen"})
"""Scores that look at the shape of the inputs only."""


def score(name: str, network: nn.Module, x: Tensor, y: Tensor, kind: str, seed: int = 0) -> float:
    """A score of a fresh network, which is left as it was. More is better.

    Args:
        name: One of :data:`SCORES`.
        network: From one input to one output; initialised, not trained.
        x: A batch of inputs, float32 ``(n, *shape)``; data-free scores look at its shape only.
        y: Their targets ``(n,)``: int64 classes or float32 values.
        kind: ``"classification"`` (cross entropy) or ``"regression"`` (squared error).
        seed: Of scores that draw numbers (``zen``).

    Raises:
        EvaluationError: Where there is no such score, it is not defined for such a network, or not finite.

    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    >>> x, y = torch.ones(4, 2), torch.zeros(4)
    >>> score("params", network, x, y, "regression"), score("flops", network, x, y, "regression")
    (6.0, 12.0)
    """
    function = SCORES.get(name)
    if function is None:
        raise EvaluationError(f"Got the zero-cost score {name!r}. {closest(name, SCORES)}")
    copied = copy.deepcopy(network).train()
    for module in copied.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    with seeded(seed):
        value = function(copied, x, y, kind)
    if not math.isfinite(value):
        raise EvaluationError(f"The score {name} of the network is {value}: {_CAUSES.get(name, 'it overflowed')}.")
    return value


def graph_score(name: str, graph: Graph, seed: int = 0) -> float:
    """A data-free score of an architecture's graph, as a feature of it: for surrogates and for filtering candidates. More is better.

    Args:
        name: One of :data:`DATA_FREE`.
        graph: From one input to one output.
        seed: Of the weights, and of the numbers that ``zen`` draws.

    Raises:
        EvaluationError: Where the score needs data, or is not defined for such a network, or not finite.
    """
    if name not in DATA_FREE:
        raise EvaluationError(f"Got the score {name!r}, which needs data. {closest(name, DATA_FREE)}")
    costs = graph.cost.as_dict()
    if name in costs:
        return costs[name]
    x = torch.zeros(FREE_ROWS, *graph.signature.inputs[0])
    return score(name, build(graph, seed), x, torch.zeros(FREE_ROWS, dtype=torch.int64), "classification", seed)


def list_scores() -> dict[str, str]:
    """Name of every score, with one line on what it is and where it comes from."""
    return {name: (function.__doc__ or "").strip().split("\n")[0] for name, function in SCORES.items()}


_CAUSES = {
    "synflow": "nothing flows from input to output, or it flows through so many layers that it overflows",
    "jacob_cov": "the outputs do not depend on some input, or the gradients overflow",
    "naswot": "two rows of the batch switch on the same units, because the network is too narrow to tell them apart",
    "zen": "the maps of different inputs are equal, or a batch norm gets nothing but a constant",
}


def _gradients(
    network: nn.Module, x: Tensor, y: Tensor, kind: str, *, differentiable: bool = False
) -> tuple[list[nn.Parameter], list[Tensor]]:
    """The weights that the loss depends on, and its gradients."""
    used = weights(network)
    loss = criterion(kind, Recipe())(network(x), y)
    gradients = torch.autograd.grad(loss, used, create_graph=differentiable, allow_unused=True)
    pairs = [(weight, gradient) for weight, gradient in zip(used, gradients) if gradient is not None]
    return [weight for weight, _ in pairs], [gradient for _, gradient in pairs]


def _sum(values: object) -> Tensor:
    return sum(values, torch.zeros((), dtype=torch.float64))  # type: ignore[call-overload, no-any-return]
