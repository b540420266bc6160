"""Tables of architectures and results: a space whose networks are known, and an evaluator that looks results up."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np

from archwright.errors import DataError, EvaluationError
from archwright.problem import Architecture, Cost, Measurement, Problem, Proposal, Signature
from archwright.space import Space
from archwright.space.expression import Expression

NO_COST: Final = Cost(0, 0, 0)
Choices = tuple[tuple[str, int], ...]


class Row(msgspec.Struct, frozen=True):
    """What a table knows of a network without building it.

    Attributes:
        fingerprint: Equal for rows that count as the same network.
        cost: Parameters, FLOPs and activation memory.
    """

    fingerprint: str
    cost: Cost = NO_COST


class TableSpace(Space):
    """The space of a table: as any space, but its graphs are the table's rows, so that none is built.

    Args:
        expression: What the networks are made of.
        name: For people.
        architectures: The choices of each row.
        rows: What is known of each; default: all are different, and cost nothing.

    Raises:
        DataError: Where a row is listed twice.
    """

    def __init__(
        self, expression: Expression, name: str, architectures: Iterable[Choices], rows: Sequence[Row] | None = None
    ) -> None:
        super().__init__(expression, name)
        self.index: dict[Choices, int] = {choices: row for row, choices in enumerate(architectures)}
        self.rows = rows if rows is not None else [Row(Architecture(choices).id) for choices in self.index]
        if len(self.rows) != len(self.index):
            raise DataError(
                f"Got {len(self.rows):,} rows for {len(self.index):,} different architectures of the table {name!r}; expected each once."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.expression, self.name, tuple(self.index), self.rows)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and isinstance(other, TableSpace) and self.index.keys() == other.index.keys()

    __hash__ = Space.__hash__

    def row(self, architecture: Architecture) -> int:
        """The row of an architecture.

        Raises:
            EvaluationError: Where the table has none.
        """
        found = self.index.get(architecture.choices)
        if found is None:
            raise EvaluationError(
                f"The table {self.name!r} has no row for {dict(architecture.choices)}; it has {len(self.index):,} of the {self.size:,} architectures of its space."
            )
        return found

    def validate(self, architecture: Architecture) -> None:
        """Checks that an architecture belongs to the space.

        Raises:
            ArchitectureError: Where a choice is missing, unknown, inactive, out of range or out of order.
        """
        if architecture.choices not in self.index:
            super().validate(architecture)

    def graph(self, architecture: Architecture, signature: Signature) -> Row:  # type: ignore[override]
        """What the table knows of the network; of one that it lacks, its id alone."""
        row = self.index.get(architecture.choices)
        return self.rows[row] if row is not None else Row(architecture.id)

    @cached_property
    def classes(self) -> np.ndarray:
        """For each row the number of its fingerprint, ``(rows,)``; rows with equal numbers are equal networks."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(row.fingerprint, len(numbers)) for row in self.rows])


@dataclasses.dataclass(frozen=True)
class Table:
    """Results of architectures, one row each.

    Attributes:
        space: Where the architectures are from; knows which row is whose.
        columns: Name to results, ``(rows,)`` each. Accuracies are shares of 1, times are seconds, latencies milliseconds. NaN where unknown.
        source: Where the results are from, for people.
        signature: Input shapes and output sizes of the networks.
    """

    space: TableSpace
    columns: Mapping[str, np.ndarray]
    source: str = ""
    signature: Signature = Signature(((3, 32, 32),), (10,))

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            if column.shape != (len(self),):
                raise DataError(
                    f"Got the column {name!r} of shape {column.shape} for the table {self.space.name!r}; expected ({len(self)},)."
                )

    def __len__(self) -> int:
        return len(self.space.index)

    def column(self, name: str) -> np.ndarray:
        """A column.

        Raises:
            DataError: Where there is none of that name.
        """
        if name not in self.columns:
            raise DataError(
                f"The table {self.space.name!r} has no column {name!r}; it has {', '.join(sorted(self.columns))}."
            )
        return self.columns[name]

    @cached_property
    def _ids(self) -> list[str]:
        return [Architecture(choices).id for choices in self.space.index]

    def by_id(self, columns: Mapping[str, str]) -> dict[str, dict[str, float]]:
        """Some results of each architecture, by its id.

        Args:
            columns: What to call them, to the column of each.

        Raises:
            DataError: Where there is no such column.
        """
        rows = zip(*(self.column(column).tolist() for column in columns.values()), strict=True)
        return {one: dict(zip(columns, row, strict=True)) for one, row in zip(self._ids, rows, strict=True)}

    def digest(self, names: Iterable[str]) -> str:
        """Hash of the architectures and of these columns: what results on the table depend on."""
        content = hashlib.sha256(repr(tuple(self.space.index)).encode())
        for name in sorted(set(names)):
            content.update(name.encode() + np.ascontiguousarray(self.column(name)).tobytes())
        return content.hexdigest()[:16]


class TableEvaluator:
    """Looks results up, and says that they took as long as the table does.

    Args:
        table: The results.
        metrics: Metric to the column that it is read from.
        seconds: Column with what an evaluation takes; ``None``: one second each.

    Raises:
        DataError: Where a column is missing.
    """

    def __init__(self, table: Table, metrics: Mapping[str, str], seconds: str | None = None) -> None:
        self.table = table
        self._metrics = [(metric, table.column(column)) for metric, column in metrics.items()]
        self._seconds = np.ones(len(table)) if seconds is None else table.column(seconds)
        if not (np.isfinite(self._seconds).all() and (self._seconds >= 0).all()):
            raise DataError(
                f"Got seconds that are negative or missing in the column {seconds!r} of the table {table.space.name!r}; expected finite numbers."
            )

    def __call__(self, proposal: Proposal, problem: Problem, seed: int) -> Measurement:
        """The measurement of the proposal's row.

        Raises:
            EvaluationError: Where the table lacks the architecture, or the fidelity is another than the problem's: a table knows one.
        """
        if proposal.fidelity is not None and proposal.fidelity != problem.fidelity:
            raise EvaluationError(
                f"Got {proposal.fidelity} for a table, which has results at full fidelity ({problem.fidelity}) only."
            )
        row = self.table.space.row(proposal.architecture)
        values = {metric: float(column[row]) for metric, column in self._metrics}
        return Measurement(values, problem.fidelity.epochs, float(self._seconds[row]))
