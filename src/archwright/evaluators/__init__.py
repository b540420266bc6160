"""Evaluators: what measures a candidate. Importing this package loads torch."""

from archwright.evaluators.engine import Epoch, fit
from archwright.evaluators.inherit import Inherit
from archwright.evaluators.memory import check_memory, needed_bytes
from archwright.evaluators.names import get_evaluator, list_evaluators
from archwright.evaluators.numerics import FP32, MODES, Mode
from archwright.evaluators.pace import time_epoch
from archwright.evaluators.predict import predict
from archwright.evaluators.recipe import Recipe, default_recipe
from archwright.evaluators.state import State, as_checkpoint, weights_of
from archwright.evaluators.threads import using_threads
from archwright.evaluators.train import Train
from archwright.evaluators.zero_cost import DATA_FREE, SCORES, ZeroCost, graph_score, list_scores, score

__all__ = [
    "DATA_FREE",
    "FP32",
    "MODES",
    "SCORES",
    "Epoch",
    "Inherit",
    "Mode",
    "Recipe",
    "State",
    "Train",
    "ZeroCost",
    "as_checkpoint",
    "check_memory",
    "default_recipe",
    "fit",
    "get_evaluator",
    "graph_score",
    "list_evaluators",
    "list_scores",
    "needed_bytes",
    "predict",
    "score",
    "time_epoch",
    "using_threads",
    "weights_of",
]
