"""The contracts between the layers: what a space, a strategy and an evaluator promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec
import numpy as np

from archwright.problem.records import Architecture, Measurement, Proposal, Signature, Trial

if TYPE_CHECKING:
    from archwright.problem.problem import Problem


class Cost(msgspec.Struct, frozen=True):
    """What a network costs, for one sample.

    Attributes:
        params: Trainable parameters.
        flops: Floating-point operations of one forward pass (two for each multiply-add).
        activation_bytes: Bytes of all intermediate results of one forward pass in float32, as kept for the backward pass.
    """

    params: int
    flops: int
    activation_bytes: int

    def as_dict(self) -> dict[str, float]:
        """The costs as metric values."""
        return {
            "params": float(self.params),
            "flops": float(self.flops),
            "activation_bytes": float(self.activation_bytes),
        }


class GraphLike(Protocol):
    """What the layers above need of a graph without importing it."""

    @property
    def fingerprint(self) -> str:
        """Hash of the function family: equal for isomorphic graphs."""

    @property
    def cost(self) -> Cost:
        """Parameters, FLOPs and activation memory."""


@runtime_checkable
class Space(Protocol):
    """A set of architectures that can be drawn from, varied and turned into graphs."""

    @property
    def name(self) -> str:
        """Name for people, for example ``"cnn"``."""

    @property
    def size(self) -> int:
        """Exact number of architectures."""

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws an architecture."""

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A different architecture that differs in one choice (and in those it activates)."""

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """An architecture that takes each choice from one of two parents."""

    def neighbours(self, architecture: Architecture) -> Iterator[Architecture]:
        """All architectures one choice away."""

    def encode(self, architecture: Architecture) -> np.ndarray:
        """A float vector of fixed length: one-hot by choice, zeros where a choice is inactive."""

    def describe(self, architecture: Architecture) -> tuple[tuple[str, str], ...]:
        """The choices for people: ``(address, label of the option)``."""

    def validate(self, architecture: Architecture) -> None:
        """Raises ``ArchitectureError`` where the architecture does not belong to the space."""

    def graph(self, architecture: Architecture, signature: Signature) -> GraphLike:
        """The network that the choices denote."""


class ChoiceLike(Protocol):
    """One choice of a space."""

    @property
    def address(self) -> str:
        """Where it is: its name in an architecture."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The options, for people."""


@runtime_checkable
class ChoiceSpace(Space, Protocol):
    """A space whose architectures are made choice by choice: every expression is one."""

    def choices(self) -> Sequence[ChoiceLike]:
        """Every choice there can be, in the order in which they are made."""

    def fill(self, pick: Callable[[str, int], int]) -> Architecture:
        """The architecture for which ``pick(address, options)`` makes every active choice, asked in order."""

    def architectures(self) -> Iterator[Architecture]:
        """Every architecture, each once, in a fixed order."""


class Strategy(Protocol):
    """A pure search strategy; its state is the fold of ``tell`` over the trials.

    A state is immutable: ``tell`` returns a new one. ``tell`` hears of each trial when it starts (status ``running``), at each measurement
    (``running`` with one more measurement), and when it is done. ``ask`` only reads; asking again is batching: the caller tells the pending
    trial before it asks for the next.

    A strategy may also have a method ``stop(state, problem) -> tuple[tuple[int, str], ...]``: which running trials to end now, each with the
    reason. Like ``ask`` it only reads. It is called after every measurement; a trial that it names ends with the status ``stopped`` and what it
    has measured so far, and its network is not tried again at that fidelity.

    And a method ``highest(state, problem) -> Fidelity | None``: what those trials are trained with that its answer will be chosen from, where that is not the
    full fidelity; ``None`` before it knows. The control is trained alike.

    And a method ``answer(state, problem) -> int | None``: the trial whose network it would answer with; ``None`` leaves that to the scores.
    """

    @property
    def name(self) -> str:
        """Name as users type it, for example ``"evolution"``."""

    def init(self, problem: Problem) -> Any:
        """The state before any trial."""

    def tell(self, state: Any, problem: Problem, trial: Trial) -> Any:
        """The state after hearing of a trial."""

    def ask(self, state: Any, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """The next proposal, or ``None``: nothing until another ``tell``."""


class Evaluator(Protocol):
    """Measures a proposal. Any function of this form is one."""

    def __call__(
        self, proposal: Proposal, problem: Problem, seed: int
    ) -> Iterator[Measurement] | Measurement | Mapping[str, float] | float:
        """Yields measurements, the last one final; a plain function may return one measurement, a mapping of metrics or one number."""
