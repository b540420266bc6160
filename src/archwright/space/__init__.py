"""Search spaces: immutable expressions, and the literature's spaces in :mod:`archwright.space.zoo`. No torch."""

from archwright.space.combinators import chain, choice, dag, integer, op, parallel, repeat, shared, take
from archwright.space.decisions import ChoiceInfo
from archwright.space.expression import COLUMNS, DOWN, OUTPUTS, STRIDE, WIDTH, Expression
from archwright.space.space import Space
from archwright.space.zoo import get_space, list_spaces

__all__ = [
    "COLUMNS",
    "DOWN",
    "OUTPUTS",
    "STRIDE",
    "WIDTH",
    "ChoiceInfo",
    "Expression",
    "Space",
    "chain",
    "choice",
    "dag",
    "get_space",
    "integer",
    "list_spaces",
    "op",
    "parallel",
    "repeat",
    "shared",
    "take",
]
