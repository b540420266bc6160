"""Proximal policy optimisation: REINFORCE that uses each network several times, within bounds."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.strategies.arrays import Adam, Frozen
from archwright.strategies.common import at_least, score_of
from archwright.strategies.draws import propose
from archwright.strategies.plan import Amount
from archwright.strategies.policy import (
    Controller,
    Heads,
    ascent,
    check_positive,
    check_share,
    distribution,
    taken,
)
from archwright.strategies.progress import cost_of, expected_trials
from archwright.strategies.rewards import Ranks

LARGEST = 20
"""Networks in a batch at most, as in the paper."""
UPDATES = 20
"""Batches are so small that the budget allows so many."""


class Sample(msgspec.Struct, frozen=True):
    """A network that the policy is going to learn from.

    Attributes:
        architecture: Its choices.
        before: Logarithm of the probability of each, by the policy that made it.
        advantage: Reward less baseline.
    """

    architecture: Architecture
    before: Frozen
    advantage: float


class PPOState(msgspec.Struct, frozen=True):
    """What the strategy knows.

    Attributes:
        policy: The form of the policy.
        adam: Its weights, and the moments of their gradients.
        batch: Networks since the last update.
        ranks: The scores heard, which set the scale of rewards.
        baseline: Moving average of the rewards; ``None`` before the first.
        known: Every architecture heard of.
        pending: The trials that are running, with the log-probabilities of their choices when they were made.
        spent: What the trials took.
        heard: Highest trial number heard of.
    """

    policy: Controller
    adam: Adam
    batch: tuple[Sample, ...] = ()
    ranks: Ranks = Ranks()
    baseline: float | None = None
    known: frozenset[Architecture] = frozenset()
    pending: tuple[tuple[int, Frozen], ...] = ()
    spent: Amount = Amount()
    heard: int = -1


@dataclasses.dataclass(frozen=True)
class PPO:
    """Proximal policy optimisation of an LSTM controller, as for NASNet. Zoph et al. 2018, arXiv 1707.07012.

    The controller and the rewards are those of :class:`~archwright.strategies.reinforce.Reinforce`. After each batch of
    networks it takes several steps up the clipped objective (arXiv 1707.06347), in which every choice has a ratio
    of its own: the probability now over that when it was made. A batch has 20 networks, or a twentieth of what the budget
    allows, and at least two.

    Attributes:
        clip: How far a ratio may be from 1 and still count.
        passes: Steps for each batch.
        rate: Learning rate of Adam.
        momentum: Of the moving average of the rewards.
        entropy: Weight of the entropy.
        temperature: By which logits are divided.
        hidden: Units of the LSTM.
    """

    clip: float = 0.2
    passes: int = 5
    rate: float = 0.02
    momentum: float = 0.95
    entropy: float = 1e-5
    temperature: float = 1.0
    hidden: int = 32
    name = "ppo"

    def __post_init__(self) -> None:
        check_positive(self.name, clip=self.clip, rate=self.rate, temperature=self.temperature)
        check_share(self.name, "momentum", self.momentum)
        at_least(self.name, "passes", self.passes, 1)
        at_least(self.name, "hidden", self.hidden, 1)

    def init(self, problem: Problem) -> PPOState:
        """A policy that is nearly uniform.

        Raises:
            StrategyError: Where architectures are not made choice by choice.
        """
        policy = Controller(Heads.of(problem, self.name), self.hidden)
        return PPOState(policy, Adam.start(policy.initial(np.random.default_rng([problem.seed, 0, 1]))))

    def tell(self, state: PPOState, problem: Problem, trial: Trial) -> PPOState:
        """Notes a running trial; puts one that is done into the batch, and learns from the batch when it is full."""
        new, architecture = trial.id > state.heard, trial.proposal.architecture
        running = dict(state.pending)
        if not new and trial.id not in running:
            return state
        if new:
            running[trial.id] = Frozen(self._log_probabilities(state, architecture))
            state = msgspec.structs.replace(state, known=state.known | {architecture}, heard=trial.id)
        before = running.pop(trial.id) if trial.done else None
        state = msgspec.structs.replace(state, pending=tuple(running.items()))
        score = score_of(problem, trial)
        if before is None or (score is None and trial.status == "stopped"):
            return state
        ranks = state.ranks.heard(score)
        reward = ranks.normal(score)
        usual = reward if state.baseline is None else state.baseline
        state = msgspec.structs.replace(
            state,
            batch=(*state.batch, Sample(architecture, before, reward - usual)),
            ranks=ranks,
            baseline=self.momentum * usual + (1.0 - self.momentum) * reward,
            spent=state.spent.plus(cost_of(trial, problem)),
        )
        size = max(2.0, min(float(LARGEST), expected_trials(state.spent, problem) / UPDATES))
        return self._learned(state) if len(state.batch) >= size else state

    def ask(self, state: PPOState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """A draw from the policy.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        weights = state.adam.weights.values
        architecture, why = propose(state.policy, weights, problem, state.known, rng, self.temperature)
        return Proposal(architecture, why=why | ({} if state.baseline is None else {"baseline": state.baseline}))

    def _log_probabilities(self, state: PPOState, architecture: Architecture) -> np.ndarray:
        batch = state.policy.heads.batch([architecture])
        logits, _ = state.policy.forward(state.adam.weights.values, batch)
        _, logarithms = distribution(logits, batch, self.temperature)
        found: np.ndarray = taken(batch, logarithms)[0]
        return found

    def _learned(self, state: PPOState) -> PPOState:
        batch = state.policy.heads.batch([sample.architecture for sample in state.batch])
        before = np.zeros(batch.tokens.shape)
        for row, sample in zip(before, state.batch):
            row[: len(sample.before.values)] = sample.before.values
        advantages = np.array([sample.advantage for sample in state.batch])
        adam = state.adam
        for _ in range(self.passes):
            weights = adam.weights.values
            logits, trace = state.policy.forward(weights, batch)
            now = taken(batch, distribution(logits, batch, self.temperature)[1])
            gains = clipped_gains(np.exp(now - before), advantages[:, None], self.clip)
            d_logits = ascent(batch, logits, gains, self.entropy, self.temperature)
            adam = adam.ascend(state.policy.backward(weights, trace, d_logits), self.rate)
        return msgspec.structs.replace(state, adam=adam, batch=())


def clipped_gains(ratios: np.ndarray, advantages: np.ndarray, clip: float) -> np.ndarray:
    """The derivative of ``min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A)`` by the logarithm of the ratio.

    Args:
        ratios: The probability of each choice now, over that when it was made.
        advantages: The advantage A, of a shape that broadcasts to that of the ratios.
        clip: How far a ratio may be from 1 in the direction that the advantage asks for.
    """
    over = np.where(advantages > 0, ratios > 1.0 + clip, ratios < 1.0 - clip)
    gains: np.ndarray = np.where(over, 0.0, ratios * advantages)
    return gains
