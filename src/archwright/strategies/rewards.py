"""Rewards that mean the same for every metric: the rank of a score among those heard so far.

An accuracy in [0, 1], a percentage and a negative loss differ in scale and in shape, and a few networks that do not train
at all would be most of a standard deviation. Ranks know none of this: any increasing transformation of the metric gives
the same search.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from statistics import NormalDist

import msgspec

_NORMAL = NormalDist()


class Ranks(msgspec.Struct, frozen=True):
    """The scores heard so far.

    Attributes:
        scores: In ascending order; failures are minus infinity.
    """

    scores: tuple[float, ...] = ()

    def heard(self, score: float | None) -> Ranks:
        """With one more score, ``None`` being a failure."""
        value = -math.inf if score is None else score
        place = bisect_right(self.scores, value)
        return Ranks((*self.scores[:place], value, *self.scores[place:]))

    def share(self, score: float | None) -> float:
        """The share of the scores that are lower, equal ones counting half: 0.5 where none is known.

        >>> Ranks((0.1, 0.2, 0.3, 0.4)).share(0.4)
        0.875
        """
        value = -math.inf if score is None else score
        if not self.scores:
            return 0.5
        return (bisect_left(self.scores, value) + bisect_right(self.scores, value)) / (2 * len(self.scores))

    def normal(self, score: float | None) -> float:
        """The normal score: the quantile of the standard normal distribution at that share.

        Its mean over the scores heard is 0; that of the best of 100 is 2.6. The score itself must have been heard, or lie between two
        that were: beyond all of them it is that of half a rank.
        """
        share, least = self.share(score), 0.5 / max(1, len(self.scores))
        return _NORMAL.inv_cdf(min(max(share, least), 1.0 - least))
