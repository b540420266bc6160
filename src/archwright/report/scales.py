"""Axes of charts: where a value lies, where the ticks are, what they say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence


@dataclasses.dataclass(frozen=True)
class Axis:
    """A scale from values to pixels.

    Attributes:
        low: Value at the first pixel.
        high: Value at the last pixel.
        start: First pixel.
        stop: Last pixel; smaller than ``start`` for an axis that grows upwards.
        log: Whether equal distances are equal ratios.
        words: Tick labels for people.
        steps: Where ticks may lie, ascending, where round numbers are not the ones people use (times).
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    words: Callable[[float], str] = "{:g}".format
    steps: Sequence[float] = ()

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside lie on the axis' ends."""
        low, high, at = (self._linear(one) for one in (self.low, self.high, value))
        share = min(1.0, max(0.0, (at - low) / (high - low)))
        return round(self.start + share * (self.stop - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values inside the axis, about ``most`` of them.

        >>> Axis(0.0, 23.0, 0, 100).ticks()
        [0.0, 5.0, 10.0, 15.0, 20.0]
        >>> Axis(900.0, 120_000.0, 0, 100, log=True).ticks()
        [1000.0, 3000.0, 10000.0, 30000.0, 100000.0]
        """
        if self.log and self.steps:
            inside = [step for step in self.steps if self.low <= step <= self.high]
            return inside[:: -(-len(inside) // most)] if inside else []
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for factors in ((1, 2, 5), (1, 3), (1,)):
                found = [f * 10.0**d for d in decades for f in factors if self.low <= f * 10.0**d <= self.high]
                if len(found) <= most:
                    return found
            return found[:: -(-len(found) // most)]
        step = nice_step((self.high - self.low) / (most - 1))
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _linear(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value


def nice_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below ``rough``.

    >>> nice_step(0.013), nice_step(3.0)
    (0.02, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9)))


def span(values: Sequence[float], *, log: bool = False, zero: bool = False, pad: float = 0.07) -> tuple[float, float]:
    """Ends of an axis that holds the values with a little room; never empty.

    Args:
        values: What must fit; may be empty.
        log: Whether the axis is logarithmic; only positive values count then.
        zero: Whether the axis starts at zero.
        pad: Room on either side, as a share of the range.
    """
    usable = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if log:
        low, high = (min(usable), max(usable)) if usable else (1.0, 10.0)
        room = max((high / low) ** pad, 1.05) if high > low else 2.0
        return low / room, high * room
    low, high = (min(usable), max(usable)) if usable else (0.0, 1.0)
    room = pad * (high - low) if high > low else max(abs(high) * 0.1, 1e-6)
    return (0.0 if zero and low >= 0 else low - room), high + room


def focus(values: Sequence[float], goal: str, share: float = 0.2) -> tuple[float, float]:
    """Ends of an axis that shows what matters: the worst ``share`` of the values may fall off where they would squeeze the rest.

    >>> [round(end, 2) for end in focus([0.1, 0.9, 0.91, 0.93, 0.95, 0.96, 0.97, 0.97, 0.98, 0.98], "max")]
    [0.91, 0.98]
    """
    usable = sorted(value for value in values if math.isfinite(value))
    if not usable:
        return span([])
    cut = int(share * len(usable))
    kept = usable[cut:] if goal == "max" else usable[: len(usable) - cut]
    whole, part = usable[-1] - usable[0], kept[-1] - kept[0]
    return span(kept if 0 < part < 0.5 * whole else usable)
