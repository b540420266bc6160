from __future__ import annotations

import re

import pytest

import archwright as aw
from archwright.engine.final import _failed, _unmeasured
from archwright.graph.latency import entry
from archwright.space import OUTPUTS, chain, choice, op

SPACE = aw.Space(chain(op("dense", width=choice(4, 8)), op("linear", width=OUTPUTS)), "tiny")


def trial(metric: str, value: float, **artifacts: str) -> aw.Trial:
    return aw.Trial(
        0, aw.Proposal(aw.Architecture(())), "finished", (aw.Measurement({metric: value}, artifacts=artifacts),)
    )


@pytest.mark.parametrize(
    ("objective", "again", "before", "failed"),
    [
        ("accuracy", 0.10, 0.80, True),
        ("accuracy", 0.79, 0.80, False),
        ("accuracy", 0.95, 0.80, False),
        ("log_loss", 2.3, 0.5, True),
        ("log_loss", 0.4, 0.5, False),
    ],
)
def test_a_final_training_that_went_wrong_is_told_from_one_that_did_not(objective, again, before, failed):
    problem = aw.Problem(SPACE, aw.Signature(((5,),), (2,)), (aw.Objective.parse(objective),))
    assert _failed(problem, trial(objective, again), trial(objective, before, checkpoint="kept")) is failed
    assert not _failed(problem, trial(objective, again), trial(objective, before)), "a score without weights"


def test_networks_that_a_latency_table_does_not_know_are_told_of():
    signature = aw.Signature(((5,),), (2,))
    known, other = (SPACE.graph(architecture, signature) for architecture in SPACE.architectures())
    table = {entry(node.call): 0.1 for _, node in known.operations()}

    def said(entries):
        settings = {"latency": entries} if entries else {}
        return _unmeasured(aw.Problem(SPACE, signature, (aw.Objective("accuracy"),), settings=settings))

    (warning,) = said(table)
    assert re.search(r"misses operations of (4|5)\d\.\d% .* archwright latency", warning)
    assert said({}) == said(table | {entry(node.call): 0.1 for _, node in other.operations()}) == []
