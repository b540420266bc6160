"""Metrics of a task, computed by scikit-learn."""

from __future__ import annotations

import numpy as np

from archwright.errors import DataError


def metrics(kind: str, y: np.ndarray, outputs: np.ndarray, *, scale: float = 1.0) -> dict[str, float]:
    """All metrics of a kind of task. Outputs that are not finite make every metric NaN.

    Args:
        kind: ``"classification"`` or ``"regression"``.
        y: Class numbers, or (standardised) targets, shape ``(n,)``; of a text the next symbols ``(n, steps)``.
        outputs: Logits ``(n, classes)``, or predictions ``(n,)`` or ``(n, 1)`` in the units of ``y``; of a text logits ``(n, classes, steps)``.
        scale: What the targets were divided by (``task.target_std``), so that ``mae`` and ``rmse`` are in the target's own units.

    Returns:
        accuracy, balanced_accuracy (over the classes present in ``y``), macro_f1 (over those present or predicted), log_loss;
        or r2 (NaN below two rows), mae, rmse. Of a text perplexity (the exponential of the mean negative log-likelihood of a symbol), accuracy and
        log_loss, over all positions.

    Raises:
        DataError: Where the shapes do not fit.

    >>> metrics("regression", np.array([1.0, 2.0, 3.0, 4.0]), np.array([[1.0], [2.0], [3.0], [5.0]]), scale=10.0)["mae"]
    2.5
    """
    y, outputs = np.asarray(y), np.asarray(outputs, dtype=np.float64)
    if kind not in ("classification", "regression"):
        raise DataError(f"Got the kind {kind!r}; expected 'classification' or 'regression'.")
    if (
        kind == "classification"
        and y.ndim == 2
        and y.size
        and outputs.shape == (len(y), *outputs.shape[1:2], y.shape[1])
    ):
        return _text(y, outputs)
    shapes = [(len(y), outputs.shape[-1])] if kind == "classification" else [(len(y),), (len(y), 1)]
    if y.ndim != 1 or not len(y) or outputs.shape not in shapes or outputs.ndim == 0:
        raise DataError(
            f"Got targets {y.shape} and outputs {outputs.shape}; expected one row of outputs for each target."
        )
    return _classification(y, outputs) if kind == "classification" else _regression(y, outputs.reshape(len(y)), scale)


def _classification(y: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import log_loss, precision_recall_fscore_support

    if not np.isfinite(logits).all():
        return dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1", "log_loss"), float("nan"))
    guess = logits.argmax(axis=1)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    _, recall, f1, support = precision_recall_fscore_support(y, guess, zero_division=0)
    return {
        "accuracy": float((guess == y).mean()),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "macro_f1": float(f1.mean()),
        "log_loss": float(log_loss(y, chances, labels=np.arange(logits.shape[1]))),
    }


def symbols(y: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each window of a text the mean negative log-likelihood of its next symbols, and the share of them that is guessed right, each ``(n,)``.

    Args:
        y: The next symbols ``(n, steps)``.
        logits: For each of them ``(n, classes, steps)``.
    """
    top = logits.max(axis=1)
    with np.errstate(invalid="ignore"):
        total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    own = np.take_along_axis(logits, y[:, None], axis=1)[:, 0]
    return (total - own).mean(axis=1), (logits.argmax(axis=1) == y).mean(axis=1)


def _text(y: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    if not np.isfinite(logits).all():
        return dict.fromkeys(("perplexity", "accuracy", "log_loss"), float("nan"))
    losses, right = symbols(y, logits)
    with np.errstate(over="ignore"):
        perplexity = float(np.exp(losses.mean()))
    return {"perplexity": perplexity, "accuracy": float(right.mean()), "log_loss": float(losses.mean())}


def _regression(y: np.ndarray, predicted: np.ndarray, scale: float) -> dict[str, float]:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    if not np.isfinite(predicted).all():
        return dict.fromkeys(("r2", "mae", "rmse"), float("nan"))
    return {
        "r2": float(r2_score(y, predicted)) if len(y) > 1 else float("nan"),
        "mae": float(mean_absolute_error(y, predicted)) * scale,
        "rmse": float(root_mean_squared_error(y, predicted)) * scale,
    }
