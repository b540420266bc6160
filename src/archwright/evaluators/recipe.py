"""How a network is trained: optimiser, schedule, regularisation and augmentation, as one record."""

from __future__ import annotations

import math
from typing import Literal, Protocol

import msgspec

from archwright.errors import EvaluationError
from archwright.problem import Shape

LEAST_SIDE = 16
"""Pixels that pictures are shrunk to at least."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of a training run.

    Attributes:
        optimizer: ``sgd`` (Nesterov momentum 0.9), ``adamw``, or ``muon``: momentum with orthogonalised steps for
            dense kernels (Jordan et al. 2024, kellerjordan.github.io/posts/muon), ``sgd`` for all else.
        lr: Peak learning rate.
        weight_decay: Decay of the weights; biases and normalisation layers are not decayed.
        schedule: ``onecycle`` (linear up, then linear down to zero; Smith and Topin, arXiv 1708.07120) or ``cosine`` (short warm-up, then half a
            cosine; Loshchilov and Hutter, arXiv 1608.03983).
        warmup: Fraction of the schedule that the learning rate rises for.
        batch_size: Samples in a step.
        label_smoothing: Of the cross entropy; ignored in regression.
        flip: Mirror images left to right with probability one half.
        crop: Shift images by up to this many pixels in each direction; what becomes empty mirrors the rest.
        cutout: Side of a square set to zero at a random place (DeVries and Taylor, arXiv 1708.04552); 0 for none.
        small: Smaller pictures first (progressive resizing; Howard in Coleman et al., arXiv 1806.01427): pairs of a
            place on the schedule, until which, and the side that pictures are shrunk to, as a fraction of theirs.
        average: Epochs over which a moving average of the weights is taken, which is measured and kept instead of the last weights; 0 for none.
        clip: Largest norm of the gradient; ``None`` for no limit.
    """

    optimizer: Literal["sgd", "adamw", "muon"] = "sgd"
    lr: float = 0.1
    weight_decay: float = 5e-4
    schedule: Literal["onecycle", "cosine"] = "onecycle"
    warmup: float = 0.2
    batch_size: int = 128
    label_smoothing: float = 0.0
    flip: bool = False
    crop: int = 0
    cutout: int = 0
    small: tuple[tuple[float, float], ...] = ()
    average: float = 0.0
    clip: float | None = None

    def checked(self) -> Recipe:
        """Returns itself.

        Raises:
            EvaluationError: Where a value is outside its range.
        """
        ranges = {
            "lr": self.lr > 0 and math.isfinite(self.lr),
            "weight_decay": self.weight_decay >= 0,
            "warmup": 0 <= self.warmup < 1,
            "batch_size": self.batch_size >= 2,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "crop": self.crop >= 0,
            "cutout": self.cutout >= 0,
            "small": all(0 < until <= 1 and 0 < side <= 1 for until, side in self.small),
            "average": self.average >= 0,
            "clip": self.clip is None or self.clip > 0,
        }
        wrong = [f"{name}={getattr(self, name)!r}" for name, valid in ranges.items() if not valid]
        if wrong:
            raise EvaluationError(
                f"Got the recipe {', '.join(wrong)}; expected lr and clip above 0, batch_size of 2 or more, fractions in [0, 1), nothing negative."
            )
        return self

    def side(self, progress: float, side: int) -> int:
        """Return the side of the pictures at a place on the schedule; none is shrunk below 16 pixels.

        >>> [Recipe(small=((0.4, 0.5), (0.7, 0.75))).side(place, 32) for place in (0.0, 0.5, 0.9)]
        [16, 24, 32]
        """
        scale = next((scale for until, scale in self.small if progress < until), 1.0)
        return min(side, max(LEAST_SIDE, round(side * scale)))

    def epochs_in_time(self, side: int) -> float:
        """Return the epochs that pass in the time of one at full size, if the schedule goes by the clock.

        >>> Recipe(small=((0.5, 0.5),)).epochs_in_time(64)
        2.5
        """
        begun, total = 0.0, 0.0
        for until, _ in (*self.small, (1.0, 1.0)):
            share = self.side(begun, side) / max(side, 1) if side else 1.0
            total += max(0.0, until - begun) / share**2
            begun = max(begun, until)
        return total

    def rate(self, progress: float) -> float:
        """The learning rate after this fraction of the schedule, in [0, 1].

        >>> Recipe(lr=1.0, warmup=0.2).rate(0.2), Recipe(lr=1.0, warmup=0.2).rate(1.0)
        (1.0, 0.0)
        """
        if progress < self.warmup:
            return self.lr * (0.1 + 0.9 * progress / self.warmup)
        left = max(0.0, 1.0 - progress) / (1.0 - self.warmup)
        return self.lr * (left if self.schedule == "onecycle" else 0.5 * (1.0 - math.cos(math.pi * left)))


class TaskLike(Protocol):
    """What the default recipe needs to know of a task; a :class:`archwright.tasks.Meta` is one."""

    @property
    def kind(self) -> Literal["classification", "regression"]: ...  # noqa: D102

    @property
    def modality(self) -> Literal["image", "tabular", "text"]: ...  # noqa: D102

    @property
    def shape(self) -> Shape: ...  # noqa: D102

    @property
    def augment(self) -> tuple[str, ...]: ...  # noqa: D102


AUGMENT_FROM, AUGMENT_GREY_FROM, AUGMENT_TINY_FROM = 4, 20, 60
"""Epochs from which augmentation is worth its slower start: for photos, for grey pictures, whose subjects are mostly centred,
and for pictures of fewer than 16 pixels a side. In the time of 5 epochs of Fashion-MNIST shifts and flips cost a point of
accuracy, in that of 5 of photos50 they bring one."""
SMALL = ((0.35, 0.625), (0.6, 0.75))
"""Smaller pictures first, if their sides are SMALL_FROM pixels or more: an epoch then takes 0.4 and 0.6 of the time."""
SMALL_FROM = 24


def default_recipe(task: TaskLike, rows: int, epochs: int) -> Recipe:
    """A recipe that suits a task and the length of the training. Tuned on validation rows.

    Batches grow with the data: small data needs many steps, large data can afford cheap ones.

    Args:
        task: What is known of the task.
        rows: Training rows at full share.
        epochs: Epochs at full fidelity.
    """
    batch = max(16, 2 ** round(math.log2(max(rows, 1) / 24)))
    if task.modality == "tabular":
        batch = min(batch, 256)
        smoothing = 0.05 if task.kind == "classification" else 0.0
        rate = 3e-4 * math.sqrt(batch)
        return Recipe("adamw", lr=rate, weight_decay=0.1, batch_size=batch, label_smoothing=smoothing, average=0.5)
    batch = min(batch, 128)
    if task.modality == "text":
        return Recipe("adamw", lr=1e-2, weight_decay=0.01, batch_size=min(batch, 64), average=0.5, clip=1.0)
    side = min(task.shape[1:])
    photo = AUGMENT_GREY_FROM if task.shape[0] == 1 else AUGMENT_FROM
    augment = task.augment if epochs >= (photo if side >= LEAST_SIDE else AUGMENT_TINY_FROM) else ()
    return Recipe(
        lr=0.2,
        weight_decay=5e-4 if side >= LEAST_SIDE else 1e-3,
        batch_size=batch,
        label_smoothing=0.1,
        flip="flip" in augment,
        crop=max(1, side // 12) if "crop" in augment else 0,
        small=SMALL if side >= SMALL_FROM else (),
        average=0.5,
    )
