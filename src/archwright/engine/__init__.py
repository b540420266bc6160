"""The engine of a search: the loop, and the one call a user needs, ``archwright.search``."""

from archwright.engine.api import open_run, resume, search
from archwright.engine.result import Candidate, Result
from archwright.engine.store import Store

__all__ = ["Candidate", "Result", "Store", "open_run", "resume", "search"]
