"""Known networks instead of a search: the references that a space names."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np

from archwright.errors import StrategyError, closest
from archwright.problem import Architecture, Fidelity, Problem, Proposal, Trial

PROBE = 0.1
"""Largest share of the training data that a lone reference sees before its final training."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """Known networks and no search; such controls are asked for by Yang et al. 2020, arXiv 1912.12522.

    The answer is what a user gets who takes a network that is known to be good. A
    lone reference is measured after one epoch on a share of the data, so that its final training has
    nearly all of the time. Several are trained at the full fidelity and compared.

    Attributes:
        which: ``first``, ``all`` (in the order of ``space.references``), or the name of one.
    """

    which: str = "first"
    name = "reference"

    def init(self, problem: Problem) -> int:
        """Return the number of references proposed so far, 0.

        Raises:
            StrategyError: If the space names no such reference, or all break the constraints.
        """
        self._chosen(problem)
        return 0

    def tell(self, state: int, problem: Problem, trial: Trial) -> int:
        """Count a reference that starts."""
        position = trial.proposal.why.get("position")
        return max(state, position + 1) if isinstance(position, int) else state

    def ask(self, state: int, problem: Problem, rng: np.random.Generator) -> Proposal | None:
        """Return the next reference, or ``None`` after the last."""
        chosen = self._chosen(problem)
        if state >= len(chosen):
            return None
        name, architecture = chosen[state]
        why = {"by": "reference", "reference": name, "position": state}
        proposal = Proposal(architecture, why=why)
        if len(chosen) > 1:
            return proposal
        fidelity = Fidelity(1, min(PROBE, problem.fidelity.share))
        return msgspec.structs.replace(proposal, fidelity=fidelity)

    def _chosen(self, problem: Problem) -> list[tuple[str, Architecture]]:
        references: dict[str, Architecture] = getattr(problem.space, "references", {})
        if not references:
            raise StrategyError(
                f"The space {problem.space.name!r} names no references. Give it some, "
                "Space(expression, references={...}), or search with another strategy."
            )
        if self.which not in ("first", "all", *references):
            raise StrategyError(
                f"The space {problem.space.name!r} has no reference {self.which!r}. "
                f"{closest(self.which, references)} Or 'first', or 'all'."
            )
        wanted = {self.which} if self.which in references else set(references)
        feasible = [(name, made) for name, made in references.items() if name in wanted and problem.feasible(made)]
        if not feasible:
            raise StrategyError(
                f"None of the references {', '.join(sorted(wanted))} of the space "
                f"{problem.space.name!r} keeps the constraints "
                f"({', '.join(map(str, problem.constraints))}). Relax them, or search with another strategy."
            )
        return feasible[:1] if self.which == "first" else feasible
