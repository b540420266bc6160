"""Arrays that can be part of a state, frozen and compared by value, and the optimiser Adam on them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np


class Frozen:
    """An array that does not change and equals another of the same values.

    Args:
        values: Any array of numbers; it is copied as float64.

    >>> Frozen([1.0, 2.0]) == Frozen([1.0, 2.0])
    True
    >>> Frozen([1.0]).values.flags.writeable
    False
    """

    __slots__ = ("values",)

    values: np.ndarray

    def __init__(self, values: Any) -> None:
        array = np.array(values, float)
        array.flags.writeable = False
        object.__setattr__(self, "values", array)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Got a new value for {name!r} of frozen values; make another Frozen.")

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Frozen) and np.array_equal(self.values, other.values, equal_nan=True)
        )

    def __hash__(self) -> int:
        return hash((self.values.shape, self.values.tobytes()))

    def __repr__(self) -> str:
        return f"Frozen({np.array2string(self.values, threshold=8)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, (np.array(self.values),)


class Adam(msgspec.Struct, frozen=True):
    """Weights and the moments of their gradients. Kingma and Ba 2015, arXiv 1412.6980.

    Attributes:
        weights: A flat vector.
        mean: First moment, as biased as it is.
        square: Second moment, likewise.
        steps: How many steps have been taken.
    """

    weights: Frozen
    mean: Frozen
    square: Frozen
    steps: int = 0

    @classmethod
    def start(cls, weights: np.ndarray) -> Adam:
        """No step taken yet."""
        zeros = Frozen(np.zeros(len(weights)))
        return cls(Frozen(weights), zeros, zeros)

    def ascend(self, gradient: np.ndarray, rate: float) -> Adam:
        """One step up the gradient, with the paper's decay rates 0.9 and 0.999."""
        steps = self.steps + 1
        mean = 0.9 * self.mean.values + 0.1 * gradient
        square = 0.999 * self.square.values + 0.001 * gradient**2
        size = rate * np.sqrt(1.0 - 0.999**steps) / (1.0 - 0.9**steps)
        weights = self.weights.values + size * mean / (np.sqrt(square) + 1e-8)
        return Adam(Frozen(weights), Frozen(mean), Frozen(square), steps)
