"""Predictions from an exported folder. Its source travels with exported networks, after that of the preprocessing."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from archwright.tasks.preprocess import after_last, apply, predictions, read, shown

FOLDER = Path(__file__).resolve().parent


def predict(raw: Any) -> list[dict[str, Any]]:
    """Predictions for raw inputs, one for each image, row or text.

    Args:
        raw: Images: a path, a PIL image, a list of either, or an array. Tables: a DataFrame, a mapping from column name to
            values, a list of such rows, or a 2-D array of the raw columns. Texts: a string, or a list of them.

    Returns:
        For classes ``{"class": name, "probability": p, "probabilities": {name: p, ...}}``; for numbers ``{"value": v}``.
        The class of a text is the symbol that comes next.
    """
    found = outputs(raw)
    answers = predictions(record(), found)
    if record()["target"]["kind"] != "classification":
        return [{"value": float(answer)} for answer in answers]
    found = after_last(found)
    names = [str(name) for name in record()["target"]["classes"]]
    chances = np.exp(found - found.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    return [
        {"class": str(answer), "probability": float(row.max()), "probabilities": dict(zip(names, map(float, row)))}
        for answer, row in zip(answers, chances)
    ]


def outputs(raw: Any) -> np.ndarray:
    """The network's outputs for raw input: logits ``(n, classes)`` (texts: ``(n, classes, steps)``), or standardised values ``(n, 1)``."""
    x = torch.from_numpy(prepare(raw))
    with torch.inference_mode():
        parts = [network()(x[start : start + 256]).numpy() for start in range(0, len(x), 256)]
    found: np.ndarray = np.concatenate(parts)
    return found


def prepare(raw: Any) -> np.ndarray:
    """Raw inputs as the network takes them: float32 ``(n, *input shape)``."""
    return apply(record(), raw)


@lru_cache(maxsize=1)
def record() -> Mapping[str, Any]:
    """The preprocessing, as recorded in ``card.json``."""
    found: Mapping[str, Any] = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))["preprocess"]
    return found


@lru_cache(maxsize=1)
def network() -> torch.nn.Module:
    """The trained network of this folder, in evaluation mode."""
    spec = importlib.util.spec_from_file_location("exported_network", FOLDER / "model.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {FOLDER / 'model.py'}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    loaded: torch.nn.Module = module.load(FOLDER / "model.safetensors")
    return loaded


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a prediction for every image, row or text of the files given."""
    parser = argparse.ArgumentParser(prog="predict.py", description="Predicts with the network of this folder.")
    parser.add_argument(
        "files", nargs="+", type=Path, help="images, folders of images, CSV tables, .npy arrays or texts"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with all probabilities")
    options = parser.parse_args(arguments)
    for path in options.files:
        try:
            raw = read(record(), path)
            answers = predict(raw)
        except (OSError, ValueError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        images = isinstance(raw, list) and len(raw) == len(answers)
        for row, answer in enumerate(answers):
            name = str(raw[row]) if images else f"{path}:{row + 1}"
            print(json.dumps({"input": name, **answer}) if options.json else f"{name}\t{line(answer)}")
    return 0


def line(answer: Mapping[str, Any]) -> str:
    """A prediction in a few words, with the runners-up.

    >>> line({"class": "cat", "probability": 0.9, "probabilities": {"cat": 0.9, "dog": 0.1}})
    'cat\\t90.0%\\t(dog 10.0%)'
    """
    if "value" in answer:
        return f"{answer['value']:.6g}"
    others = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    rest = ", ".join(f"{shown(name)} {100 * chance:.1f}%" for name, chance in others[:3] if name != answer["class"])
    return f"{shown(answer['class'])}\t{100 * answer['probability']:.1f}%" + (f"\t({rest})" if rest else "")


if __name__ == "__main__":
    sys.exit(main())
