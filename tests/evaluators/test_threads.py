from __future__ import annotations

import pytest
import torch

from archwright.evaluators import using_threads


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_set_and_given_back(threads):
    before = torch.get_num_threads()
    with using_threads(threads):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == before


def test_threads_are_given_back_after_a_failure():
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="on purpose"), using_threads(before + 1):
        raise ValueError("on purpose")
    assert torch.get_num_threads() == before
