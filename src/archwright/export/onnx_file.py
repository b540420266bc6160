"""The network as ONNX, by torch.export, with any batch size."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.errors import ExportError, MissingExtraError

if TYPE_CHECKING:
    import torch

    from archwright.problem import Shape

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def require_onnx() -> None:
    """Makes sure that ONNX files can be written and run.

    Raises:
        MissingExtraError: Where a package is missing.
    """
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise MissingExtraError("ONNX export", "onnx")


def write_onnx(network: torch.nn.Module, shape: Shape, path: Path) -> None:
    """Writes a network in evaluation mode as one ONNX file: ``input`` ``(batch, *shape)`` to ``output``.

    Args:
        network: The trained network, on the CPU.
        shape: Of one input, without the batch dimension.
        path: The file.

    Raises:
        ExportError: Where the exporter cannot translate the network; the message names its reason.
    """
    import torch

    example = torch.zeros(2, *shape)
    try:
        with _quiet():
            torch.onnx.export(
                network,
                (example,),
                path,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter's own tree of errors is not public
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise ExportError(
            f"The network could not be written as ONNX: {reason}. Export without ONNX by onnx=False, "
            "or replace the operation by one that torch.onnx supports."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's progress and advice for its own developers away from users."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
