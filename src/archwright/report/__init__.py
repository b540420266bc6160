"""The report of a run: one HTML file that reads well offline, on a phone and in the dark."""

from archwright.report.html import report
from archwright.report.page import Header

__all__ = ["Header", "report"]
