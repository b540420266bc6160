"""What a suite is made of: searches on tables, searches that train, and contests of whole methods."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

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


class Files(msgspec.Struct, frozen=True):
    """Where the methods of a contest find the rows.

    Attributes:
        train: An ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``, or a CSV file of
            the training rows.
        test: CSV file of the test rows; empty for pictures.
        target: Column to predict; empty for pictures.
        kind: ``classification`` or ``regression``.
        source: The data set as archwright reads it; empty for ``train``.
    """

    train: str
    test: str = ""
    target: str = ""
    kind: str = "classification"
    source: str = ""


Prepare = Callable[[str | None, Path], Files]
"""From the folder of the data and a folder to write to, to the files of a contest."""


@dataclasses.dataclass(frozen=True, eq=False)
class ContestCase:
    """Whole methods, a search being one, on the same rows, cores and minutes.

    Attributes:
        name: For people, and in records.
        prepare: Gives the files.
        modality: ``image`` or ``tabular``: which methods there are.
        metric: The score on the test rows that is reported, more being better.
        budgets: Times that a method gets, everything included.
        methods: Methods that are run by default.
        reference: The method that others are compared with.
        options: Options of methods that suit the data: name to options.
    """

    name: str
    prepare: Prepare
    modality: str
    metric: str
    budgets: tuple[Budget, ...]
    methods: tuple[str, ...]
    reference: str
    options: Mapping[str, Mapping[str, bool]] = dataclasses.field(default_factory=dict)


Case = TableCase | TrainingCase | ContestCase


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

    @property
    def is_contest(self) -> bool:
        """Whether it compares whole methods and not strategies only."""
        return bool(self.cases) and all(isinstance(case, ContestCase) for case in self.cases)

    def case(self, name: str | None = None) -> Case:
        """A case by its name, or the first.

        Raises:
            BudgetError: Where there is none of that name.
        """
        found = {case.name: case for case in self.cases}
        if name is not None and name not in found:
            raise BudgetError(f"The suite {self.name!r} has no case {name!r}. {closest(name, found)}")
        return self.cases[0] if name is None else found[name]
