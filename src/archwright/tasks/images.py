"""Folders of class folders with images in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from archwright.errors import DataError
from archwright.tasks.arrays import target_size
from archwright.tasks.checks import check_data_memory
from archwright.tasks.preprocess import IMAGE_SUFFIXES, read_image
from archwright.tasks.raw import Raw
from archwright.tasks.split import TEST, TRAIN, UNASSIGNED, VALID

_SPLITS = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VALID,
    "valid": VALID,
    "validation": VALID,
    "test": TEST,
    "testing": TEST,
}
_UNREADABLE = 0.1  # share of unreadable images above which a folder is refused
_GREY = ("1", "L", "LA", "I", "F")


def image_folder(folder: Path, image_size: int | None) -> Raw:
    """A folder of class folders, or of ``train`` and ``test`` (and ``val``) folders of class folders.

    Images are brought to their median size (at most 64 pixels on the long side, or ``image_size``); all grey ones keep one channel.
    A few unreadable images are left out with a warning.

    Raises:
        DataError: Where there are no class folders or images, or more than a tenth of the images is unreadable.
    """
    named = {child: _SPLITS[child.name.lower()] for child in _folders(folder) if child.name.lower() in _SPLITS}
    parts = {child: code for child, code in named.items() if _labelled(child)}
    if TRAIN not in parts.values():
        parts = {folder: UNASSIGNED}
    found = [(file, label, code) for place, code in parts.items() for file, label in _labelled(place)]
    labels = sorted({label for _, label, _ in found})
    if not found:
        raise DataError(_nothing(folder))
    warnings = [f"Class folders without images: {', '.join(names[:5])}." for names in [_empty(parts)] if names]
    files = [file for file, _, _ in found]
    images, good, record = load_images(files, image_size, warnings, [str(file.relative_to(folder)) for file in files])
    y = np.array([labels.index(label) for _, label, _ in found])[good]
    part = np.array([code for _, _, code in found])[good]
    return Raw(
        folder.resolve().name,
        "image",
        images,
        y,
        part,
        record,
        target="class folder",
        classes=tuple(labels),
        augment=natural_changes(record["channels"], labels),
        warnings=warnings,
    )


def load_images(
    files: Sequence[Any], image_size: int | None, warnings: list[str], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Image files (or PIL images) as uint8 ``(n, C, H, W)``, the positions of the readable ones, and the record.

    Raises:
        DataError: Where more than a tenth is unreadable.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        heads = list(pool.map(_guarded(_head), files))
    sizes = [head[:2] for head in heads if head is not None]
    if not sizes:
        _complain(names, heads, warnings)
    height, width = (float(np.median([size[axis] for size in sizes])) for axis in (0, 1))
    channels = 1 if all(head[2] for head in heads if head is not None) else 3
    size = target_size(height, width, image_size, warnings)
    check_data_memory(len(sizes), channels * size[0] * size[1], "the folder")
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        images = list(pool.map(_guarded(lambda file: read_image(file, channels, *size)), files))
    _complain(names, images, warnings)
    if len(set(sizes)) > 1:
        warnings.append(f"Images of {len(set(sizes))} sizes are brought to {size[0]} x {size[1]} pixels.")
    good = np.array([i for i, image in enumerate(images) if image is not None])
    record = {
        "version": 1,
        "modality": "image",
        "channels": channels,
        "size": list(size),
        "layout": "NHW" if channels == 1 else "NHWC",
        "dtype": "uint8",
        "scale": 255.0,
    }
    return np.stack([image for image in images if image is not None]), good, record


def natural_changes(channels: int, labels: Sequence[str]) -> tuple[str, ...]:
    """Which changes keep an image's class: small shifts always; left to right for photos, but not for letters, digits or sides."""
    sided = any(
        len(label) == 1 or label.isdigit() or {"left", "right"} & set(label.lower().replace("-", "_").split("_"))
        for label in labels
    )
    return ("crop",) if channels == 1 or sided else ("crop", "flip")


def _guarded(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The reading function, with nothing for images that cannot be read."""
    from PIL import Image

    def guarded(file: Any) -> Any:
        try:
            return read(file)
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
            return None

    return guarded


def _head(file: Any) -> tuple[int, int, bool]:
    """Height, width and whether it is grey, from the head of an image file."""
    from PIL import Image

    picture = file if hasattr(file, "getbands") else Image.open(file)
    try:
        width, height = picture.size
        if picture.getexif().get(0x0112) in (5, 6, 7, 8):
            width, height = height, width
        return height, width, picture.mode in _GREY or picture.mode.startswith("I;16")
    finally:
        if picture is not file:
            picture.close()


def _complain(names: Sequence[str], read: Sequence[Any], warnings: list[str]) -> None:
    bad = [name for name, image in zip(names, read, strict=True) if image is None]
    if not bad:
        return
    examples = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
    if len(bad) > _UNREADABLE * len(names):
        raise DataError(
            f"Could not read {len(bad):,} of {len(names):,} images ({examples}); expected at most one in ten to be damaged. Repair or remove them."
        )
    warnings.append(f"{len(bad):,} of {len(names):,} images are unreadable and left out: {examples}.")


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith((".", "__")))


def _images(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()
    )


def _labelled(place: Path) -> list[tuple[Path, str]]:
    return [(file, child.name) for child in _folders(place) for file in _images(child)]


def _empty(parts: dict[Path, int]) -> list[str]:
    return [repr(child.name) for place in parts for child in _folders(place) if not _images(child)]


def _nothing(folder: Path) -> str:
    if loose := _images(folder):
        return f"Got {len(loose):,} images in {folder}, but no class folders; expected one folder for each class, for example {folder}/cat and {folder}/dog."
    others = sorted({file.suffix for file in folder.iterdir() if file.is_file()})
    hint = (
        f" It holds files of the types {', '.join(others)}: name one of them instead."
        if set(others) & {".csv", ".parquet", ".npz", ".tsv"}
        else ""
    )
    return f"Got no images in {folder}; expected class folders with {', '.join(sorted(IMAGE_SUFFIXES))} files in them.{hint}"
