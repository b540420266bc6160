"""A controller that learns which paths are good."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from archwright.evaluators.one_shot.optim import Adam
from archwright.evaluators.one_shot.picker import DRAWS, Batch, Picker
from archwright.evaluators.one_shot.shared import Shared
from archwright.graph.module import seeded
from archwright.problem import Architecture


class Policy(nn.Module):
    """An LSTM that makes the choices of a space one after the other, each knowing those before.

    Args:
        counts: The number of options of each choice.
        units: Of the LSTM.
        limit: Bound of the logits (tanh); 0 for none.
    """

    def __init__(self, counts: Mapping[str, int], units: int, limit: float) -> None:
        super().__init__()
        self.order, self.limit = {address: index for index, address in enumerate(counts)}, limit
        self.starts, total = {}, 1
        for address, count in counts.items():
            self.starts[address] = total
            total += count
        self.embedding = nn.Parameter(0.1 * torch.randn(total, units))
        self.cell = nn.LSTMCell(units, units)
        self.heads = nn.ModuleList([nn.Linear(units, count) for count in counts.values()])

    def forward(self, space: Any, choose: Any) -> tuple[Architecture, Tensor, Tensor]:
        """Makes the choices of one architecture.

        Args:
            space: Whose choices.
            choose: Given an address and probabilities ``(options,)``, gives the option.

        Returns:
            The architecture, the logarithm of its probability, and the entropy of the distributions met.
        """
        units = self.embedding.shape[1]
        state = torch.zeros(1, units), torch.zeros(1, units)
        last, logs, entropies = 0, [], []

        def pick(address: str, _: int) -> int:
            nonlocal state, last
            state = self.cell(self.embedding[last : last + 1], state)
            logits = self.heads[self.order[address]](state[0])[0]
            if self.limit:
                logits = self.limit * torch.tanh(logits)
            log = logits.log_softmax(0)
            option = int(choose(address, log.detach().exp()))
            logs.append(log[option])
            entropies.append(-(log.exp() * log).sum())
            last = self.starts[address] + option
            return option

        architecture = space.fill(pick)
        return architecture, torch.stack(logs).sum(), torch.stack(entropies).sum()


@dataclasses.dataclass(eq=False)
class Controller(Picker):
    """An LSTM controller, trained by REINFORCE on held-out batches, and the shared weights take turns (ENAS: Pham et al. 2018, arXiv 1802.03268).

    Attributes:
        units: Of the LSTM.
        rate: Learning rate of the controller (Adam).
        samples: Architectures for one update of the controller.
        every: Training steps for one update.
        warmup: Share of the training in which paths are drawn at random.
        limit: Bound of the logits.
        entropy: Weight of the entropy in the reward.
        memory: Decay of the moving average of rewards that is the baseline.
    """

    held: ClassVar[float] = 0.2
    derives: ClassVar[bool] = True
    drawn: ClassVar[bool] = True

    units: int = 64
    rate: float = 3.5e-3
    samples: int = 4
    every: int = 8
    warmup: float = 0.2
    limit: float = 2.5
    entropy: float = 1e-3
    memory: float = 0.95

    def begin(self, shared: Shared) -> None:
        """A controller without preferences to speak of."""
        with seeded(shared.seed):
            self.policy = Policy(shared.net.counts, self.units, self.limit)
        self.optimizer = Adam(dict(self.policy.named_parameters()), self.rate)
        self.baseline: float | None = None
        self.turn = 0

    def draw(self, shared: Shared) -> tuple[Architecture, Tensor, Tensor]:
        """A feasible architecture of the controller's, with the logarithm of its probability and the entropy."""
        for _ in range(DRAWS):
            found = self.policy(
                shared.net.space, lambda _, p: shared.rng.choice(len(p), p=(q := p.double().numpy()) / q.sum())
            )
            if shared.feasible(found[0]):
                return found  # type: ignore[no-any-return]
        return self.policy(shared.net.space, _follow(shared.draw()))  # type: ignore[no-any-return]

    def pick(self, shared: Shared) -> Any:
        """An architecture of the controller's; at random during the warm-up."""
        if shared.progress < self.warmup:
            return shared.draw()
        with torch.no_grad():
            return self.draw(shared)[0]

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Raises the probability of architectures that do better than usual on a held-out batch."""
        self.turn += 1
        if shared.progress < self.warmup or self.turn % self.every:
            return
        rows = []
        for _ in range(self.samples):
            architecture, log, entropy = self.draw(shared)
            with torch.no_grad():
                reward = shared.reward(architecture, held) + self.entropy * float(entropy)
            if self.baseline is None:
                self.baseline = reward
            rows.append(-(reward - self.baseline) * log)
            self.baseline = self.memory * self.baseline + (1 - self.memory) * reward
        loss = torch.stack(rows).mean()
        gradients = torch.autograd.grad(loss, list(self.policy.parameters()), allow_unused=True)
        self.optimizer.step(dict(zip(dict(self.policy.named_parameters()), gradients)))

    def derive(self, shared: Shared) -> list[Architecture]:
        """Twenty architectures of the controller's, each once, in the order drawn; the same however often the training was resumed."""
        shared.rng = np.random.default_rng([shared.seed, 0xD])
        with torch.no_grad():
            found = dict.fromkeys(self.draw(shared)[0] for _ in range(20))
        return list(found)

    def shares(self, shared: Shared) -> dict[str, list[float]]:
        """How often thirty of the controller's architectures take each option."""
        counts = {address: [0.0] * count for address, count in shared.net.counts.items()}
        with torch.no_grad():
            for _ in range(30):
                for address, option in self.draw(shared)[0].choices:
                    counts[address][option] += 1.0
        return {a: [c / sum(found) for c in found] for a, found in counts.items() if sum(found)}

    def state(self) -> dict[str, Tensor]:
        """Controller, moments, baseline."""
        more = {"turn": torch.tensor(float(self.turn))}
        if self.baseline is not None:
            more["baseline"] = torch.tensor(self.baseline, dtype=torch.float64)
        return {f"policy:{n}": p.detach() for n, p in self.policy.named_parameters()} | self.optimizer.state() | more

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes them over."""
        with torch.no_grad():
            for name, value in self.policy.named_parameters():
                value.copy_(state[f"policy:{name}"])
        self.optimizer.load(state)
        self.turn = int(state["turn"])
        self.baseline = float(state["baseline"]) if "baseline" in state else None


def _follow(architecture: Architecture) -> Any:
    chosen = architecture.as_dict()
    return lambda address, _: chosen[address]
