"""The command line: ``archwright --help``."""

from archwright.cli.app import main

__all__ = ["main"]
