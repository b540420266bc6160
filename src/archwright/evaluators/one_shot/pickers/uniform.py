"""Random paths."""

from __future__ import annotations

import dataclasses

from archwright.evaluators.one_shot.picker import Picker


@dataclasses.dataclass(eq=False)
class Uniform(Picker):
    """One path at random in each step (Li and Talwalkar 2019, arXiv 1902.07638; SPOS: Guo et al. 2020, arXiv 1904.00420)."""
