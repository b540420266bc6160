"""Carry evaluations to this process or to worker processes. No torch."""

from archwright.executors.base import Executor, Job, Update, evaluate, refuse_in_worker
from archwright.executors.processes import Processes
from archwright.executors.serial import Serial

__all__ = ["Executor", "Job", "Processes", "Serial", "Update", "evaluate", "refuse_in_worker"]
