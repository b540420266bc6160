from __future__ import annotations

import pytest

import archwright as aw
from archwright.space import OUTPUTS, chain, choice, integer, op, repeat

SIGNATURE = aw.Signature(inputs=((6,),), outputs=(3,))


@pytest.fixture
def space():
    layer = op("dense", width=choice(4, 8, 16, 32), activation=choice("relu", "tanh"))
    return aw.Space(chain(repeat(layer, integer(1, 4)), op("linear", width=OUTPUTS)), "small")


def score_of(proposal, problem) -> float:
    """A deterministic score: wider is better, with a penalty for depth."""
    labels = [label for _, label in problem.space.describe(proposal.architecture)]
    widths = [int(label) for label in labels if label.isdigit()]
    return sum(widths) / (10.0 + len(widths) ** 2)


def evaluate(proposal, problem, seed):
    """A user's evaluator: two measurements."""
    value = score_of(proposal, problem)
    yield {"score": value / 2}
    yield {"score": value}


@pytest.fixture
def run(tmp_path, space):
    """Searches the small space with a quick evaluator."""

    def go(evaluator=evaluate, **settings):
        defaults = {"budget": "20 trials", "strategy": "evolution", "store": tmp_path / "runs", "progress": "none"}
        return aw.search(
            space=settings.pop("space", space), evaluator=evaluator, signature=SIGNATURE, **{**defaults, **settings}
        )

    return go


@pytest.fixture
def rate():
    """The quick evaluator itself, to resume with."""
    return evaluate
