"""What a suite is made of: searches on tables, and searches that train."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from archwright.bench.table import Table
from archwright.errors import BudgetError, closest
from archwright.problem import Budget, Fidelity, Objective

Loader = Callable[[str | None, int], Table]
"""From the folder of the data (``None``: ``ARCHWRIGHT_TABLES``) and the seed of a search to its table."""


@dataclasses.dataclass(frozen=True)
class TableCase:
    """One search of a suite, on a table.

    Attributes:
        name: For people, and in records.
        load: Gives the table.
        metrics: What a strategy sees: metric to column.
        report: What is reported of the network chosen so far: name to column. No strategy sees these.
        budget: What a search may spend.
        checkpoints: Evaluations after which results are reported, besides the end. Where a search made fewer, its last counts.
        objectives: What a strategy maximises or minimises.
        seconds: Column of what an evaluation takes; ``None``: a second each.
        equal_free: Whether proposing a network that is equal to a known one costs nothing; else it is paid for again.
        reference: Where there are several objectives: the point that bounds the hypervolume of the front, one value for each; ``report`` then has
            a column for each objective, by the name of its metric.
        fidelity: The one fidelity that the table has.
        zero_cost: Scores that a strategy may look up before it proposes: name to column.
    """

    name: str
    load: Loader
    metrics: Mapping[str, str]
    report: Mapping[str, str]
    budget: Budget
    checkpoints: tuple[int, ...] = ()
    objectives: tuple[Objective, ...] = (Objective("accuracy"),)
    seconds: str | None = None
    equal_free: bool = True
    reference: tuple[float, ...] = ()
    fidelity: Fidelity = Fidelity()
    zero_cost: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class TrainingCase:
    """One search of a suite that trains networks, by ``archwright.search``.

    Attributes:
        name: For people, and in records.
        data: The data set.
        space: What is searched.
        budget: What a search may spend, the final training and the test included.
    """

    name: str
    data: str
    space: str
    budget: Budget


Case = TableCase | TrainingCase


@dataclasses.dataclass(frozen=True)
class Suite:
    """Searches that belong together.

    Attributes:
        name: As users type it.
        about: What is compared, in a sentence or two.
        cases: The searches.
    """

    name: str
    about: str
    cases: tuple[Case, ...]

    def case(self, name: str | None = None) -> Case:
        """A case by its name, or the first.

        Raises:
            BudgetError: Where there is none of that name.
        """
        found = {case.name: case for case in self.cases}
        if name is not None and name not in found:
            raise BudgetError(f"The suite {self.name!r} has no case {name!r}. {closest(name, found)}")
        return self.cases[0] if name is None else found[name]
