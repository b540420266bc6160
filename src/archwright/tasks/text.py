"""Texts: at every position the next symbol is to be predicted."""

from __future__ import annotations

import hashlib
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np

from archwright.errors import DataError
from archwright.problem import Signature
from archwright.tasks.checks import check_data_memory, check_file
from archwright.tasks.preprocess import TEXT_SUFFIXES, UNKNOWN, code_points, numbered, read_text
from archwright.tasks.task import METRICS, Split, Task

STEPS = 32
"""Symbols in a window."""
LEAST = 1000
"""Symbols of the shortest text."""
EVALUATED = 20_000_000
"""Most numbers that a network puts out for validation or test windows, which are kept in memory."""


def is_text(path: Path) -> bool:
    """Whether this is the path of a text, by its name."""
    return path.name.lower().endswith(TEXT_SUFFIXES)


def text_task(path: Path, target: str | None, kind: str | None, seed: int, *, holdout: bool = True) -> Task:
    """A text file (UTF-8, perhaps packed by gzip) whose every next symbol is to be predicted.

    The text is cut into three parts, in its order, so that nothing of one is in another: the first 80% of the symbols to train on, 10% to validate, the
    last 10% to test. Each part is cut into windows of 32 symbols, one after the other; what is left at its end is not used. The classes are the
    symbols that occur at least twice in the training part, and one for all others, which networks learn from those that occur once.

    Args:
        path: Of the file.
        target: Must not be given.
        kind: ``"classification"``, or nothing.
        seed: Recorded; the parts do not depend on it.
        holdout: Whether there is a test part; else the last 20% are validated on.

    Raises:
        DataError: Where the file is no text in UTF-8, too short, or has one symbol only.
    """
    if target is not None or kind not in (None, "classification"):
        given = f"target={target!r}" if target is not None else f"kind={kind!r}"
        raise DataError(f"Got {given} for the text {path}; expected neither: in a text the next symbol is predicted.")
    content = _read(path)
    cuts = (0.8, 0.9) if holdout else (0.8, 1.0)
    ends = [0, *(int(cut * len(content)) for cut in cuts), len(content)]
    parts = [content[begin:end] for begin, end in pairwise(ends)]
    found, counts = np.unique(code_points(parts[0]), return_counts=True)
    symbols = [chr(code) for code in found[counts > 1]]
    if len(symbols) < 2:
        raise DataError(
            f"Got {len(symbols)} symbol(s) that occur more than once in the first 80% of {path}; expected at least 2 to tell apart."
        )
    classes = (UNKNOWN, *symbols)
    check_data_memory(len(content), 3, path.name)
    warnings: list[str] = []
    most = max(1, EVALUATED // (len(classes) * STEPS))
    train, valid, test = (_windows(numbered(symbols, part)) for part in parts)
    valid, test = _spread(valid, most, "validation", warnings), _spread(test, most, "test", warnings)
    record = {
        "version": 1,
        "modality": "text",
        "symbols": symbols,
        "steps": STEPS,
        "padding": 1 + (symbols.index("\n") if "\n" in symbols else int(counts[counts > 1].argmax())),
        "target": {"kind": "classification", "name": "next symbol", "classes": list(classes)},
    }
    return Task(
        name=path.name.split(".")[0],
        kind="classification",
        modality="text",
        signature=Signature(((STEPS,),), (len(classes),), (STEPS,)),
        classes=classes,
        metrics=METRICS["text"],
        objective=METRICS["text"][0],
        augment=(),
        target_mean=0.0,
        target_std=1.0,
        data_hash=hashlib.sha256(repr(("text", STEPS, ends)).encode() + content.encode()).hexdigest(),
        train=train,
        valid=valid,
        test=test,
        preprocess=record,
        seed=seed,
        warnings=tuple(warnings),
    )


def _read(path: Path) -> str:
    check_file(path)
    try:
        content = read_text(path)
    except UnicodeDecodeError as error:
        raise DataError(
            f"Got {path}, which is not UTF-8: {error.reason} at byte {error.start:,}. Save it in UTF-8, for example: iconv -f LATIN1 -t UTF-8."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"Could not read {path}: {error}") from error
    if len(content) < LEAST:
        raise DataError(
            f"Got {len(content):,} symbols in {path}; expected at least {LEAST:,} to train, validate and test on."
        )
    return content


def _windows(numbers: np.ndarray) -> Split:
    """Consecutive windows, and the symbol after each of theirs."""
    count = (len(numbers) - 1) // STEPS if len(numbers) else 0
    x, y = (numbers[start : start + count * STEPS].reshape(count, STEPS) for start in (0, 1))
    return Split(x.astype(np.float32), y.astype(np.int64))


def _spread(part: Split, most: int, name: str, warnings: list[str]) -> Split:
    """At most so many windows, evenly spread over the part."""
    if len(part) <= most:
        return part
    rows = np.linspace(0, len(part) - 1, most).round().astype(np.int64)
    warnings.append(
        f"Of {len(part):,} {name} windows {most:,} are used, evenly spread: outputs for all would not fit into memory."
    )
    return Split(part.x[rows], part.y[rows])
