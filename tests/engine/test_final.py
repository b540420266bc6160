from __future__ import annotations

import re

import pytest

import archwright as aw
from archwright.engine import plan
from archwright.engine.final import _failed, _unmeasured
from archwright.engine.plan import make_ending
from archwright.graph.latency import entry
from archwright.space import OUTPUTS, chain, choice, op
from archwright.tasks import load_task

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


@pytest.mark.parametrize(
    ("budget", "baseline", "workers", "threads"),
    [
        ("1h", 0.0, 4, 4),
        ("1h", 0.1, 4, 2),
        ("1h", 0.1, 2, 1),
        ("1h", 0.1, 9, 3),
        ("1h", 0.1, 1, 1),
        ("9 trials", 0.0, 4, 1),
    ],
)
def test_the_cores_are_shared_among_the_finalists_where_time_is_limited(
    budget, baseline, workers, threads, monkeypatch
):
    monkeypatch.setattr(plan, "default_workers", lambda: 6)
    task = load_task("wine")
    found = make_ending(task, aw.Fidelity(60), 12.0, baseline, aw.Budget.parse(budget), workers)
    assert found.threads == threads
    assert make_ending(None, aw.Fidelity(), 0.0, 0.1, aw.Budget.parse(budget), workers).finalists == 0
