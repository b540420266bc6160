"""Q-learning: the value of each option after the choice before it, learned from remembered networks."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.problem.protocols import ChoiceSpace
from archwright.strategies.common import at_least, score_of
from archwright.strategies.draws import new_architecture
from archwright.strategies.plan import Amount
from archwright.strategies.policy import check_share, choice_space
from archwright.strategies.progress import cost_of, progress
from archwright.strategies.rewards import Ranks

Situation = tuple[str, int, str]
"""The choice made before and its option (``("", 0)`` at the start), and the choice to be made."""
Values = dict[Situation, tuple[float, ...]]
"""The value of each option; a situation that is missing is unknown."""

UNKNOWN = 0.5
"""The value of what is unknown: half of the scale of rewards."""
LEAST = 0.1
"""The share of random choices at the end of the schedule."""


class QState(msgspec.Struct, frozen=True):
    """What Q-learning knows.

    Attributes:
        values: The value of each option in each situation met.
        memory: The networks heard of with their scores, ``None`` for a failure, in the order of completion.
        ranks: The scores, which set the scale of rewards.
        known: Every architecture heard of.
        pending: The trials that are running.
        spent: What the trials took.
        heard: Highest trial number heard of.
    """

    values: Values = {}
    memory: tuple[tuple[Architecture, float | None], ...] = ()
    ranks: Ranks = Ranks()
    known: frozenset[Architecture] = frozenset()
    pending: tuple[int, ...] = ()
    spent: Amount = Amount()
    heard: int = -1


@dataclasses.dataclass(frozen=True)
class QLearning:
    """Q-learning with an epsilon-greedy schedule and experience replay, as MetaQNN. Baker et al. 2017, arXiv 1611.02167.

    The value of an option depends on which choice it is for and on the option taken at the choice before. The reward,
    given after the last choice only, is the share of all networks so far that score lower; a failed trial is below all.
    Unknown values are 0.5. After every trial it and a sample of those remembered are learned from, the last choice of
    each first, so that rewards travel back to the first choice at once.

    What a value moves towards is ``trace`` parts the reward itself and the rest the largest value in the situation that follows (Peng's
    Q(lambda)). The paper has 0, which needs states that tell all that matters: in theory two choices with another between them cannot learn
    from each other then, and in practice a hundred networks teach little.

    The share epsilon of random choices falls from 1 to 0.1 in steps as the budget is spent: the first is a part
    ``explore`` of it, the rest are equal. (In the paper more than half of 2,700 networks are random; a small budget cannot
    afford that.)

    Architectures heard of are not proposed again while draws find others; after ten that do not, epsilon rises with each.

    Attributes:
        explore: Share of the budget in which all choices are random.
        rate: Learning rate.
        replay: How many remembered networks are learned from after each trial.
        discount: Weight of what follows a choice.
        trace: Weight of the reward itself against the largest value that follows; 0 in the paper.
    """

    explore: float = 0.2
    rate: float = 0.1
    replay: int = 128
    discount: float = 1.0
    trace: float = 0.9
    name = "q-learning"

    def __post_init__(self) -> None:
        for option in ("explore", "rate", "discount", "trace"):
            check_share(self.name, option, getattr(self, option))
        at_least(self.name, "replay", self.replay, 0)

    def init(self, problem: Problem) -> QState:
        """Nothing is known.

        Raises:
            StrategyError: Where architectures are not made choice by choice.
        """
        choice_space(problem, self.name)
        return QState()

    def tell(self, state: QState, problem: Problem, trial: Trial) -> QState:
        """Notes a running trial; learns from one that is done, unless it was stopped without a score."""
        new, architecture = trial.id > state.heard, trial.proposal.architecture
        if not new and trial.id not in state.pending:
            return state
        state = msgspec.structs.replace(
            state,
            known=state.known | {architecture} if new else state.known,
            pending=tuple(number for number in state.pending if number != trial.id)
            + (() if trial.done else (trial.id,)),
            heard=max(state.heard, trial.id),
        )
        score = score_of(problem, trial)
        if not trial.done or (score is None and trial.status == "stopped"):
            return state
        memory, ranks = (*state.memory, (architecture, score)), state.ranks.heard(score)
        rng = np.random.default_rng([problem.seed, len(memory), 2])
        again = [memory[index] for index in rng.integers(len(memory), size=self.replay).tolist()]
        lessons = [(choices.choices, ranks.share(result)) for choices, result in (memory[-1], *again)]
        counts = {choice.address: len(choice.labels) for choice in choice_space(problem, self.name).choices()}
        return msgspec.structs.replace(
            state,
            values=learned(state.values, lessons, counts, self.rate, self.discount, self.trace),
            memory=memory,
            ranks=ranks,
            spent=state.spent.plus(cost_of(trial, problem)),
        )

    def ask(self, state: QState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """Choices of the highest value, but for a share epsilon of random ones.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        epsilon = self.epsilon(progress(state.spent, problem))
        space = choice_space(problem, self.name)

        def draw(heat: int) -> Architecture:
            return greedy(state.values, space, 1.0 - (1.0 - epsilon) * 0.9**heat, rng)

        architecture, said = new_architecture(problem, state.known, rng, draw)
        why = {"by": "q-learning", "epsilon": epsilon, "predicted": value_of(state.values, architecture), **said}
        return Proposal(architecture, why=why)

    def epsilon(self, spent: float) -> float:
        """The share of random choices when a share of the budget is spent.

        >>> [round(QLearning(explore=0.1).epsilon(spent), 1) for spent in (0.0, 0.15, 0.25, 0.95, 1.0)]
        [1.0, 0.9, 0.8, 0.1, 0.1]
        """
        if spent < self.explore or self.explore == 1.0:
            return 1.0
        steps = round(1.0 / LEAST) - 1
        step = min(steps, 1 + int((spent - self.explore) / (1.0 - self.explore) * steps))
        return 1.0 - step * (1.0 - LEAST) / steps


def learned(
    values: Values,
    lessons: list[tuple[tuple[tuple[str, int], ...], float]],
    counts: dict[str, int],
    rate: float,
    discount: float,
    trace: float,
) -> Values:
    """The values after learning from networks, each given by its choices and its reward, the last choice first.

    The value of a network's last choice moves by ``rate`` of the way to the reward; any other to ``discount`` times a
    mixture: ``trace`` parts of what the choice after it moved to, and the rest of the largest value in its situation.
    """
    found = dict(values)
    touched: dict[Situation, list[float]] = {}
    for choices, reward in lessons:
        target = reward
        for index in range(len(choices) - 1, -1, -1):
            address, option = choices[index]
            situation = (*choices[index - 1], address) if index else ("", 0, address)
            row = touched.get(situation)
            if row is None:
                row = touched[situation] = list(found.get(situation) or [UNKNOWN] * counts[address])
            row[option] += rate * (target - row[option])
            target = discount * (trace * target + (1.0 - trace) * max(row))
    found.update((situation, tuple(row)) for situation, row in touched.items())
    return found


def greedy(values: Values, space: ChoiceSpace, epsilon: float, rng: np.random.Generator) -> Architecture:
    """Choices of the highest value, ties broken at random, each random with probability epsilon."""
    before: tuple[str, int] = ("", 0)

    def pick(address: str, options: int) -> int:
        nonlocal before
        row = values.get((*before, address))
        if row is None or rng.random() < epsilon:
            option = int(rng.integers(options))
        else:
            best = [index for index, value in enumerate(row) if value == max(row)]
            option = best[int(rng.integers(len(best)))]
        before = (address, option)
        return option

    return space.fill(pick)


def value_of(values: Values, architecture: Architecture) -> float:
    """The value of an architecture's last choice: the reward it is expected to have."""
    if not architecture.choices:
        return UNKNOWN
    (address, option), before = architecture.choices[-1], (("", 0), *architecture.choices)[-2]
    row = values.get((*before, address))
    return UNKNOWN if row is None else row[option]
