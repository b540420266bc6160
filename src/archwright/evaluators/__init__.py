"""Evaluators: what measures a candidate. Importing this package loads torch."""

from archwright.evaluators.engine import Epoch, fit
from archwright.evaluators.memory import check_memory, needed_bytes
from archwright.evaluators.numerics import FP32, MODES, Mode
from archwright.evaluators.pace import time_epoch
from archwright.evaluators.predict import predict
from archwright.evaluators.recipe import Recipe, default_recipe
from archwright.evaluators.state import State, weights_of
from archwright.evaluators.threads import using_threads
from archwright.evaluators.train import Train

__all__ = [
    "FP32",
    "MODES",
    "Epoch",
    "Mode",
    "Recipe",
    "State",
    "Train",
    "check_memory",
    "default_recipe",
    "fit",
    "needed_bytes",
    "predict",
    "time_epoch",
    "using_threads",
    "weights_of",
]
