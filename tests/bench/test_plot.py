from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from archwright.bench import Suite
from archwright.bench.plot import plot
from archwright.bench.results import Searches
from archwright.bench.run import run_case
from archwright.errors import ArchwrightError
from archwright.strategies import Evolution, Random


@pytest.fixture(scope="module")
def groups(small):
    found = {
        name: {seed: run_case(small, strategy, seed, small.budget) for seed in range(6)}
        for name, strategy in (("random", Random()), ("evolution(population=4,sample=2)", Evolution(4, 2)))
    }
    return [Searches(small, small.budget, None, found)]


SUITE = Suite("mine", "Made <up> & drawn.", ())


@pytest.mark.parametrize("ending", ["svg", "html"])
def test_regret_over_evaluations_and_time(groups, tmp_path, ending):
    text = plot(SUITE, groups, tmp_path / f"out.{ending}").read_text()
    assert text.count('class="chart"') == 2
    for words in ("evaluations", "simulated hours", "regret, percentage points", "evolution(population=4,sample=2)"):
        assert words in text
    if ending == "svg":
        ElementTree.fromstring(text)
    else:
        assert "Made &lt;up&gt; &amp; drawn." in text
    assert not re.search(r"nan|http://(?!www.w3.org)", text, re.IGNORECASE)


def test_the_mean_of_each_strategy_falls(groups, tmp_path):
    text = plot(SUITE, groups, tmp_path / "out.svg").read_text()
    paths = re.findall(r'<path class="line (s\d)" d="([^"]+)"', text)
    assert [kind for kind, _ in paths] == ["s0", "s1"] * 2
    for _, path in paths:
        heights = [float(point.split()[1]) for point in re.split("[ML]", path)[1:]]
        assert len(heights) > 5


def test_what_cannot_be_drawn_is_said(groups, tmp_path):
    with pytest.raises(ArchwrightError, match=r"ends in .html or .svg"):
        plot(SUITE, groups, tmp_path / "out.png")
    with pytest.raises(ArchwrightError, match="Run it first: archwright bench run mine"):
        plot(SUITE, [], tmp_path / "out.svg")
    with pytest.raises(ArchwrightError, match="Could not write"):
        plot(SUITE, groups, tmp_path / "absent" / "out.svg")
