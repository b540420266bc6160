from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

import archwright.strategies
from archwright.errors import StrategyError
from archwright.strategies import (
    Auto,
    Evolution,
    Halving,
    Random,
    edit,
    get_strategy,
    list_strategies,
    mutate_feasible,
    sample_feasible,
)
from archwright.testing.toy import toy_problem


def test_all_are_listed_with_their_source():
    listed = list_strategies()
    assert list(listed) == sorted(listed)
    assert {"auto", "bayes", "optuna", "random", "reinforce"} <= set(listed)
    assert all("arXiv" in line and len(line) < 120 for line in listed.values())


def test_names_and_options_make_strategies():
    assert get_strategy("auto") == Auto()
    assert get_strategy("random", uniform=True) == Random(uniform=True)
    assert get_strategy("halving", proposer="random", eta=4) == Halving(Random(), eta=4)
    assert get_strategy("halving", proposer=Evolution(10, 3)).proposer.population == 10
    assert all(get_strategy(name).name == name for name in list_strategies())


def test_errors_say_what_is_known():
    with pytest.raises(StrategyError, match=r"Did you mean 'evolution'"):
        get_strategy("evolutoin")
    with pytest.raises(StrategyError, match=r"no option 'size'.*population=20, sample=10, replacement=True"):
        get_strategy("evolution", size=3)
    with pytest.raises(StrategyError, match=r"no option 'size'.*defaults: none"):
        get_strategy("auto", size=3)
    with pytest.raises(StrategyError, match=r"uniform='yes'.*expected bool, default False"):
        get_strategy("random", uniform="yes")
    with pytest.raises(StrategyError, match=r"population='20'.*expected int"):
        get_strategy("evolution", population="20")
    with pytest.raises(StrategyError, match=r"'tpe'.*Known: auto, bayes"):
        get_strategy("halving", proposer="tpe")


def test_an_object_in_place_of_a_name_is_refused():
    with pytest.raises(StrategyError, match=r"expected a name.*entry point of the group 'archwright.strategies'"):
        get_strategy(get_strategy("random"))


def test_packages_bring_their_own(monkeypatch):
    group = archwright.strategies.GROUP
    plugins = (
        EntryPoint("drawn", "archwright.strategies.random:Random", group),
        EntryPoint("lost", "nowhere:Gone", group),
    )
    monkeypatch.setattr(archwright.strategies, "entry_points", lambda group: EntryPoints(plugins))
    assert get_strategy("drawn", uniform=True) == Random(uniform=True)
    with pytest.raises(StrategyError, match=r"'lost' of the entry point 'nowhere:Gone' cannot be loaded"):
        get_strategy("lost")
    assert {"auto", "drawn", "lost"} <= set(list_strategies())
    assert "cannot be loaded" in list_strategies()["lost"]


def test_no_torch_is_imported():
    code = "import sys, archwright.strategies, archwright.testing.strategy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_own_strategies_need_is_public():
    problem, rng = toy_problem(), np.random.default_rng(0)
    parent = sample_feasible(problem, rng)
    child = mutate_feasible(problem, parent, rng)
    assert len(edit(problem, parent, child)) == 1
    assert {"edit", "mutate_feasible", "sample_feasible"} <= set(archwright.strategies.__all__)
