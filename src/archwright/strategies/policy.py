"""Policies that make the choices of a space in order, and the gradients of what they did.

A policy gives logits for the options of a choice, given the choices made before it. All options of all choices are
numbered in one row, the tokens; a batch of architectures is a matrix of tokens, padded at the end of each row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, Problem
from archwright.problem.protocols import ChoiceSpace
from archwright.strategies import lstm


class Heads(msgspec.Struct, frozen=True, dict=True):
    """The choices of a space, and the numbers of their options.

    Attributes:
        addresses: Of the choices, in order.
        counts: Of the options of each.
    """

    addresses: tuple[str, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, problem: Problem, strategy: str) -> Heads:
        """The heads for the space of a problem.

        Raises:
            StrategyError: Where its architectures are not made choice by choice.
        """
        choices = choice_space(problem, strategy).choices()
        return cls(tuple(choice.address for choice in choices), tuple(len(choice.labels) for choice in choices))

    @cached_property
    def starts(self) -> dict[str, int]:
        """The first token of each choice."""
        return dict(zip(self.addresses, np.cumsum([0, *self.counts]).tolist()))

    @property
    def total(self) -> int:
        """How many tokens there are."""
        return sum(self.counts)

    @cached_property
    def owners(self) -> np.ndarray:
        """The index of the choice of each token."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def tokens(self, architecture: Architecture) -> list[int]:
        """What was chosen, in order."""
        return [self.starts[address] + option for address, option in architecture.choices]

    def batch(self, architectures: Sequence[Architecture]) -> Batch:
        """The architectures as a matrix of tokens."""
        rows = [self.tokens(architecture) for architecture in architectures]
        tokens = np.full((len(rows), max(map(len, rows), default=0)), -1)
        for place, row in zip(tokens, rows):
            place[: len(row)] = row
        active = tokens >= 0
        owner = np.where(active, self.owners[tokens] if self.total else tokens, -1)
        return Batch(np.where(active, tokens, 0), active, owner[..., None] == self.owners)


class Batch(NamedTuple):
    """Architectures as tokens.

    Attributes:
        tokens: What was chosen at each step, of shape (architectures, steps); 0 where the row is padded.
        active: Where it is not padded.
        options: Whether each token was an option at each step, of shape (architectures, steps, tokens).
    """

    tokens: np.ndarray
    active: np.ndarray
    options: np.ndarray


def choice_space(problem: Problem, strategy: str) -> ChoiceSpace:
    """The space, of which architectures are made choice by choice.

    Raises:
        StrategyError: Where it is another.
    """
    if not isinstance(problem.space, ChoiceSpace):
        raise StrategyError(
            f"The strategy {strategy!r} makes architectures choice by choice, which the space {problem.space.name!r} does not allow: "
            "it lacks 'choices', 'fill' or 'architectures'. Use a space made of an expression, or a strategy such as "
            "'evolution', which needs samples and mutations only."
        )
    return problem.space


Advance = Callable[[Any, int | None], tuple[np.ndarray, Any]]
"""Takes a memory and the token chosen last, both ``None`` at the start; gives the logits of all tokens and the memory after it."""


class Policy(Protocol):
    """Logits for the options of each choice, with weights that are one flat vector."""

    @property
    def heads(self) -> Heads:
        """What there is to choose."""

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """Weights of a policy that is (nearly) uniform."""

    def forward(self, weights: np.ndarray, batch: Batch) -> tuple[np.ndarray, Any]:
        """The logits of all tokens at each step, of shape (architectures, steps, tokens), and a trace."""

    def backward(self, weights: np.ndarray, trace: Any, d_logits: np.ndarray) -> np.ndarray:
        """The gradient of the weights, given that of the logits."""

    def follow(self, weights: np.ndarray) -> Advance:
        """The logits while the choices are being made."""


class Table(msgspec.Struct, frozen=True):
    """A vector of logits for each choice, whatever was chosen before: the form of NATS-Bench (arXiv 2009.00437)."""

    heads: Heads

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """Zeros."""
        return np.zeros(self.heads.total)

    def forward(self, weights: np.ndarray, batch: Batch) -> tuple[np.ndarray, None]:
        """The logits, and no trace."""
        return np.broadcast_to(weights, batch.options.shape), None

    def backward(self, weights: np.ndarray, trace: None, d_logits: np.ndarray) -> np.ndarray:
        """The gradient of the weights."""
        total: np.ndarray = d_logits.sum((0, 1))
        return total

    def follow(self, weights: np.ndarray) -> Advance:
        """The logits, always the same, and no memory."""
        return lambda memory, token: (weights, None)


class Controller(msgspec.Struct, frozen=True):
    """An LSTM that reads an embedding of what was chosen last and has a softmax for each choice (arXiv 1611.01578).

    Attributes:
        heads: What there is to choose.
        hidden: Units of the layer, and size of the embeddings.
    """

    heads: Heads
    hidden: int

    def unpack(self, weights: np.ndarray) -> tuple[np.ndarray, lstm.Weights, np.ndarray, np.ndarray]:
        """Embeddings (the last one for the start), the LSTM, and weights and bias of the softmaxes."""
        tokens, hidden = self.heads.total, self.hidden
        shapes = (
            (tokens + 1, hidden),
            (hidden, 4 * hidden),
            (hidden, 4 * hidden),
            (4 * hidden,),
            (hidden, tokens),
            (tokens,),
        )
        embedding, inputs, recurrent, bias, heads, heads_bias = views(weights, shapes)
        return embedding, lstm.Weights(inputs, recurrent, bias), heads, heads_bias

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """Embeddings and softmaxes uniform within 0.1, as in NASNet's controller."""
        tokens, hidden = self.heads.total, self.hidden
        embedding = rng.uniform(-0.1, 0.1, (tokens + 1, hidden))
        layer = lstm.initial(hidden, hidden, rng)
        return packed(embedding, *layer, rng.uniform(-0.1, 0.1, (hidden, tokens)), np.zeros(tokens))

    def forward(self, weights: np.ndarray, batch: Batch) -> tuple[np.ndarray, Any]:
        """The logits, and the trace of the layer."""
        embedding, layer, heads, bias = self.unpack(weights)
        read = np.roll(batch.tokens, 1, axis=1)
        read[:, :1] = self.heads.total
        outputs, trace = lstm.forward(layer, embedding[read])
        return outputs @ heads + bias, (read, outputs, trace)

    def backward(self, weights: np.ndarray, trace: Any, d_logits: np.ndarray) -> np.ndarray:
        """The gradient of the weights."""
        embedding, layer, heads, _ = self.unpack(weights)
        read, outputs, steps = trace
        gradient, d_inputs = lstm.backward(layer, steps, d_logits @ heads.T)
        d_embedding = np.zeros_like(embedding)
        np.add.at(d_embedding, read, d_inputs)
        d_heads = np.tensordot(outputs, d_logits, ((0, 1), (0, 1)))
        return packed(d_embedding, *gradient, d_heads, d_logits.sum((0, 1)))

    def follow(self, weights: np.ndarray) -> Advance:
        """The logits after each token, and the memory of the layer."""
        embedding, layer, heads, bias = self.unpack(weights)
        projected = embedding @ layer.inputs + layer.bias
        empty = (np.zeros(self.hidden), np.zeros(self.hidden))

        def advance(memory: lstm.Memory | None, token: int | None) -> tuple[np.ndarray, lstm.Memory]:
            read = projected[self.heads.total if token is None else token]
            *_, after = lstm.step(layer, read, empty if memory is None else memory)
            return after[0] @ heads + bias, after

        return advance


def distribution(logits: np.ndarray, batch: Batch, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and their logarithms at each step, both 0 for tokens that are no option there."""
    scaled = np.where(batch.options, logits / temperature, -np.inf)
    scaled[~batch.active] = 0.0
    scaled -= scaled.max(-1, keepdims=True, initial=-1e300)
    scaled -= np.log(np.exp(scaled).sum(-1, keepdims=True))
    logarithms = np.where(batch.options, scaled, 0.0)
    return np.where(batch.options, np.exp(scaled), 0.0), logarithms


def taken(batch: Batch, values: np.ndarray) -> np.ndarray:
    """Of values for all tokens those of the tokens chosen, of shape (architectures, steps); 0 where padded."""
    return np.where(batch.active, np.take_along_axis(values, batch.tokens[..., None], -1)[..., 0], 0.0)


def ascent(batch: Batch, logits: np.ndarray, gains: np.ndarray, entropy: float, temperature: float) -> np.ndarray:
    """The gradient by the logits of ``sum(gains * log p) + entropy * H``, summed over architectures and steps.

    Args:
        batch: What was chosen.
        logits: Of the policy.
        gains: The weight of the logarithm of each choice's probability, of shape (architectures, steps); for
            REINFORCE the advantage.
        entropy: Weight of the entropy H.
        temperature: By which the logits are divided.
    """
    chances, logarithms = distribution(logits, batch, temperature)
    gains = np.where(batch.active, gains, 0.0)
    gradient = -gains[..., None] * chances
    rows, steps = np.nonzero(batch.active)
    gradient[rows, steps, batch.tokens[rows, steps]] += gains[rows, steps]
    spread = -(chances * logarithms).sum(-1, keepdims=True)
    gradient -= entropy * chances * (logarithms + spread)
    found: np.ndarray = gradient / temperature
    return found


def packed(*parts: np.ndarray) -> np.ndarray:
    """Arrays as one flat vector."""
    return np.concatenate([part.ravel() for part in parts])


def views(flat: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Inverse of :func:`packed`."""
    found, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        found.append(flat[start : start + size].reshape(shape))
        start += size
    return found


def check_positive(strategy: str, **options: float) -> None:
    """Checks options that are to be finite and above zero.

    Raises:
        StrategyError: Where one is not.
    """
    for option, got in options.items():
        if not 0 < got < math.inf:
            raise StrategyError(f"Got {option}={got!r} for the strategy {strategy!r}; expected a number above 0.")


def check_share(strategy: str, option: str, got: float) -> None:
    """Checks an option that is to be in [0, 1].

    Raises:
        StrategyError: Where it is not.
    """
    if not 0 <= got <= 1:
        raise StrategyError(f"Got {option}={got!r} for the strategy {strategy!r}; expected a number from 0 to 1.")
