"""REINFORCE: a policy makes the choices in order and is rewarded by the score of the network."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.strategies.arrays import Adam
from archwright.strategies.common import at_least, score_of
from archwright.strategies.draws import propose
from archwright.strategies.policy import Controller, Heads, Policy, Table, ascent, check_positive, check_share
from archwright.strategies.rewards import Ranks

RATES = {"lstm": 0.02, "table": 0.2}
"""Default learning rates: large, as a search has a hundred updates and not ten thousand."""


class ReinforceState(msgspec.Struct, frozen=True):
    """What REINFORCE knows.

    Attributes:
        policy: The form of the policy.
        adam: Its weights, and the moments of their gradients.
        ranks: The scores heard, which set the scale of rewards.
        baseline: Moving average of the rewards; ``None`` before the first.
        known: Every architecture heard of.
        pending: The trials that are running.
        heard: Highest trial number heard of.
    """

    policy: Controller | Table
    adam: Adam
    ranks: Ranks = Ranks()
    baseline: float | None = None
    known: frozenset[Architecture] = frozenset()
    pending: tuple[int, ...] = ()
    heard: int = -1


@dataclasses.dataclass(frozen=True)
class Reinforce:
    """REINFORCE: an LSTM, or a table of logits, makes the choices in order. Zoph and Le 2017, arXiv 1611.01578.

    A network's reward is the normal score of its rank among all so far (:mod:`archwright.strategies.rewards`), so that
    accuracies, percentages and losses give the same search; a failed trial ranks last. The advantage is the reward less
    a moving average that starts at the first reward. One step of Adam follows every trial, up the gradient of the
    log-probability of its choices times the advantage, plus the entropy of the policy times a small weight.

    Architectures heard of are not proposed again while draws find others; after ten that do not, each draw is made at a
    higher temperature than the last. A trial that is told again teaches nothing more.

    Attributes:
        policy: ``"lstm"``, or ``"table"``: logits for each choice whatever was chosen before, as in NATS-Bench
            (arXiv 2009.00437).
        rate: Learning rate of Adam; 0 stands for 0.02 with the LSTM and 0.2 with the table.
        momentum: Of the moving average.
        entropy: Weight of the entropy.
        temperature: By which logits are divided.
        hidden: Units of the LSTM.
    """

    policy: str = "lstm"
    rate: float = 0.0
    momentum: float = 0.9
    entropy: float = 0.01
    temperature: float = 1.0
    hidden: int = 32
    name = "reinforce"

    def __post_init__(self) -> None:
        if self.policy not in RATES:
            raise StrategyError(f"Got policy={self.policy!r} for the strategy 'reinforce'; expected 'lstm' or 'table'.")
        check_positive(self.name, rate=self.rate or 1.0, temperature=self.temperature)
        check_share(self.name, "momentum", self.momentum)
        at_least(self.name, "hidden", self.hidden, 1)

    def init(self, problem: Problem) -> ReinforceState:
        """A policy that is (nearly) uniform.

        Raises:
            StrategyError: Where architectures are not made choice by choice.
        """
        heads = Heads.of(problem, self.name)
        policy = Table(heads) if self.policy == "table" else Controller(heads, self.hidden)
        return ReinforceState(policy, Adam.start(policy.initial(np.random.default_rng([problem.seed, 0, 1]))))

    def tell(self, state: ReinforceState, problem: Problem, trial: Trial) -> ReinforceState:
        """Notes a running trial; learns from one that is done, unless it was stopped without a score."""
        new = trial.id > state.heard
        if not new and trial.id not in state.pending:
            return state
        state = msgspec.structs.replace(
            state,
            known=state.known | {trial.proposal.architecture} if new else state.known,
            pending=tuple(number for number in state.pending if number != trial.id)
            + (() if trial.done else (trial.id,)),
            heard=max(state.heard, trial.id),
        )
        score = score_of(problem, trial)
        if not trial.done or (score is None and trial.status == "stopped"):
            return state
        ranks = state.ranks.heard(score)
        reward = ranks.normal(score)
        before = reward if state.baseline is None else state.baseline
        gradient = reinforce_gradient(
            state.policy,
            state.adam.weights.values,
            [trial.proposal.architecture],
            np.array([reward - before]),
            self.entropy,
            self.temperature,
        )
        return msgspec.structs.replace(
            state,
            adam=state.adam.ascend(gradient, self.rate or RATES[self.policy]),
            ranks=ranks,
            baseline=self.momentum * before + (1.0 - self.momentum) * reward,
        )

    def ask(self, state: ReinforceState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """A draw from the policy.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        weights = state.adam.weights.values
        architecture, why = propose(state.policy, weights, problem, state.known, rng, self.temperature)
        return Proposal(architecture, why=why | ({} if state.baseline is None else {"baseline": state.baseline}))


def reinforce_gradient(
    policy: Policy,
    weights: np.ndarray,
    architectures: list[Architecture],
    advantages: np.ndarray,
    entropy: float = 0.0,
    temperature: float = 1.0,
) -> np.ndarray:
    """The gradient of ``sum(advantage * log p(architecture)) + entropy * H`` by the weights of a policy. Williams 1992.

    Args:
        policy: Who made the choices.
        weights: Of the policy.
        architectures: The choices made.
        advantages: One for each.
        entropy: Weight of the entropy H of the choices.
        temperature: By which logits are divided.
    """
    batch = policy.heads.batch(architectures)
    logits, trace = policy.forward(weights, batch)
    gains = np.broadcast_to(np.asarray(advantages)[:, None], batch.tokens.shape)
    return policy.backward(weights, trace, ascent(batch, logits, gains, entropy, temperature))
