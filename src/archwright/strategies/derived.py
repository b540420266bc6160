"""Strategies that take what a supernet's picker settled on: gradient-based search and its kin."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import msgspec
import numpy as np

from archwright.problem import SUPERNET, Architecture, Problem, Proposal, Trial, purpose

State = tuple[tuple[Architecture, ...], frozenset[Architecture]]
"""What was derived, and what was proposed of it."""


@dataclasses.dataclass(frozen=True)
class Derived:
    """Proposes the architectures that the training of the shared weights settled on, the best first, and ends."""

    picker: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """As users type it."""
        return self.picker

    @property
    def evaluator(self) -> str:
        """The evaluator it needs, as users write it."""
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        options = ", ".join(f"{key}={value!r}" for key, value in given.items() if value != defaults[key])
        return f"supernet:{self.picker}" + (f"({options})" if options else "")

    def init(self, problem: Problem) -> State:
        """Nothing is derived."""
        return (), frozenset()

    def tell(self, state: State, problem: Problem, trial: Trial) -> State:
        """Notes what was derived, and what is proposed of it."""
        derived, proposed = state
        if purpose(trial) != SUPERNET:
            return derived, proposed | {trial.proposal.architecture}
        notes: dict[str, Any] = trial.final.notes.get(SUPERNET, {}) if trial.final else {}
        found = msgspec.convert(notes.get("derived", ()), tuple[tuple[tuple[str, int], ...], ...])
        return tuple(Architecture(choices) for choices in found), proposed

    def ask(self, state: State, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """The next that is not proposed yet."""
        derived, proposed = state
        for place, architecture in enumerate(derived):
            if architecture not in proposed:
                return Proposal(architecture, why={"by": self.name, "place": place + 1})
        return None


@dataclasses.dataclass(frozen=True)
class Darts(Derived):
    """Softmax over options, learned by gradient on held-out rows (DARTS). Liu et al. 2019, arXiv 1806.09055.

    Attributes:
        order: 1, or 2 to look one step of the weights ahead.
        early: Whether the choices stay as they were before a collapse into operations without weights.
    """

    picker: ClassVar[str] = "darts"

    order: int = 1
    early: bool = False


@dataclasses.dataclass(frozen=True)
class DartsPt(Derived):
    """DARTS, settled by which option the supernet can least do without (DARTS+PT). Wang et al. 2021, arXiv 2108.04392."""

    picker: ClassVar[str] = "darts-pt"


@dataclasses.dataclass(frozen=True)
class PcDarts(Derived):
    """DARTS on some of the channels, with weights for edges (PC-DARTS). Xu et al. 2020, arXiv 1907.05737.

    Attributes:
        channels: One of how many channels the operations see.
    """

    picker: ClassVar[str] = "pc-darts"

    channels: int = 4


@dataclasses.dataclass(frozen=True)
class Drnas(Derived):
    """Weights of options drawn from Dirichlet distributions that are learned (DrNAS). Chen et al. 2021, arXiv 2006.10355."""

    picker: ClassVar[str] = "drnas"


@dataclasses.dataclass(frozen=True)
class Gdas(Derived):
    """One option at a time, drawn with a gradient by Gumbel's maximum (GDAS). Dong and Yang 2019, arXiv 1910.04465."""

    picker: ClassVar[str] = "gdas"


@dataclasses.dataclass(frozen=True)
class Snas(Derived):
    """Relaxed samples, learned with the weights from one loss (SNAS). Xie et al. 2019, arXiv 1812.09926."""

    picker: ClassVar[str] = "snas"


@dataclasses.dataclass(frozen=True)
class Proxyless(Derived):
    """Binary gates, two paths at a time (ProxylessNAS). Cai et al. 2019, arXiv 1812.00332.

    Attributes:
        penalty: Weight of the expected latency (or without a latency table, FLOPs) in the loss of the gates.
    """

    picker: ClassVar[str] = "proxyless"

    penalty: float = 0.0


@dataclasses.dataclass(frozen=True)
class Enas(Derived):
    """An LSTM controller and shared weights learn in turns (ENAS). Pham et al. 2018, arXiv 1802.03268."""

    picker: ClassVar[str] = "controller"

    @property
    def name(self) -> str:
        """As users type it."""
        return "enas"
