"""An agent that edits: its state is an architecture, its actions add a layer, delete one or change something."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from archwright.problem import Architecture, Problem, Proposal, Trial
from archwright.problem.protocols import ChoiceSpace
from archwright.strategies.arrays import Adam
from archwright.strategies.common import at_least, edit, sample_feasible, score_of
from archwright.strategies.draws import HEATING, new_architecture
from archwright.strategies.editor import Editor
from archwright.strategies.policy import (
    Heads,
    ascent,
    check_positive,
    check_share,
    choice_space,
    distribution,
)
from archwright.strategies.rewards import Ranks

STARTS = 5
"""Architectures drawn at random before the first edit."""


class Step(msgspec.Struct, frozen=True):
    """An edit in an episode.

    Attributes:
        before: The architecture that was edited.
        token: The edit.
        gain: The reward: by how much the score rose.
    """

    before: Architecture
    token: int
    gain: float = 0.0


class Episode(msgspec.Struct, frozen=True):
    """A sequence of edits in progress.

    Attributes:
        trial: The trial of the current architecture.
        architecture: The current one.
        score: Its score; ``None`` while it runs.
        from_score: The score of the one before.
        steps: The edits so far.
    """

    trial: int
    architecture: Architecture
    score: float | None
    from_score: float
    steps: tuple[Step, ...] = ()


class EditsState(msgspec.Struct, frozen=True):
    """What the agent knows.

    Attributes:
        editor: The form of the policy.
        adam: Its weights, and the moments of their gradients.
        episodes: Those in progress.
        best: The best trial as an episode without edits; ``None`` before the first score.
        ranks: The scores heard, which set the scale of rewards.
        returns: Number, mean and mean square of the returns so far, which are standardised with them.
        known: Every architecture heard of.
        pending: The trials that are running.
        heard: Highest trial number heard of.
    """

    editor: Editor
    adam: Adam
    episodes: tuple[Episode, ...] = ()
    best: Episode | None = None
    ranks: Ranks = Ranks()
    returns: tuple[int, float, float] = (0, 0.0, 0.0)
    known: frozenset[Architecture] = frozenset()
    pending: tuple[int, ...] = ()
    heard: int = -1


@dataclasses.dataclass(frozen=True)
class Edits:
    """An agent that adds layers, deletes them or changes their attributes, by REINFORCE. Cai et al. 2018, arXiv 1707.04873.

    Its state is the current architecture, its actions are all ways to set one choice to another option. What the edit
    makes active is drawn, all else is kept. An edit that makes the architecture have more choices, as one more layer
    does, is called ``add``, one that makes it have fewer ``delete``, and any other ``change``. (The paper edits by
    function-preserving transformations; here the evaluator decides whether weights are inherited.)

    After five random draws, each episode starts at the best architecture so far and makes ``length`` edits, one after
    the other; a failed trial ends it. The reward of an edit is the rise of the normal score
    (:mod:`archwright.strategies.rewards`), its return the discounted sum of the rewards from then on, standardised over
    all episodes so far. At the end of an episode the policy takes a step up the REINFORCE gradient. It reads the
    choices of the current architecture with an LSTM in each direction.

    Architectures heard of are not proposed again while edits lead to others; after ten that do not, each edit is drawn
    at a higher temperature than the last. Of several workers each has an episode of its own.

    Attributes:
        length: Edits in an episode.
        discount: Weight of the reward after next against the next.
        rate: Learning rate of Adam.
        entropy: Weight of the entropy.
        temperature: By which logits are divided.
        hidden: Units of each LSTM.
    """

    length: int = 3
    discount: float = 0.5
    rate: float = 0.02
    entropy: float = 0.01
    temperature: float = 1.0
    hidden: int = 32
    name = "edits"

    def __post_init__(self) -> None:
        at_least(self.name, "length", self.length, 1)
        check_share(self.name, "discount", self.discount)
        check_positive(self.name, rate=self.rate, temperature=self.temperature)
        at_least(self.name, "hidden", self.hidden, 1)

    def init(self, problem: Problem) -> EditsState:
        """A policy that is nearly uniform over the edits.

        Raises:
            StrategyError: Where architectures are not made choice by choice.
        """
        editor = Editor(Heads.of(problem, self.name), self.hidden)
        return EditsState(editor, Adam.start(editor.initial(np.random.default_rng([problem.seed, 0, 1]))))

    def tell(self, state: EditsState, problem: Problem, trial: Trial) -> EditsState:
        """Notes a running trial as the next of its episode; with its score the episode goes on, or ends and teaches."""
        if trial.id > state.heard:
            state = self._begun(state, trial)
        elif trial.id not in state.pending:
            return state
        return self._ended(state, problem, trial) if trial.done else state

    def ask(self, state: EditsState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """An edit of an episode's architecture, or of the best where no episode waits; a random draw at first.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        waiting = [episode for episode in state.episodes if episode.score is not None]
        start = waiting[0] if waiting else state.best if len(state.ranks.scores) >= STARTS else None
        if start is None:
            return Proposal(sample_feasible(problem, rng, avoid=state.known), why={"by": "random"})
        chances = self._chances(state, start.architecture)
        if not len(chances):
            return Proposal(start.architecture, why={"by": "random", "reason": "there is a single architecture"})
        made: dict[Architecture, int] = {}

        def draw(heat: int) -> Architecture:
            flat = chances ** (1.0 / HEATING**heat)
            token = int(np.searchsorted(ends := flat.cumsum(), rng.random() * ends[-1], side="right"))
            child = edited(choice_space(problem, self.name), state.editor.heads, start.architecture, token, rng)
            made[child] = token
            return child

        child, said = new_architecture(problem, state.known, rng, draw)
        if child not in made:
            return Proposal(child, why=said)
        why = {
            "by": "policy",
            "kind": kind_of(start.architecture, child),
            "edit": edit(problem, start.architecture, child),
            "probability": float(chances[made[child]]),
            "step": len(start.steps) + 1,
            "parent_score": start.score,
            **said,
        }
        return Proposal(child, parent=start.trial, why=why)

    def _chances(self, state: EditsState, architecture: Architecture) -> np.ndarray:
        """The probability of every edit; empty where there is none."""
        batch = state.editor.heads.batch([architecture])
        actions = state.editor.actions(batch, np.zeros(1, int))
        if not actions.active.any():
            return np.zeros(0)
        logits, _ = state.editor.forward(state.adam.weights.values, batch)
        chances, _ = distribution(logits, actions, self.temperature)
        found: np.ndarray = chances[0, 0]
        return found

    def _begun(self, state: EditsState, trial: Trial) -> EditsState:
        architecture, parent = trial.proposal.architecture, trial.proposal.parent
        episodes = state.episodes
        for source in (*episodes, state.best):
            if source is None or source.trial != parent or source.score is None:
                continue
            token = token_of(state.editor.heads, source.architecture, architecture)
            if token is not None:
                steps = (*source.steps, Step(source.architecture, token))
                longer = Episode(trial.id, architecture, None, source.score, steps)
                episodes = (*(episode for episode in episodes if episode is not source), longer)
                break
        return msgspec.structs.replace(
            state,
            episodes=episodes,
            known=state.known | {architecture},
            pending=(*state.pending, trial.id),
            heard=trial.id,
        )

    def _ended(self, state: EditsState, problem: Problem, trial: Trial) -> EditsState:
        score, architecture = score_of(problem, trial), trial.proposal.architecture
        pending = tuple(number for number in state.pending if number != trial.id)
        episode = next((episode for episode in state.episodes if episode.trial == trial.id), None)
        others = tuple(known for known in state.episodes if known is not episode)
        state = msgspec.structs.replace(state, pending=pending, episodes=others)
        if score is None and trial.status == "stopped":
            return state
        ranks, best = state.ranks.heard(score), state.best
        if score is not None and (best is None or best.score is None or score > best.score):
            best = Episode(trial.id, architecture, score, score)
        state = msgspec.structs.replace(state, ranks=ranks, best=best)
        if episode is None:
            return state
        gain = ranks.normal(score) - ranks.normal(episode.from_score)
        steps = (*episode.steps[:-1], msgspec.structs.replace(episode.steps[-1], gain=gain))
        if score is None or len(steps) >= self.length:
            return self._learned(state, steps)
        longer = Episode(trial.id, architecture, score, episode.from_score, steps)
        return msgspec.structs.replace(state, episodes=(*others, longer))

    def _learned(self, state: EditsState, steps: tuple[Step, ...]) -> EditsState:
        returns = discounted([step.gain for step in steps], self.discount)
        count, mean, square = state.returns
        total = count + len(returns)
        mean = (count * mean + returns.sum()) / total
        square = (count * square + (returns**2).sum()) / total
        spread = max(square - mean**2, 0.0) ** 0.5
        gains = (returns - mean) / spread if spread > 0 else np.zeros(len(returns))
        batch = state.editor.heads.batch([step.before for step in steps])
        actions = state.editor.actions(batch, np.array([step.token for step in steps]))
        weights = state.adam.weights.values
        logits, trace = state.editor.forward(weights, batch)
        d_logits = ascent(actions, logits, gains[:, None], self.entropy, self.temperature)
        adam = state.adam.ascend(state.editor.backward(weights, trace, d_logits), self.rate)
        return msgspec.structs.replace(state, adam=adam, returns=(total, float(mean), float(square)))


def discounted(rewards: list[float], discount: float) -> np.ndarray:
    """The return of each step: its reward, and the discounted return of the next.

    >>> discounted([0.0, 0.0, 1.0], 0.5).tolist()
    [0.25, 0.5, 1.0]
    """
    returns = np.array(rewards, float)
    for index in range(len(rewards) - 2, -1, -1):
        returns[index] += discount * returns[index + 1]
    return returns


def edited(
    space: ChoiceSpace, heads: Heads, architecture: Architecture, token: int, rng: np.random.Generator
) -> Architecture:
    """The architecture with one choice set to another option; what that makes active is drawn."""
    owner = int(heads.owners[token])
    address = heads.addresses[owner]
    kept = architecture.as_dict() | {address: token - heads.starts[address]}

    def pick(address: str, options: int) -> int:
        option = kept.get(address)
        return int(rng.integers(options)) if option is None else option

    return space.fill(pick)


def token_of(heads: Heads, before: Architecture, after: Architecture) -> int | None:
    """The edit that leads from one architecture to another: the first choice of both that differs; ``None`` where
    there is none."""
    old = before.as_dict()
    for address, option in after.choices:
        if old.get(address, option) != option:
            return heads.starts[address] + option
    return None


def kind_of(before: Architecture, after: Architecture) -> str:
    """``add`` where an edit leads to more choices, ``delete`` where to fewer, else ``change``."""
    more = len(after.choices) - len(before.choices)
    return "add" if more > 0 else "delete" if more < 0 else "change"
