"""Weight sharing over a space's expression. Importing this package loads torch."""

from archwright.supernet.supernet import Supernet

__all__ = ["Supernet"]
