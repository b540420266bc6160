"""Exports a trained network into a folder that needs archwright no more."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from archwright.errors import ExportError, MissingExtraError
from archwright.export import checker
from archwright.export.card import Facts, make_card, read_facts, render
from archwright.export.verify import SPLITS, Checks, verify
from archwright.problem.final import show

if TYPE_CHECKING:
    import torch

    from archwright.graph import Graph
    from archwright.tasks import Task

FILES = {
    "model.py": "the network as plain PyTorch, with load()",
    "model.safetensors": "its weights",
    "model.onnx": "the same network for ONNX Runtime, any batch size",
    "predict.py": "predictions from raw input, on the command line and from Python",
    "architecture.svg": "a drawing of the network",
    "card.json": "this card for programs, with the preprocessing",
    "card.md": "this card",
}
"""Files of an export and what each is."""

ROWS = 1000
"""Rows of the verification; a larger split is sampled."""

_LEFTOVERS = frozenset({"__pycache__", ".DS_Store"})


class Exported(msgspec.Struct, frozen=True):
    """A finished export.

    Attributes:
        folder: Where it lies.
        files: The files in it.
        checks: What the verification found; ``None`` where it was switched off.
        notes: What was left out and why, in full sentences.
    """

    folder: Path
    files: tuple[Path, ...]
    checks: Checks | None
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """What the checks found, for people."""
        if self.checks is None:
            return "\n".join(["The files were not checked.", *self.notes])
        worst = max(self.checks.differences.values())
        forms = "torch, ONNX Runtime and the original" if len(self.checks.differences) > 1 else "torch and the original"
        name, value = next(iter(self.checks.metrics.items()))
        found = (
            f"Checked without archwright on {self.checks.rows:,} {SPLITS[self.checks.split]} rows: {forms} agree to {worst:.0e} of their scale; "
            f"{name} recomputed from the files: {show(name, value)}."
        )
        return "\n".join([found, *self.notes])


def export(
    folder: str | os.PathLike[str],
    *,
    graph: Graph,
    state: Mapping[str, torch.Tensor],
    task: Task,
    card: Facts | Mapping[str, Any] | None = None,
    check: bool = True,
    onnx: bool = True,
    overwrite: bool = False,
) -> Exported:
    """Writes a trained network as plain PyTorch, safetensors and ONNX with a model card, and verifies all of it.

    The folder appears whole and verified, or not at all.

    Args:
        folder: Where to; it must not exist, or be empty.
        graph: The network.
        state: Its trained weights, as of ``build(graph).state_dict()``.
        task: For the preprocessing, the classes and the rows of the check.
        card: What the caller knows, see :class:`Facts`; a mapping with its fields will do.
        check: Whether to verify the files in a process without archwright.
        onnx: Whether to write ``model.onnx``. It is left out, and the card says so, where the extra is not installed.
        overwrite: Whether an earlier export may be replaced. Folders with other files are never touched.

    Returns:
        The folder, its files and the result of the checks.

    Raises:
        ExportError: Where the folder is taken, cannot be written, or a check fails.
    """
    target = Path(folder)
    facts = read_facts(card if card is not None else {})
    _require_free(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        exported = _write(work, target, graph, state, task, facts, check, onnx)
        work.chmod(0o755)
        _swap(work, target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return exported


def _write(
    work: Path,
    target: Path,
    graph: Graph,
    state: Mapping[str, torch.Tensor],
    task: Task,
    facts: Facts,
    check: bool,
    onnx: bool,
) -> Exported:
    from safetensors.torch import save_file

    from archwright.export.onnx_file import require_onnx, write_onnx
    from archwright.export.sources import model_source, predict_source
    from archwright.graph.draw import svg

    network = _network(graph, state)
    files, notes = dict(FILES), []
    (work / "model.py").write_text(model_source(graph), encoding="utf-8")
    (work / "predict.py").write_text(predict_source(), encoding="utf-8")
    (work / "architecture.svg").write_text(svg(graph), encoding="utf-8")
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, work / "model.safetensors", metadata={"format": "pt"})
    (work / "model.safetensors").chmod(0o644)
    try:
        if onnx:
            require_onnx()
            write_onnx(_handed_over(work), task.shape, work / "model.onnx")
        else:
            notes.append("model.onnx was left out as asked.")
    except MissingExtraError as error:
        notes.append(f"model.onnx was left out. {error}")
    if not (work / "model.onnx").exists():
        del files["model.onnx"]
    content = make_card(graph, task, facts)
    content |= {"notes": notes, "checks": None, "files": files}
    _write_card(work, content)
    checks = None
    if check:
        split = next(name for name in ("test", "valid", "train") if len(getattr(task, name)))
        known = getattr(task, split)
        rows = _rows(len(known))
        checks = verify(work, task, _outputs(network, known.x[rows]), rows, split=split)
        content["checks"] = msgspec.to_builtins(checks)
        _write_card(work, content)
    return Exported(target, tuple(target / name for name in files), checks, tuple(notes))


def _write_card(work: Path, content: dict[str, Any]) -> None:
    (work / "card.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (work / "card.md").write_text(render(content), encoding="utf-8")


def _network(graph: Graph, state: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    from archwright.graph.module import build

    network = build(graph, seed=0)
    try:
        network.load_state_dict(
            {
                name: tensor.detach().cpu().float() if tensor.is_floating_point() else tensor
                for name, tensor in state.items()
            }
        )
    except RuntimeError as error:
        raise ExportError(f"The weights do not belong to this network: {error}") from error
    return network.cpu().eval()


def _handed_over(work: Path) -> torch.nn.Module:
    """The network as its receiver gets it: a plain module without archwright's classes."""
    loaded: torch.nn.Module = checker.load(work / "model.py").load(work / "model.safetensors")
    return loaded


def _outputs(network: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(np.array(x[start : start + 256], dtype=np.float32))).numpy()
            for start in range(0, len(x), 256)
        ]
    found: np.ndarray = np.concatenate(parts)
    return found


def _rows(count: int) -> np.ndarray:
    """The rows of the check: all, or a sample that is always the same."""
    if count <= ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(count).choice(count, ROWS, replace=False))


def _require_free(target: Path, overwrite: bool) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ExportError(f"Got {target}, which is not a folder. Give the name of a new folder.")
    if not target.exists():
        return
    present = {file.name for file in target.iterdir()} - _LEFTOVERS
    if not present:
        return
    strangers = sorted(present - FILES.keys())
    if strangers or "card.json" not in present:
        named = ", ".join((strangers or sorted(present))[:3])
        raise ExportError(
            f"The folder {target} holds other files ({named}), which an export does not touch. Choose a new folder."
        )
    if not overwrite:
        raise ExportError(
            f"The folder {target} holds an earlier export. Choose another one, or overwrite it: overwrite=True, or --overwrite."
        )


def _swap(work: Path, target: Path) -> None:
    """Puts the finished folder in its place; an earlier export goes only once the new one stands."""
    if not target.exists():
        os.replace(work, target)
        return
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-old-"))
    os.replace(target, old)
    try:
        os.replace(work, target)
    except OSError:
        os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _unwritable(target: Path, error: OSError) -> ExportError:
    return ExportError(
        f"Could not write {target}: {error.strerror or error}. Choose another folder, or free some space there."
    )
