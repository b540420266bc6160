"""Data sets made ready for networks: read, checked, split and preprocessed."""

from archwright.tasks.builtin import list_tasks
from archwright.tasks.load import load_task
from archwright.tasks.metrics import metrics
from archwright.tasks.task import METRICS, Meta, Split, Splits, Task, open_splits

__all__ = ["METRICS", "Meta", "Split", "Splits", "Task", "list_tasks", "load_task", "metrics", "open_splits"]
