"""Strategies as written on a command line: ``evolution(population=10,sample=3)``."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from archwright.bench.code import code_of
from archwright.errors import StrategyError
from archwright.problem import Strategy
from archwright.strategies import get_strategy
from archwright.written import named


class Spec(msgspec.Struct, frozen=True):
    """A strategy and how it is written.

    Attributes:
        name: Its name.
        options: Its options as far as they are given, JSON values.
    """

    name: str
    options: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """Name and options, in one way of writing for each strategy."""
        written = ",".join(f"{option}={value}" for option, value in sorted(self.options.items()))
        return f"{self.name}({written})" if self.options else self.name

    @property
    def strategy(self) -> Strategy:
        """The strategy.

        Raises:
            StrategyError: Where there is no such strategy or option.
        """
        return get_strategy(self.name, **self.options)

    @property
    def code(self) -> str:
        """Digest of the strategy's code."""
        return code_of(self.strategy)


def parse_strategy(text: str) -> Spec:
    """Reads a strategy with its options.

    Raises:
        StrategyError: Where it is written in another way, or there is no such strategy or option.

    >>> parse_strategy("evolution( sample=3, population=10 )").text
    'evolution(population=10,sample=3)'
    >>> parse_strategy("halving(proposer=random)").strategy.proposer.name
    'random'
    """
    try:
        name, options = named(text)
    except ValueError as error:
        raise StrategyError(
            f"Got the strategy {text!r}; expected a name, with options where wanted: 'random', 'evolution(population=10,sample=3)'."
        ) from error
    get_strategy(name, **options)
    return Spec(name, options)


def parse_strategies(text: str) -> list[Spec]:
    """Reads several strategies, separated by commas.

    >>> [spec.text for spec in parse_strategies("random, evolution(population=10,sample=3)")]
    ['random', 'evolution(population=10,sample=3)']
    """
    return [parse_strategy(part) for part in separated(text)]


def separated(text: str) -> list[str]:
    """Split at commas that are not inside brackets.

    >>> separated("random, evolution(population=10,sample=3)")
    ['random', ' evolution(population=10,sample=3)']
    """
    return [part for part in re.split(r",(?![^(]*\))", text) if part.strip()]
