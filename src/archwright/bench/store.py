"""The ledger of benchmarks: one durable record for each search."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from archwright import __version__
from archwright.bench.run import Trajectory
from archwright.errors import LedgerError

DEFAULT_STORE: Final = "archwright-bench"

_meta = sa.MetaData()
_results = sa.Table(
    "results",
    _meta,
    sa.Column("suite", sa.Text, primary_key=True),
    sa.Column("case", sa.Text, primary_key=True),
    sa.Column("strategy", sa.Text, primary_key=True),
    sa.Column("budget", sa.Text, primary_key=True),
    sa.Column("workers", sa.Integer, primary_key=True),
    sa.Column("data", sa.Text, primary_key=True),
    sa.Column("seed", sa.Integer, primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("trajectory", sa.LargeBinary, nullable=False),
)


class Setting(msgspec.Struct, frozen=True):
    """What searches have in common that differ in their seed only.

    Attributes:
        suite: Name of the suite.
        case: Name of its case.
        strategy: The strategy with its options.
        budget: What a search may spend.
        workers: Evaluations at once.
        data: Digest of the table's columns that count; of generated tables and of training: empty.
    """

    suite: str
    case: str
    strategy: str
    budget: str
    workers: int = 1
    data: str = ""


def default_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the benchmarks: the one given, else ``$ARCHWRIGHT_BENCH``, else ``archwright-bench`` here."""
    return Path(folder or os.environ.get("ARCHWRIGHT_BENCH") or DEFAULT_STORE)


class BenchStore:
    """The records of a folder, in its ``bench.db``.

    Args:
        folder: The folder.
        create: Make it where it does not exist; else a missing one is an error.

    Raises:
        LedgerError: Where it is missing, or cannot be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, create: bool = True) -> None:
        self.folder = default_folder(folder)
        if not create and not (self.folder / "bench.db").exists():
            raise LedgerError(
                f"There are no benchmarks in {self.folder} yet. Run one: archwright bench run synthetic --seeds 20"
            )
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(f"sqlite:///{self.folder / 'bench.db'}", connect_args={"timeout": 60})
            _meta.create_all(self._engine)

    def add(self, records: Iterable[tuple[Setting, int, str, Trajectory]]) -> None:
        """Records searches, all of them or none; what is known of the same setting and seed is replaced.

        Args:
            records: Setting, seed, digest of the strategy's code, and what the search did.

        Raises:
            LedgerError: Where they cannot be written.
        """
        rows = [
            {
                **msgspec.structs.asdict(setting),
                "seed": seed,
                "code": code,
                "version": __version__,
                "at": time.time(),
                "trajectory": zlib.compress(msgspec.msgpack.encode(trajectory)),
            }
            for setting, seed, code, trajectory in records
        ]
        with self._explained(), self._engine.begin() as connection:
            connection.execute(insert(_results).prefix_with("OR REPLACE"), rows)

    def done(self, setting: Setting, code: str | None = None) -> set[int]:
        """Seeds that are recorded; only those run by this code of the strategy, where it is given."""
        wanted = _where(setting) if code is None else sa.and_(_where(setting), _results.c.code == code)
        with self._explained(), self._engine.connect() as connection:
            return set(connection.scalars(sa.select(_results.c.seed).where(wanted)))

    def read(self, setting: Setting) -> dict[int, Trajectory]:
        """Seed to what its search did, by seed."""
        query = sa.select(_results.c.seed, _results.c.trajectory).where(_where(setting)).order_by(_results.c.seed)
        with self._explained(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return {row.seed: msgspec.msgpack.decode(zlib.decompress(row.trajectory), type=Trajectory) for row in rows}

    def settings(self, suite: str) -> list[Setting]:
        """Every setting of a suite of which there is a record, the oldest first."""
        columns = [_results.c[name] for name in Setting.__struct_fields__]
        query = (
            sa.select(*columns).where(_results.c.suite == suite).group_by(*columns).order_by(sa.func.min(_results.c.at))
        )
        with self._explained(), self._engine.connect() as connection:
            return [Setting(*row) for row in connection.execute(query).all()]

    def close(self) -> None:
        """Lets go of the file."""
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, OSError) as error:
            cause: Any = getattr(error, "orig", None) or error
            raise LedgerError(
                f"The benchmarks' store in {self.folder} cannot be used: {cause}. Choose another folder with --store."
            ) from error


def _where(setting: Setting) -> sa.ColumnElement[bool]:
    return sa.and_(*(_results.c[name] == value for name, value in msgspec.structs.asdict(setting).items()))
