"""Toy spaces, problems and evaluators: a known optimum, learning curves, failures; milliseconds, and no torch."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from archwright.errors import ArchitectureError, EvaluationError
from archwright.problem import Architecture, Budget, Cost, Measurement, Objective, Problem, Proposal, Signature


@dataclasses.dataclass(frozen=True)
class ToyGraph:
    """What a toy architecture denotes: a fingerprint and a cost.

    Attributes:
        fingerprint: Equal for architectures that count as the same function.
        cost: Its parameters grow with the options taken.
    """

    fingerprint: str
    cost: Cost


@dataclasses.dataclass(frozen=True)
class ToyChoice:
    """A choice of a toy space: its address and the labels of its options."""

    address: str
    labels: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ToySpace:
    """A fixed list of choices.

    Attributes:
        options: Number of options of each choice.
        name: Name for people.
        twins: Whether architectures that differ in the order of the first two choices only are the same function.
    """

    options: tuple[int, ...] = (5, 5, 5, 5, 5, 5)
    name: str = "toy"
    twins: bool = False

    @property
    def size(self) -> int:
        """Product of the numbers of options."""
        return math.prod(self.options)

    def architecture(self, *taken: int) -> Architecture:
        """The architecture of these options."""
        return Architecture(tuple((f"choice{index}", int(option)) for index, option in enumerate(taken)))

    def sample(self, rng: np.random.Generator, *, uniform: bool = False) -> Architecture:
        """Uniform over architectures, either way."""
        return self.architecture(*rng.integers(self.options).tolist())

    def choices(self) -> tuple[ToyChoice, ...]:
        """The choices in order; options are labelled with the letters of the alphabet."""
        return tuple(
            ToyChoice(f"choice{index}", tuple(chr(ord("a") + option) for option in range(count)))
            for index, count in enumerate(self.options)
        )

    def fill(self, pick: Callable[[str, int], int]) -> Architecture:
        """The architecture that a function chooses."""
        return self.architecture(*[pick(f"choice{index}", count) for index, count in enumerate(self.options)])

    def architectures(self) -> Iterator[Architecture]:
        """Every architecture, in order."""
        return (self.architecture(*taken) for taken in itertools.product(*map(range, self.options)))

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Another option of one choice."""
        free = [index for index, count in enumerate(self.options) if count > 1]
        if not free:
            raise ArchitectureError(
                f"The space {self.name!r} has one architecture only; expected two or more to mutate."
            )
        index = free[rng.integers(len(free))]
        taken = [option for _, option in architecture.choices]
        taken[index] = (taken[index] + 1 + int(rng.integers(self.options[index] - 1))) % self.options[index]
        return self.architecture(*taken)

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Each choice from either parent."""
        pairs = zip(first.choices, second.choices, strict=True)
        return self.architecture(*[(one if rng.random() < 0.5 else other)[1] for one, other in pairs])

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """Every other option of every choice."""
        taken = [option for _, option in architecture.choices]
        for index, count in enumerate(self.options):
            for option in range(count):
                if option != taken[index]:
                    yield self.architecture(*taken[:index], option, *taken[index + 1 :])

    def encode(self, architecture: Architecture) -> np.ndarray:
        """One-hot by choice."""
        taken = zip(self.options, architecture.choices, strict=True)
        return np.concatenate([np.eye(count)[option] for count, (_, option) in taken])

    def describe(self, architecture: Architecture) -> tuple[tuple[str, str], ...]:
        """Labels are the letters of the alphabet."""
        return tuple((address, chr(ord("a") + option)) for address, option in architecture.choices)

    def validate(self, architecture: Architecture) -> None:
        """Checks the addresses and the options.

        Raises:
            ArchitectureError: Where it does not belong to the space.
        """
        addresses = tuple(address for address, _ in architecture.choices)
        expected = tuple(f"choice{index}" for index in range(len(self.options)))
        fits = addresses == expected and all(
            0 <= option < count for (_, option), count in zip(architecture.choices, self.options, strict=True)
        )
        if not fits:
            raise ArchitectureError(
                f"Got {architecture.choices}; expected the choices {expected} of {self.options} options."
            )

    def graph(self, architecture: Architecture, signature: Signature) -> ToyGraph:
        """1,000 parameters for each choice, and as many for each step up in its options."""
        taken = [option for _, option in architecture.choices]
        params = 1000 * sum(1 + option for option in taken)
        same = sorted(taken[:2]) + taken[2:] if self.twins else taken
        return ToyGraph("-".join(map(str, same)), Cost(params, 2 * params, 4 * params))

    def value(self, architecture: Architecture) -> float:
        """The true value in [0, 1]: 1 for the optimum, where choice i takes option 2i+1 modulo its number of options."""
        distances = [
            abs(option - (2 * index + 1) % count) / max(1, count - 1)
            for index, ((_, option), count) in enumerate(zip(architecture.choices, self.options, strict=True))
        ]
        return 1.0 - sum(distances) / len(distances)


@dataclasses.dataclass(frozen=True)
class ToyEvaluator:
    """Learning curves that rise to the toy space's true value, one measurement each epoch, with a simulated clock.

    Attributes:
        noise: Standard deviation of each measurement.
        half: Epochs after which half of the value is reached.
        start: Simulated seconds before the first epoch.
        epoch: Simulated seconds of an epoch.
        failing: Share of the trials that fail after half of their epochs.
        broken: Share of the trials that report NaN, or nothing.
    """

    noise: float = 0.0
    half: float = 2.0
    start: float = 0.1
    epoch: float = 0.1
    failing: float = 0.0
    broken: float = 0.0

    def __call__(self, proposal: Proposal, problem: Any, seed: int) -> Iterator[Measurement]:
        """Yields a measurement for each epoch.

        Raises:
            EvaluationError: In a share ``failing`` of the trials.
        """
        rng = np.random.default_rng(seed)
        luck = rng.random()
        value = problem.space.value(proposal.architecture)
        params = float(problem.graph(proposal.architecture).cost.params)
        first = int(proposal.resume.rpartition("@")[2]) if proposal.resume is not None else 0
        last = (proposal.fidelity or problem.fidelity).epochs
        for epoch in range(first + 1, last + 1):
            reached = value * (1.0 - 0.5 ** (epoch / self.half)) + self.noise * rng.standard_normal()
            if luck < self.failing and epoch >= (first + last) / 2:
                raise EvaluationError("The toy trial diverged, as it was told to.")
            values = {"accuracy": reached, "params": params}
            if self.failing <= luck < self.failing + self.broken:
                values = {"accuracy": math.nan} if luck < self.failing + self.broken / 2 else {}
            seconds = self.start + (epoch - first) * self.epoch
            artifacts = {"checkpoint": f"{proposal.architecture.id}@{epoch}"}
            yield Measurement(values, epoch, seconds, artifacts)


def toy_problem(space: ToySpace | None = None, **settings: Any) -> Problem:
    """A problem on a toy space; the settings are those of :class:`~archwright.problem.Problem`."""
    given = {"objectives": (Objective("accuracy"),), "budget": Budget(trials=100), **settings}
    return Problem(space or ToySpace(), Signature(((1, 8, 8),), (10,)), **given)
