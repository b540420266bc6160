from __future__ import annotations

import pytest

from archwright.bench.specs import parse_strategies, parse_strategy
from archwright.errors import StrategyError
from archwright.strategies import Evolution, Halving, Random


def test_options_reach_the_strategy():
    assert parse_strategy("evolution(population=10,sample=3)").strategy == Evolution(10, 3)
    assert parse_strategy("evolution(replacement=false)").strategy == Evolution(replacement=False)
    assert parse_strategy(" halving ( proposer='random' , eta=2 ) ").strategy == Halving(Random(), 2)


@pytest.mark.parametrize("text", ["random", "evolution(population=10,sample=3)", "halving(eta=2,proposer=random)"])
def test_the_text_is_read_as_the_same_again(text):
    spec = parse_strategy(text)
    assert spec.text == text
    assert parse_strategy(spec.text) == spec


def test_a_list():
    found = [spec.text for spec in parse_strategies("random,evolution(sample=3,population=10) , halving(eta=4)")]
    assert found == ["random", "evolution(population=10,sample=3)", "halving(eta=4)"]
    assert parse_strategies("") == []


@pytest.mark.parametrize(
    "text", ["evolution(10)", "evolution(sample=", "two words", "evolution(sample=print(1))", "evolution(**a)"]
)
def test_what_cannot_be_read_is_said(text):
    with pytest.raises(StrategyError, match="expected a name, with options where wanted"):
        parse_strategy(text)


def test_unknown_names_and_options():
    with pytest.raises(StrategyError, match="Did you mean 'random'"):
        parse_strategy("randon")
    with pytest.raises(StrategyError, match="no option 'size'"):
        parse_strategy("evolution(size=3)")
