"""Hyperband: successive halving in brackets that start at different fidelities."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from archwright.errors import StrategyError
from archwright.problem import Fidelity, Problem, Proposal, Strategy, Trial
from archwright.strategies.common import at_least
from archwright.strategies.random import Random
from archwright.strategies.rungs import Rungs, RungsState, ladder


class HyperbandState(msgspec.Struct, frozen=True):
    """What hyperband knows.

    Attributes:
        brackets: The rungs of each bracket, in the order of starting: the first starts at the lowest fidelity.
        started: New architectures started so far, over all brackets.
    """

    brackets: tuple[RungsState, ...]
    started: int = 0


@dataclasses.dataclass(frozen=True)
class Hyperband:
    """Hyperband: brackets of successive halving over any proposer. Li et al. 2018, arXiv 1603.06560.

    With s_max the number of times that eta divides the full epochs, bracket s = s_max, ..., 0 starts
    n = ceil((s_max + 1) eta^s / (s + 1)) new architectures with 1/eta^s of the epochs and trains the best 1/eta of each
    rung eta times as long, from its checkpoint where there is one. So it hedges: the first bracket trusts short trainings
    most, the last one trains all at full length. After the last bracket comes the first again.

    A bracket that starts again adds to the rungs that it has: its promotions are the best of all that wait there. While a
    rung waits for results, idle workers start the next bracket. Each bracket has a proposer of its own, which hears its
    scores on the scale of its first rung (see :mod:`archwright.strategies.rungs`), as scores of different fidelities cannot
    be compared.

    Attributes:
        proposer: The strategy that proposes new architectures.
        eta: Factor between the fidelities of two rungs; the best 1/eta of a rung are promoted.
        synchronous: Promote when all results of a rung are in, as in the paper; else as soon as one of eta can be
            (as :class:`~archwright.strategies.Halving` does), so that a first full training comes earlier.
    """

    proposer: Strategy = dataclasses.field(default_factory=Random)
    eta: int = 3
    synchronous: bool = True
    name = "hyperband"
    multi_fidelity = True

    def __post_init__(self) -> None:
        at_least(self.name, "eta", self.eta, 2)
        if not callable(getattr(self.proposer, "ask", None)):
            raise StrategyError(
                f"Got proposer={self.proposer!r} for 'hyperband'; expected a strategy, such as Random()."
            )

    def init(self, problem: Problem) -> HyperbandState:
        """Empty rungs in every bracket."""
        return HyperbandState(tuple(engine.init(problem) for engine in self._engines(problem)))

    def tell(self, state: HyperbandState, problem: Problem, trial: Trial) -> HyperbandState:
        """Hands the trial to the bracket that proposed it."""
        number = trial.proposal.why.get("bracket")
        engines = self._engines(problem)
        if not isinstance(number, int) or not 0 <= number < len(engines):
            return state
        place = len(engines) - 1 - number
        before = state.brackets[place]
        after = engines[place].tell(before, problem, trial)
        new = trial.id > before.heard and "from_rung" not in trial.proposal.why
        brackets = (*state.brackets[:place], after, *state.brackets[place + 1 :])
        return HyperbandState(brackets, state.started + new)

    def ask(self, state: HyperbandState, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """The promotion that is due, the earlier bracket first, else a new architecture."""
        due = self.promotion(state, problem)
        if due is not None:
            return due
        place = self.filling(state, problem)[0]
        new = self._engines(problem)[place].propose(state.brackets[place], problem, rng)
        return None if new is None else self.entered(state, problem, new)

    def promotion(self, state: HyperbandState, problem: Problem) -> Proposal | None:
        """The promotion that is due, the earlier bracket first."""
        filling, begun = self.filling(state, problem)
        for place, engine in enumerate(self._engines(problem)):
            bracket = state.brackets[place]
            if not self.synchronous:
                due = engine.promotion(bracket)
            else:
                due = None if begun and place == filling else _settled(engine, bracket)
            if due is not None:
                return _in_bracket(due, len(state.brackets) - 1 - place)
        return None

    def filling(self, state: HyperbandState, problem: Problem) -> tuple[int, bool]:
        """The place of the bracket that new architectures are for, and whether this round of it has started already."""
        sizes = bracket_sizes(len(state.brackets) - 1, self.eta)
        position = state.started % sum(sizes)
        for place, size in enumerate(sizes):
            if position < size:
                return place, position > 0
            position -= size
        raise AssertionError("a position within a round belongs to a bracket")

    def entered(self, state: HyperbandState, problem: Problem, proposal: Proposal) -> Proposal:
        """A new architecture as a proposal of the bracket that is being filled, at the rung where that one starts."""
        place, _ = self.filling(state, problem)
        why = {**proposal.why, "rung": place}
        entry = msgspec.structs.replace(proposal, fidelity=self.levels(problem)[place], why=why)
        return _in_bracket(entry, len(state.brackets) - 1 - place)

    def levels(self, problem: Problem) -> tuple[Fidelity, ...]:
        """The fidelities of the rungs, lowest first."""
        return ladder(problem.fidelity, self.eta, divisions(problem.fidelity.epochs, self.eta) + 1)

    def _engines(self, problem: Problem) -> tuple[Rungs, ...]:
        """Successive halving for each bracket, in the order of starting."""
        levels = self.levels(problem)
        return tuple(Rungs(self.proposer, self.eta, levels, entry, len(levels) - 1) for entry in range(len(levels)))


def divisions(epochs: int, eta: int) -> int:
    """s_max: how often the epochs can be divided by eta with one left.

    >>> [divisions(epochs, 3) for epochs in (1, 2, 3, 8, 9, 81)]
    [0, 0, 1, 1, 2, 4]
    """
    count = 0
    while epochs >= eta:
        epochs //= eta
        count += 1
    return count


def bracket_sizes(s_max: int, eta: int) -> tuple[int, ...]:
    """How many architectures each bracket starts, from bracket s_max down to bracket 0.

    >>> bracket_sizes(4, 3)
    (81, 34, 15, 8, 5)
    """
    return tuple(-(-(s_max + 1) * eta**s // (s + 1)) for s in range(s_max, -1, -1))


def _settled(engine: Rungs, bracket: RungsState) -> Proposal | None:
    """The promotion that is due from the lowest rung that has one, where nothing more will come to that rung before."""
    for level in range(engine.entry, engine.top):
        if any(item.level == level for item in bracket.running):
            return None
        if engine.due(bracket, level):
            return engine.promote(bracket, level, level + 1)
    return None


def _in_bracket(proposal: Proposal, bracket: int) -> Proposal:
    return msgspec.structs.replace(proposal, why={**proposal.why, "bracket": bracket})
