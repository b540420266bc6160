"""The policy of an agent that edits: it reads an architecture and gives a logit for every edit of it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from archwright.strategies import lstm
from archwright.strategies.policy import Batch, Heads, packed, views


class Editor(msgspec.Struct, frozen=True):
    """Logits for every edit of an architecture, by LSTMs that read its choices in both directions.

    An edit sets a choice that the architecture makes to another of its options. Its logit is linear in what the two
    layers give at that choice.

    Attributes:
        heads: The choices there are; a token is an edit.
        hidden: Units of each layer, and size of the embeddings.
    """

    heads: Heads
    hidden: int

    def unpack(self, weights: np.ndarray) -> tuple[np.ndarray, lstm.Weights, lstm.Weights, np.ndarray, np.ndarray]:
        """Embeddings, the two layers, and weights and bias of the logits."""
        tokens, hidden = self.heads.total, self.hidden
        layer = ((hidden, 4 * hidden), (hidden, 4 * hidden), (4 * hidden,))
        found = views(weights, ((tokens, hidden), *layer, *layer, (2 * hidden, tokens), (tokens,)))
        return found[0], lstm.Weights(*found[1:4]), lstm.Weights(*found[4:7]), found[7], found[8]

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        """Weights of a policy that is nearly uniform."""
        tokens, hidden = self.heads.total, self.hidden
        embedding = rng.uniform(-0.1, 0.1, (tokens, hidden))
        layers = (*lstm.initial(hidden, hidden, rng), *lstm.initial(hidden, hidden, rng))
        return packed(embedding, *layers, rng.uniform(-0.1, 0.1, (2 * hidden, tokens)), np.zeros(tokens))

    def forward(self, weights: np.ndarray, batch: Batch) -> tuple[np.ndarray, Any]:
        """The logits of all edits, of shape (architectures, 1, tokens), and a trace; 0 for what is no edit."""
        embedding, ahead, back, heads, bias = self.unpack(weights)
        turned = _turned(batch)
        read = embedding[batch.tokens]
        first, one = lstm.forward(ahead, read)
        second, two = lstm.forward(back, _along(read, turned))
        outputs = np.concatenate([first, _along(second, turned)], -1)
        logits = np.where(batch.options, outputs @ heads + bias, 0.0).sum(1, keepdims=True)
        return logits, (batch, turned, one, two, outputs)

    def backward(self, weights: np.ndarray, trace: Any, d_logits: np.ndarray) -> np.ndarray:
        """The gradient of the weights, given that of the logits."""
        embedding, ahead, back, heads, _ = self.unpack(weights)
        batch, turned, one, two, outputs = trace
        d_steps = np.where(batch.options, d_logits, 0.0)
        d_outputs = d_steps @ heads.T
        first, d_read = lstm.backward(ahead, one, d_outputs[..., : self.hidden])
        second, d_turned = lstm.backward(back, two, _along(d_outputs[..., self.hidden :], turned))
        d_embedding = np.zeros_like(embedding)
        np.add.at(d_embedding, batch.tokens, np.where(batch.active[..., None], d_read + _along(d_turned, turned), 0.0))
        d_heads = np.tensordot(outputs, d_steps, ((0, 1), (0, 1)))
        return packed(d_embedding, *first, *second, d_heads, d_steps.sum((0, 1)))

    def actions(self, batch: Batch, taken: np.ndarray) -> Batch:
        """The edits that each architecture allows, as a batch of one step, with those that were taken."""
        current = np.zeros((len(batch.tokens), self.heads.total), bool)
        rows, steps = np.nonzero(batch.active)
        current[rows, batch.tokens[rows, steps]] = True
        allowed = batch.options.any(1) & ~current
        return Batch(taken[:, None], np.atleast_2d(allowed.any(-1, keepdims=True)), allowed[:, None])


def _turned(batch: Batch) -> np.ndarray:
    """For each step the one that is as far from the end of its row as this is from the start; padding stays."""
    steps = np.arange(batch.tokens.shape[1])
    last = batch.active.sum(1, keepdims=True) - 1
    turned: np.ndarray = np.where(batch.active, last - steps, steps)
    return turned


def _along(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Values of shape (rows, steps, features) in another order of the steps."""
    found: np.ndarray = np.take_along_axis(values, steps[..., None], 1)
    return found
