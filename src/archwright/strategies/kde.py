"""Two kernel densities over architectures: one of the good, one of the bad; their ratio says what to try next.

A density is a mixture with one component for each architecture that it is made of. A component is the way to draw an
architecture near that one: choice by choice, the same option with probability ``1 - bandwidth``, else one of the others
(Aitchison and Aitken 1976, Biometrika 63); at a choice that the architecture did not make, any option. So a component is
a distribution over the architectures of the space whatever choices depend on which, and it is drawn from by
:meth:`~archwright.problem.ChoiceSpace.fill`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from archwright.errors import StrategyError
from archwright.problem import Architecture, ChoiceSpace, Problem, Proposal, Trial
from archwright.strategies.common import at_least, sample_feasible, score_of

INACTIVE = -1
"""In place of an option: the choice was not made."""


class Observation(msgspec.Struct, frozen=True):
    """A result.

    Attributes:
        epochs: Epochs over all the training data that it was trained for.
        score: The first objective, more being better; minus infinity for a trial that failed or broke a constraint.
        params: Parameters, where they were measured; of equal scores that of the smaller network is better.
        trial: The trial.
        architecture: Its choices.
    """

    epochs: float
    score: float
    params: float
    trial: int
    architecture: Architecture


class KdeState(msgspec.Struct, frozen=True):
    """What the densities are made of.

    Attributes:
        observations: Results, in the order of completion.
        pending: Trials that are running, with their architectures.
    """

    observations: tuple[Observation, ...] = ()
    pending: tuple[tuple[int, Architecture], ...] = ()


@dataclasses.dataclass(frozen=True)
class Kde:
    """Kernel densities of good and bad architectures, as in BOHB. Falkner et al. 2018, arXiv 1807.01774.

    It looks at the highest fidelity that has ``d + 3`` results, ``d`` being the mean number of choices in an architecture.
    The best ``top`` of them, ``d + 1`` at least, make the density of the good, the others (again ``d + 1`` at least) that
    of the bad. Of ``samples`` architectures drawn from the good density, its bandwidths widened, the one with the highest
    ratio of good to bad is proposed, and with probability ``random``, or where there are too few results, a random draw.

    The bandwidth of a choice with c options in a density of n architectures is ``(c - 1) / (2 n + c)``, which gives the
    options the frequencies of the Krichevsky-Trofimov estimator: half an observation of each is added. (BOHB takes a rule
    for normal distributions on the options' numbers, which can exceed what the kernel allows.) A trial that failed, or
    broke a constraint, is a bad one.

    Attributes:
        samples: Architectures drawn for a proposal.
        top: Share of the results that are good.
        widen: Factor of the bandwidths for drawing.
        random: Probability of a random draw.
    """

    samples: int = 64
    top: float = 0.15
    widen: float = 3.0
    random: float = 1 / 3
    name = "kde"

    def __post_init__(self) -> None:
        at_least(self.name, "samples", self.samples, 1)
        if not (0 < self.top < 1 and 0 <= self.random <= 1 and self.widen >= 1):
            raise StrategyError(
                f"Got top={self.top}, random={self.random} and widen={self.widen}; expected a share in (0, 1), a probability "
                "and a factor of at least 1."
            )

    def init(self, problem: Problem) -> KdeState:
        """No observations.

        Raises:
            StrategyError: Where architectures of the space are not made choice by choice.
        """
        if not isinstance(problem.space, ChoiceSpace):
            raise StrategyError(
                f"The space {problem.space.name!r} does not make its architectures choice by choice, which kernel densities need. "
                "Use 'hyperband' or 'evolution', which run on any space."
            )
        return KdeState()

    def tell(self, state: KdeState, problem: Problem, trial: Trial) -> KdeState:
        """Notes a running trial, or takes in the result of one that is done; a reused result adds nothing."""
        pending = tuple(item for item in state.pending if item[0] != trial.id)
        if not trial.done:
            return KdeState(state.observations, (*pending, (trial.id, trial.proposal.architecture)))
        if trial.status not in ("finished", "failed"):
            return KdeState(state.observations, pending)
        score = score_of(problem, trial)
        found = Observation(
            (trial.proposal.fidelity or problem.fidelity).cost,
            -math.inf if score is None else score,
            trial.value("params") or 0.0,
            trial.id,
            trial.proposal.architecture,
        )
        return KdeState((*state.observations, found), pending)

    def ask(self, state: KdeState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """The best of the samples by the ratio of the densities, or a random draw.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        avoid = {item.architecture for item in state.observations} | {architecture for _, architecture in state.pending}
        chosen = modelled(state.observations)
        if chosen is None or rng.random() < self.random:
            return Proposal(sample_feasible(problem, rng, avoid=avoid), why={"by": "random"})
        for architecture, why in self._ranked(chosen, problem, rng):
            if architecture not in avoid and problem.feasible(architecture):
                return Proposal(architecture, why=why)
        reason = "no sample of the good density is new and satisfies the constraints"
        return Proposal(sample_feasible(problem, rng, avoid=avoid), why={"by": "random", "reason": reason})

    def _ranked(
        self, observations: Sequence[Observation], problem: Problem, rng: np.random.Generator
    ) -> Iterator[tuple[Architecture, dict[str, Any]]]:
        """Samples of the good density, the highest ratio of good to bad first, each with the reasons for it."""
        space: ChoiceSpace = problem.space  # type: ignore[assignment]
        good, bad = split(observations, self.top)
        options = {choice.address: len(choice.labels) for choice in space.choices()}
        likely, unlikely = Density(options, good), Density(options, bad)
        drawn = list(dict.fromkeys(likely.draw(space, rng, self.widen) for _ in range(self.samples)))
        ratios = likely.log(drawn) - unlikely.log(drawn)
        about = {"by": "density", "good": len(good), "bad": len(bad), "epochs": observations[0].epochs}
        for place in np.argsort(-ratios, kind="stable").tolist():
            yield drawn[place], {**about, "log_ratio": round(float(ratios[place]), 4)}


def least(observations: Sequence[Observation]) -> int:
    """N_min: architectures that a density is made of at least, one more than an architecture has choices on average."""
    return round(sum(len(item.architecture.choices) for item in observations) / len(observations)) + 1


def modelled(observations: Sequence[Observation]) -> list[Observation] | None:
    """The results of the highest fidelity that has N_min + 2 of them; ``None`` where none has."""
    for epochs in sorted({item.epochs for item in observations}, reverse=True):
        found = [item for item in observations if item.epochs == epochs]
        if len(found) >= least(found) + 2:
            return found
    return None


def split(observations: Sequence[Observation], top: float) -> tuple[list[Architecture], list[Architecture]]:
    """The good and the bad: the best share ``top`` and the others, N_min each at least, so that few may be both."""
    ranked = sorted(observations, key=lambda item: (-item.score, item.params, item.trial))
    fewest, count = least(observations), len(observations)
    good = max(fewest, round(top * count))
    bad = max(fewest, count - good)
    architectures = [item.architecture for item in ranked]
    return architectures[:good], architectures[-bad:]


class Density:
    """A mixture over architectures, one component for each that it is made of.

    Args:
        options: Number of options of each choice that there can be, by address.
        architectures: What it is made of, at least one.
    """

    def __init__(self, options: dict[str, int], architectures: Sequence[Architecture]) -> None:
        self.architectures = [dict(architecture.choices) for architecture in architectures]
        counts = np.array(list(options.values()))
        bandwidths = (counts - 1) / (2 * len(architectures) + counts)
        self._bandwidths = dict(zip(options, bandwidths.tolist(), strict=True))
        starts = np.cumsum([0, *counts[:-1]])
        self._first = dict(zip(options, starts.tolist(), strict=True))
        codes = np.array([[choices.get(address, INACTIVE) for address in options] for choices in self.architectures])
        changed = np.log(np.where(counts > 1, bandwidths / np.maximum(counts - 1, 1), 1.0))
        logs = np.where(codes == INACTIVE, -np.log(counts), changed)
        self._logs = np.repeat(logs, counts, axis=1)
        rows, places = np.nonzero(codes != INACTIVE)
        self._logs[rows, starts[places] + codes[rows, places]] = np.log1p(-bandwidths[places])

    def draw(self, space: ChoiceSpace, rng: np.random.Generator, widen: float = 1.0) -> Architecture:
        """An architecture drawn from a component taken at random, its bandwidths multiplied by ``widen`` (to uniform at most)."""
        centre = self.architectures[rng.integers(len(self.architectures))]

        def pick(address: str, count: int) -> int:
            kept = centre.get(address)
            if kept is None or count == 1:
                return int(rng.integers(count))
            bandwidth = min(widen * self._bandwidths[address], (count - 1) / count)
            return kept if rng.random() >= bandwidth else (kept + 1 + int(rng.integers(count - 1))) % count

        return space.fill(pick)

    def log(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """The logarithm of the density at each architecture."""
        taken = np.zeros((len(architectures), self._logs.shape[1]))
        for row, architecture in zip(taken, architectures, strict=True):
            row[[self._first[address] + option for address, option in architecture.choices]] = 1.0
        components = taken @ self._logs.T
        top = components.max(axis=1, keepdims=True)
        logs: NDArray[np.float64] = top[:, 0] + np.log(np.exp(components - top).mean(axis=1))
        return logs
