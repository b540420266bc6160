"""A task: a data set made ready for networks, in three splits."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from archwright.errors import DataError
from archwright.problem import Shape, Signature
from archwright.tasks import preprocess as standalone

Kind = Literal["classification", "regression"]
Modality = Literal["image", "tabular", "text"]

METRICS: dict[str, tuple[str, ...]] = {
    "classification": ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"),
    "regression": ("r2", "mae", "rmse"),
    "text": ("perplexity", "accuracy", "log_loss"),
}
"""The metrics of each kind of task, and of texts, which are classified symbol by symbol; the first is the default objective."""


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Rows of a task.

    Attributes:
        x: Inputs, float32 ``(n, *shape)``, preprocessed; of a text windows of symbols' numbers ``(n, steps)``.
        y: Targets, shape ``(n,)``: int64 class numbers, or float32 standardised values; of a text the number of the next symbol at each position,
            int64 ``(n, steps)``.
    """

    x: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclasses.dataclass(frozen=True, eq=False)
class Meta:
    """What is known of a task besides its rows.

    Attributes:
        name: The task's name.
        kind: ``classification`` or ``regression``.
        modality: ``image``, ``tabular`` or ``text``.
        signature: Input shape and number of outputs.
        classes: Names of the classes in the order of their numbers (sorted); empty for regression.
        metrics: Names of the metrics.
        objective: The default objective's metric.
        augment: Which changes of an image keep its class: ``crop`` (small shifts), ``flip`` (left to right).
        target_mean: Mean of the training targets, which ``y`` was reduced by; 0 for classification.
        target_std: Their standard deviation, which ``y`` was divided by; 1 for classification. :func:`~archwright.tasks.metrics` takes it
            as ``scale``.
        data_hash: Hash of the raw content of all splits, equal across processes, machines and places of the files.
    """

    name: str
    kind: Kind
    modality: Modality
    signature: Signature
    classes: tuple[str, ...]
    metrics: tuple[str, ...]
    objective: str
    augment: tuple[str, ...]
    target_mean: float
    target_std: float
    data_hash: str

    @property
    def shape(self) -> Shape:
        """Shape of one input: ``(channels, height, width)``, ``(features,)`` or ``(steps,)``."""
        return self.signature.inputs[0]


@dataclasses.dataclass(frozen=True, eq=False)
class Splits(Meta):
    """What the search sees of a task: everything but the test rows.

    Attributes:
        train: What networks learn from; every statistic of the preprocessing comes from these rows alone.
        valid: What candidates are measured on.
    """

    train: Split
    valid: Split


@dataclasses.dataclass(frozen=True, eq=False)
class Task(Splits):
    """A data set made ready for networks. All of it lies in memory as float32, images as normalised ``(n, C, H, W)``.

    Attributes:
        test: Touched once, by the final networks.
        preprocess: JSON-able record that turns raw input into ``x`` and outputs into answers (:mod:`archwright.tasks.preprocess`).
        seed: Seed of the split.
        warnings: What a careful person should look at before trusting a result.
    """

    test: Split
    preprocess: dict[str, Any]
    seed: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def default_space(self) -> str:
        """Name of the space that suits the task."""
        return {"image": "cnn", "tabular": "mlp", "text": "rnn-cell"}[self.modality]

    def apply(self, raw: Any) -> np.ndarray:
        """New raw inputs as the network takes them, float32 ``(n, *shape)``.

        Raises:
            DataError: Where they do not fit the task.
        """
        try:
            return standalone.apply(self.preprocess, raw)
        except (ValueError, TypeError, OSError) as error:
            raise DataError(f"These inputs do not fit the task {self.name!r}: {error}") from error

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """A network's outputs as answers: names of classes, or values in the target's own units."""
        return standalone.predictions(self.preprocess, outputs)

    def describe(self) -> tuple[tuple[str, str], ...]:
        """The task for people, as rows of ``(what, value)``."""
        text = self.modality == "text"
        rows = [
            ("name", self.name),
            ("task", "the next symbol of a text" if text else f"{self.modality} {self.kind}"),
            (
                "windows" if text else "rows",
                f"{len(self.train):,} train, {len(self.valid):,} validation, {len(self.test):,} test",
            ),
            ("input", " x ".join(map(str, self.shape)) + (" symbols" if text else "")),
        ]
        if self.kind == "classification":
            shown = [standalone.shown(name) for name in self.classes]
            counts = np.bincount(self.train.y.ravel())
            share = counts.max() / counts.sum()
            rows += [
                ("classes", f"{len(shown)}: {', '.join(shown[:10])}" + (", ..." if len(shown) > 10 else "")),
                ("largest class", f"{share:.1%} of the training {'symbols' if text else 'rows'}"),
            ]
        else:
            rows += [("target", f"mean {self.target_mean:.4g}, standard deviation {self.target_std:.4g}")]
        rows += [("metrics", ", ".join(self.metrics)), ("hash", self.data_hash[:12])]
        return (*rows, *((f"warning {i}", warning) for i, warning in enumerate(self.warnings, start=1)))

    def store(self, folder: str | os.PathLike[str]) -> Path:
        """Writes train and validation (never the test rows) for worker processes to map; see :func:`open_splits`.

        A folder that already holds these very splits is left as it is.

        Raises:
            DataError: Where it cannot be written.
        """
        target = Path(folder)
        meta = {field.name: getattr(self, field.name) for field in dataclasses.fields(Meta)}
        text = msgspec.json.encode({"meta": meta, "preprocess": self.preprocess, "seed": self.seed})
        description = target / "meta.json"
        try:
            if description.exists() and description.read_bytes() == text:
                return target
            target.mkdir(parents=True, exist_ok=True)
            description.unlink(missing_ok=True)
            for name, split in (("train", self.train), ("valid", self.valid)):
                _write(target / f"{name}_x.npy", split.x)
                _write(target / f"{name}_y.npy", split.y)
            description.write_bytes(text)
        except OSError as error:
            size = (self.train.x.nbytes + self.valid.x.nbytes) / 1e6
            cause = error.strerror or str(error)
            raise DataError(
                f"Could not store {size:,.1f} MB of data in {target}: {cause}. Free some space or choose another folder."
            ) from error
        return target


def _write(path: Path, array: np.ndarray) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-", suffix=".npy")
    try:
        with os.fdopen(handle, "wb") as file:
            np.save(file, array)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def open_splits(folder: str | os.PathLike[str]) -> Splits:
    """Maps a task stored by :meth:`Task.store`: its pages are shared between processes, and changes to the arrays stay private.

    Raises:
        DataError: Where the folder holds no complete task.
    """
    source = Path(folder)
    try:
        stored = msgspec.json.decode((source / "meta.json").read_bytes())
        meta = msgspec.convert(stored["meta"], Meta)
        train, valid = (
            Split(*(np.load(source / f"{name}_{part}.npy", mmap_mode="c", allow_pickle=False) for part in ("x", "y")))
            for name in ("train", "valid")
        )
    except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise DataError(f"Got {source}; expected a folder written by Task.store(folder): {error}") from error
    return Splits(**vars(meta), train=train, valid=valid)
