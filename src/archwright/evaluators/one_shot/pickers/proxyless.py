"""Binary gates."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from archwright.evaluators.one_shot.picker import Batch, Gradient
from archwright.evaluators.one_shot.shared import Shared


@dataclasses.dataclass(eq=False)
class Proxyless(Gradient):
    """Weights learn on one path drawn by the probabilities, the numbers on two at a time (ProxylessNAS: Cai et al. 2019, arXiv 1812.00332).

    In each step of the numbers two options of each choice are drawn, and their gates, 1 for one of them and 0 for the other, get a gradient.
    Their numbers move, and are then shifted together so that the probability of the pair stays as it was.

    Attributes:
        warmup: Share of the training in which the numbers stay.
        every: Steps of the weights for one of the numbers.
        penalty: Weight of the expected cost in the loss of the numbers: latency where the search has a latency table, else FLOPs; over the mean of random
            networks. 0 for none.
    """

    betas: ClassVar[tuple[float, float]] = (0.0, 0.999)
    held: ClassVar[float] = 0.2
    reads: ClassVar[bool] = True

    rate: float = 0.01
    decay: float = 0.0
    warmup: float = 0.25
    every: int = 2
    penalty: float = 0.0

    def begin(self, shared: Shared) -> None:
        """Numbers close to zero, and what each option costs."""
        super().begin(shared)
        self.turn = 0
        self.costs = shared.option_costs() if self.penalty else {}

    def pick(self, shared: Shared) -> Any:
        """One feasible path, drawn by the probabilities; at random during the warm-up."""
        if shared.progress < self.warmup:
            return shared.draw()
        chances = {address: p.detach().double().numpy() for address, p in self.probabilities().items()}
        return self.path(
            shared, lambda: {address: int(shared.rng.choice(len(p), p=p / p.sum())) for address, p in chances.items()}
        )

    def learn(self, shared: Shared, train: Batch, held: Batch) -> None:
        """Moves the numbers of two options of each choice."""
        self.turn += 1
        if shared.progress < self.warmup or self.turn % self.every:
            return
        pairs, gates = {}, {}
        for address, p in self.probabilities().items():
            chances = p.detach().double().numpy()
            pairs[address] = shared.rng.choice(len(p), 2, replace=False, p=chances / chances.sum())
            pair = chances[pairs[address]]
            gate = torch.zeros(len(p))
            gate[int(shared.rng.choice(pairs[address], p=pair / pair.sum()))] = 1.0
            gates[address] = gate.requires_grad_()
        active = {address: tuple(sorted(map(int, pair))) for address, pair in pairs.items()}
        loss = shared.loss(gates, held, active)
        gradients = torch.autograd.grad(loss, list(gates.values()), allow_unused=True)
        for (address, alpha), gradient in zip(self.alphas.items(), gradients):
            if gradient is not None:
                self._move(address, alpha, pairs[address], gradient)

    def _move(self, address: str, alpha: Tensor, pair: np.ndarray[Any, Any], gradient: Tensor) -> None:
        index = torch.from_numpy(pair)
        p = alpha.detach()[index].softmax(0)
        moved = gate_gradient(p, gradient[index])
        if self.penalty:
            cost = torch.tensor(self.costs[address], dtype=torch.float32)[index]
            moved = moved + self.penalty * gate_gradient(p, cost)
        full = torch.zeros_like(alpha)
        full[index] = moved
        before = alpha.detach()[index].clone()
        kept = alpha.detach().clone()
        self.optimizer.step({address: full})
        with torch.no_grad():
            after = alpha[index]
            alpha.copy_(kept)
            alpha[index] = after - (after.logsumexp(0) - before.logsumexp(0))

    def state(self) -> dict[str, Tensor]:
        """Numbers, moments and the place in the alternation."""
        return super().state() | {"turn": torch.tensor(float(self.turn))}

    def load(self, state: Any) -> None:
        """Takes them over."""
        super().load(state)
        self.turn = int(state["turn"])


def gate_gradient(p: Tensor, gates: Tensor) -> Tensor:
    """From the gradient of gates to that of the numbers whose softmax they are drawn from: ``sum_j g_j p_j (1[i = j] - p_i)``."""
    return p * (gates - (p * gates).sum())
