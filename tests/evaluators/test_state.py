from __future__ import annotations

import pytest
import torch
from torch import nn

from archwright.errors import EvaluationError
from archwright.evaluators import FP32, Recipe, State, weights_of


def test_another_network_is_refused(net):
    content = State.fresh(net(), Recipe(), FP32, 0).to_bytes()
    with pytest.raises(EvaluationError, match="does not fit the network"):
        State.from_bytes(content, nn.Linear(2, 2))
    with pytest.raises(EvaluationError, match="does not fit the network"):
        State.from_bytes(content, net(outputs=4))


@pytest.mark.parametrize("content", [b"", b"rubbish" * 10, b"\x02\0\0\0\0\0\0\0{}"])
def test_other_bytes_are_refused(net, content):
    with pytest.raises(EvaluationError, match="no checkpoint"):
        weights_of(content)
    with pytest.raises(EvaluationError, match="no checkpoint"):
        State.from_bytes(content, net())


def test_a_checkpoint_of_another_format_is_refused(net, monkeypatch):
    monkeypatch.setattr("archwright.evaluators.state.FORMAT", 99)
    content = State.fresh(net(), Recipe(), FP32, 0).to_bytes()
    monkeypatch.undo()
    with pytest.raises(EvaluationError, match="format 99"):
        weights_of(content)


def test_the_average_follows_and_can_be_looked_through(net):
    module = net()
    state = State.fresh(module, Recipe(average=1.0), FP32, 0)
    state.lay_out(False)
    start = module[0].weight.detach().clone()
    with torch.no_grad():
        module[0].weight += 1
    with state.averaged():
        assert torch.equal(module[0].weight, start)
    state.steps = 10_000
    state.update_average(1.0)
    assert torch.all(module[0].weight == start + 1)
    mean = state.weights()["0.weight"]
    assert torch.all((mean > start) & (mean < start + 1))
    assert torch.equal(weights_of(state.to_bytes())["0.weight"], mean)
