from __future__ import annotations

import numpy as np
import pytest
import torch

from archwright.artifacts import Artifacts
from archwright.engine.inheritance import bequeath
from archwright.errors import EvaluationError
from archwright.evaluators import Inherit, Train, weights_of
from archwright.evaluators.inherit import match, transfer
from archwright.executors import Job
from archwright.graph.build import GraphBuilder
from archwright.graph.module import build
from archwright.graph.names import names
from archwright.problem import Architecture, Fidelity, Measurement, Proposal, Signature, Trial
from archwright.space import get_space
from archwright.testing.evaluator import check_evaluator

SIGNATURE = Signature(((1, 8, 8),), (10,))


def chain_of(*widths: int, kernel: int = 3, scopes: tuple[str, ...] = ()):
    """A chain of convolutions with a classifier; scopes default to their numbers."""
    builder = GraphBuilder(SIGNATURE)
    value = builder.input()
    for number, width in enumerate(widths):
        scope = scopes[number] if scopes else f"block{number}"
        value = builder.add("conv_bn_relu", [value], width=width, kernel=kernel, scope=scope)
    value = builder.add("linear", [builder.add("global_avg_pool", [value], scope="pool")], width=10, scope="head")
    return builder.finish([value])


def paired(old, new) -> dict[str, str]:
    return {names(new)[there]: names(old)[here] for there, here in match(old, new).items()}


def test_equal_graphs_match_node_by_node():
    for name in ("cnn", "mlp", "nas-bench-201", "nasnet", "enas-macro", "memory-bank", "vit"):
        space, rng = get_space(name), np.random.default_rng(0)
        signature = Signature(((13,),), (3,)) if name == "mlp" else Signature(((3, 16, 16),), (10,))
        graph = space.graph(space.sample(rng), signature)
        assert match(graph, graph) == {index: index for index in range(len(graph))}


def test_a_changed_layer_and_what_reads_another_shape_do_not_match():
    old, new = chain_of(4, 8, 8, 8), chain_of(4, 6, 8, 8)
    assert paired(old, new) == {name: name for name in names(new) if name not in ("block1", "block2")}
    assert set(paired(chain_of(4, 8), chain_of(4, 8, kernel=5))) == {"x", "pool", "head"}


def test_a_block_that_moved_matches_by_what_is_around_it():
    old = chain_of(4, 8, 16, scopes=("stem", "a", "b"))
    new = chain_of(4, 8, 16, scopes=("stem", "c", "d"))
    assert paired(old, new) == {"x": "x", "stem": "stem", "c": "a", "d": "b", "pool": "pool", "head": "head"}


def test_nothing_matches_without_a_neighbour_that_does():
    old, new = chain_of(4, 8, 8, 16, scopes=("s", "a", "b", "c")), chain_of(6, 8, 8, 12, scopes=("t", "d", "e", "f"))
    assert "e" not in paired(old, new)


@pytest.mark.parametrize("space", ["cnn", "nas-bench-201"])
def test_matches_are_pairs_of_equal_calls(space):
    space, rng = get_space(space), np.random.default_rng(3)
    signature = Signature(((3, 16, 16),), (10,))
    for _ in range(10):
        parent = space.sample(rng)
        old, new = (space.graph(a, signature) for a in (parent, space.mutate(parent, rng)))
        found = match(old, new)
        assert len(set(found.values())) == len(found)
        assert all(new.nodes[there].call is old.nodes[here].call for there, here in found.items())


def test_matching_layers_keep_their_weights_and_the_others_their_own():
    old, new = chain_of(4, 8, 8, 8), chain_of(4, 6, 8, 8)
    parent, child, fresh = build(old, 1).state_dict(), build(new, 2), build(new, 2).state_dict()
    kept = transfer(parent, old, child, new)
    for key, value in child.state_dict().items():
        source = fresh if key.startswith(("block1.", "block2.")) else parent
        assert torch.equal(value, source[key]), key
    inherited = {"block0", "block3", "head"}
    assert kept == sum(p.numel() for name, p in child.named_parameters() if name.split(".")[0] in inherited)


@pytest.fixture
def evaluator(folder, tmp_path):
    return Inherit(str(folder), str(tmp_path / "artifacts"))


def trained(evaluator, problem, architecture, seed=0) -> Measurement:
    return list(evaluator(Proposal(architecture, Fidelity(2, 0.3)), problem, seed))[-1]


def heir(architecture, parent, digest, fidelity=None) -> Proposal:
    return Proposal(architecture, fidelity, 0, {"inherit": {"checkpoint": digest, "choices": parent.choices}})


def test_contract(evaluator, problem):
    first, second = (problem.space.sample(np.random.default_rng(seed)) for seed in (0, 3))
    digest = trained(evaluator, problem, first).artifacts["checkpoint"]
    proposals = [Proposal(second, Fidelity(1, 0.2)), heir(second, first, digest, Fidelity(1, 0.2))]
    check_evaluator(evaluator, problem, proposals=proposals)


def test_a_child_begins_where_its_parent_ended(evaluator, problem):
    parent = problem.space.sample(np.random.default_rng(0))
    left = trained(evaluator, problem, parent)
    module = build(problem.graph(parent), seed=9)
    notes = evaluator._begin(module, heir(parent, parent, left.artifacts["checkpoint"]), problem)
    stored = weights_of(Artifacts(evaluator.artifacts).get(left.artifacts["checkpoint"]))
    assert all(torch.equal(value, stored[key]) for key, value in module.state_dict().items())
    count = sum(parameter.numel() for parameter in module.parameters())
    assert notes == {"inherited": {"parameters": count, "of": count, "from": 0}}


def test_inheriting_pays(evaluator, problem):
    parent = problem.space.sample(np.random.default_rng(0))
    digest = list(evaluator(Proposal(parent), problem, 0))[-1].artifacts["checkpoint"]
    fresh = next(evaluator(Proposal(parent), problem, 1))
    begun = next(evaluator(heir(parent, parent, digest), problem, 1))
    assert begun.values["accuracy"] > fresh.values["accuracy"] + 0.1
    assert begun.values["loss"] < fresh.values["loss"]


def test_without_a_parent_it_is_a_training(evaluator, problem, folder):
    proposal = Proposal(problem.space.sample(np.random.default_rng(0)), Fidelity(1, 0.2))
    plain = list(Train(str(folder), evaluator.artifacts)(proposal, problem, 0))
    ours = list(evaluator(proposal, problem, 0))
    assert [found.values for found in ours] == [found.values for found in plain]
    assert ours[-1].notes["inherited"]["parameters"] == 0 < ours[-1].notes["inherited"]["of"]


def test_going_on_from_an_own_checkpoint_is_not_inheriting(evaluator, problem):
    architecture = problem.space.sample(np.random.default_rng(0))
    low = list(evaluator(Proposal(architecture, Fidelity(1)), problem, 7))[-1]
    high = list(evaluator(Proposal(architecture, Fidelity(2), resume=low.artifacts["checkpoint"]), problem, 7))
    assert [found.epoch for found in high] == [2]
    assert "inherited" not in high[-1].notes


def test_what_was_inherited_is_noted_after_an_interruption_too(evaluator, problem, monkeypatch):
    monkeypatch.setattr("archwright.evaluators.train.INTERIM_EVERY", 0.0)
    job = Job(0, Proposal(problem.space.sample(np.random.default_rng(0)), Fidelity(3)), 7)
    first, *rest = evaluator(job.proposal, problem, 7)
    again = list(evaluator(job.after(first).proposal, problem, 7))
    assert [(found.epoch, found.values) for found in again] == [(found.epoch, found.values) for found in rest]
    assert all(found.notes["inherited"] == first.notes["inherited"] for found in again)


@pytest.mark.parametrize("legacy", [{"checkpoint": "0" * 64}, {"checkpoint": "0" * 64, "choices": []}, "weights"])
def test_weights_that_cannot_be_had_fail_with_a_reason(evaluator, problem, legacy):
    proposal = Proposal(problem.space.sample(np.random.default_rng(0)), parent=4, why={"inherit": legacy})
    with pytest.raises(EvaluationError, match="of trial 4 cannot be inherited"):
        next(evaluator(proposal, problem, 0))


def test_what_a_proposal_may_inherit():
    old, new = Architecture((("a", 0),)), Architecture((("a", 1),))
    left = Measurement({"accuracy": 0.9}, artifacts={"checkpoint": "c0ffee"})
    trials = {
        0: Trial(0, Proposal(old), "finished", (left,)),
        1: Trial(1, Proposal(old), "running", (left,)),
        2: Trial(2, Proposal(old), "failed"),
        3: Trial(3, Proposal(old), "duplicate", (left,), duplicate_of=0),
    }
    wanted = {"by": "mutation", "inherit": {"checkpoint": "c0ffee", "choices": old.choices}}
    for parent, why in ((0, wanted), (1, {"by": "mutation"}), (2, {"by": "mutation"}), (3, wanted)):
        assert bequeath(Proposal(new, parent=parent, why={"by": "mutation"}), trials, lambda digest: True).why == why
    for proposal in (
        Proposal(new),
        Proposal(old, parent=0, resume="c0ffee"),
        Proposal(old, parent=0, why={"by": "final"}),
    ):
        assert bequeath(proposal, trials, lambda digest: True) is proposal
    gone = Proposal(new, parent=0)
    assert bequeath(gone, trials, lambda digest: False) is gone
